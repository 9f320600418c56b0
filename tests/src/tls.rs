//! TLS as a client speaks it: certificates made for a test, and connections that trust one of them.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use crate::files::replace;
use crate::http::Answer;
use crate::raw::RawAnswer;

/// A certificate for the loopback address, signed by itself, with its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    cert: String,
    key: String,
}

impl Certificate {
    /// A new one.
    ///
    /// # Panics
    /// When there is no randomness.
    pub fn generate() -> Self {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate");
        Self { der: cert.der().clone(), cert: cert.pem(), key: signing_key.serialize_pem() }
    }

    /// Writes `cert.pem` and `key.pem` into `folder`, each by a rename.
    ///
    /// # Panics
    /// When a file can't be written.
    pub fn write(&self, folder: &Path) {
        replace(&folder.join("key.pem"), &self.key);
        replace(&folder.join("cert.pem"), &self.cert);
    }
}

impl Certificate {
    /// The configuration of a server that has it.
    ///
    /// # Panics
    /// When it can't be used.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.expect("usual protocols").with_no_client_auth();
        Arc::new(builder.with_single_cert(vec![self.der.clone()], key).expect("a certificate"))
    }
}

/// A TLS connection to a server.
#[derive(Debug)]
pub struct TlsConnection(StreamOwned<ClientConnection, TcpStream>);

impl TlsConnection {
    /// Connects to the server at `base` (`https://…`), trusts this certificate alone, offers these
    /// protocols (RFC 7301), and makes the handshake.
    ///
    /// # Errors
    /// When the connection or the handshake fails.
    ///
    /// # Panics
    /// When `base` is no `https` URL.
    pub fn open(base: &str, trusted: &Certificate, protocols: &[&str]) -> io::Result<Self> {
        let address = base.strip_prefix("https://").expect("an https URL");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der.clone()).map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Self(StreamOwned::new(connection, stream)))
    }

    /// The protocol that the server chose.
    pub fn protocol(&self) -> Option<&str> {
        self.0.conn.alpn_protocol().and_then(|name| std::str::from_utf8(name).ok())
    }

    /// Sends a request by HTTP/1.1 and reads its answer; the connection stays open.
    ///
    /// # Errors
    /// When the connection ends before the answer does.
    pub fn send(&mut self, request: &str) -> io::Result<Answer> {
        self.write(request.as_bytes())?;
        let mut bytes = Vec::new();
        loop {
            let mut buffer = [0; 4096];
            let count = self.0.read(&mut buffer)?;
            bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
            let so_far = RawAnswer { bytes: bytes.clone(), closed: count == 0 };
            match so_far.into_answer() {
                Some(answer) => return Ok(answer),
                None if count == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => {}
            }
        }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Reads so many bytes.
    ///
    /// # Errors
    /// When the connection ends before.
    pub fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
