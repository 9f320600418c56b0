//! Certificates: read, and read again when their files change.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Tls;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read, or holds nothing of use.
    #[error("can't read `{path}`: {detail}")]
    File {
        /// Which.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// Certificate and key do not go together, or are of a kind that can't be used.
    #[error("the certificate `{cert}` and the key `{key}` can't be used: {source}")]
    Unusable {
        /// The certificate's file.
        cert: String,
        /// The key's file.
        key: String,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

/// The certificates in use.
#[derive(Debug)]
pub(super) struct Certificates {
    files: Tls,
    /// What the files were before they were read: what changes from then on is seen.
    seen: Marks,
    current: ArcSwap<ServerConfig>,
}

/// A file's length and time of change, for the certificate and the key.
type Marks = [Option<(u64, std::time::SystemTime)>; 2];

impl Certificates {
    pub(super) fn read(files: &Tls) -> Result<Self, TlsError> {
        let seen = marks(files);
        let current = ArcSwap::from(read(files)?);
        Ok(Self { files: files.clone(), seen, current })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again whenever they change. Files that can't be used leave the last good ones.
    pub(super) async fn follow(&self) {
        let mut seen = self.seen;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = marks(&self.files);
            if now == seen {
                continue;
            }
            seen = now;
            match read(&self.files) {
                Ok(config) => {
                    self.current.store(config);
                    tracing::info!("the certificate was loaded");
                }
                Err(error) => {
                    tracing::error!(%error, "the certificate does not load; the last one serves on")
                }
            }
        }
    }
}

fn marks(files: &Tls) -> Marks {
    [&files.cert, &files.key].map(|path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

fn read(files: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let unreadable =
        |path: &Path, detail: String| TlsError::File { path: path.display().to_string(), detail };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(&files.cert, error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable(&files.cert, "it holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| unreadable(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certificates, key))
        .map_err(|source| TlsError::Unusable {
            cert: files.cert.display().to_string(),
            key: files.key.display().to_string(),
            source,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
