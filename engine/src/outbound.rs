//! Outbound HTTP: the one place from where this program connects to others by a URL.
//!
//! Promises: an answer is bounded in size and in time, from the first name look-up to the last byte; TLS is checked against
//! the system's roots. Must never: follow a redirect to another host, port or scheme.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HOST, HeaderValue, IF_NONE_MATCH, LOCATION,
    USER_AGENT,
};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// How often an answer may send on, within one host.
const REDIRECTS: usize = 3;
const HEADER_BYTES: usize = 64 << 10;
const ETAG_BYTES: usize = 512;

/// Makes requests.
#[derive(Clone, Debug)]
pub struct Outbound {
    tls: Arc<ClientConfig>,
    timeout: Duration,
}

/// What an answer is.
#[derive(Debug)]
pub enum Fetched {
    /// What was had before.
    NotModified,
    /// A new body, and its tag.
    Body(Bytes, Option<HeaderValue>),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// TLS can't be set up.
    #[error("TLS can't be used: {0}")]
    Tls(#[from] rustls::Error),
    /// The URL has no host, or one that can't be.
    #[error("`{0}` is no URL that can be asked")]
    Url(String),
    /// There is no connection.
    #[error("can't connect to `{to}`: {source}")]
    Connect {
        /// Host and port.
        to: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The exchange failed.
    #[error("the answer of `{0}` failed: {1}")]
    Exchange(String, hyper::Error),
    /// It was not done in time.
    #[error("there was no whole answer within {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// The answer is no success.
    #[error("`{0}` answers with the status {1}")]
    Status(String, u16),
    /// The answer is too large.
    #[error("the answer of `{0}` is larger than {1} bytes")]
    TooLarge(String, usize),
    /// The answer sends elsewhere.
    #[error("`{0}` sends on to another place, which is not followed")]
    Redirect(String),
    /// The answer has a coding that nobody asked for.
    #[error("the answer of `{0}` is compressed, which nobody asked for")]
    Encoded(String),
}

impl Outbound {
    /// Reads the system's roots; `SSL_CERT_FILE` names others.
    ///
    /// # Errors
    /// When TLS can't be set up.
    pub fn new(timeout: Duration) -> Result<Self, OutboundError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "a root certificate of the system can't be read");
        }
        roots.add_parsable_certificates(found.certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut tls = builder.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: Arc::new(tls), timeout })
    }

    /// Gets a URL's body of at most so many bytes, unless it still has this tag.
    ///
    /// # Errors
    /// When there is no whole answer in time, or it is none that was asked for.
    pub async fn get(
        &self,
        uri: &Uri,
        tag: Option<&HeaderValue>,
        most_bytes: usize,
    ) -> Result<Fetched, OutboundError> {
        let getting = self.get_on(uri, tag, most_bytes);
        tokio::time::timeout(self.timeout, getting).await.unwrap_or(Err(OutboundError::Timeout(self.timeout)))
    }

    async fn get_on(
        &self,
        uri: &Uri,
        tag: Option<&HeaderValue>,
        most_bytes: usize,
    ) -> Result<Fetched, OutboundError> {
        let mut place = uri.clone();
        for _ in 0..=REDIRECTS {
            let response = self.ask(&place, tag).await?;
            let shown = shown(&place);
            match response.status().as_u16() {
                200 => return body(response, &shown, most_bytes).await,
                304 if tag.is_some() => return Ok(Fetched::NotModified),
                301 | 302 | 303 | 307 | 308 => {
                    place = redirected(&place, response.headers().get(LOCATION))
                        .ok_or(OutboundError::Redirect(shown))?;
                }
                status => return Err(OutboundError::Status(shown, status)),
            }
        }
        Err(OutboundError::Redirect(shown(&place)))
    }

    async fn ask(&self, uri: &Uri, tag: Option<&HeaderValue>) -> Result<Response<Incoming>, OutboundError> {
        let wrong = || OutboundError::Url(shown(uri));
        let host = uri.host().ok_or_else(wrong)?.trim_start_matches('[').trim_end_matches(']');
        let is_tls = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let to = format!("{host}:{port}");
        let failed = |source| OutboundError::Connect { to: to.clone(), source };
        #[expect(clippy::disallowed_methods, reason = "this is the one home of outbound connections")]
        let stream = tokio::net::TcpStream::connect((host, port)).await.map_err(failed)?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = uri.authority().ok_or_else(wrong)?.as_str();
        let mut request = Request::get(path)
            .header(HOST, authority)
            .header(ACCEPT_ENCODING, "identity")
            .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")));
        if let Some(tag) = tag {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|_| wrong())?;
        let answered = if is_tls {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| wrong())?;
            let connector = TlsConnector::from(Arc::clone(&self.tls));
            exchange(connector.connect(name, stream).await.map_err(failed)?, request).await
        } else {
            exchange(stream, request).await
        };
        answered.map_err(|error| OutboundError::Exchange(to, error))
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    request: Request<Empty<Bytes>>,
) -> Result<Response<Incoming>, hyper::Error> {
    let mut builder = hyper::client::conn::http1::Builder::new();
    builder.max_buf_size(HEADER_BYTES);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
    // It ends with the body, or when the answer is dropped.
    tokio::spawn(async move { connection.await.ok() });
    sender.send_request(request).await
}

async fn body(
    response: Response<Incoming>,
    shown: &str,
    most_bytes: usize,
) -> Result<Fetched, OutboundError> {
    let headers = response.headers();
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(OutboundError::Encoded(shown.to_owned()));
    }
    let too_large = || OutboundError::TooLarge(shown.to_owned(), most_bytes);
    let said = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if said.is_some_and(|said| usize::try_from(said).map_or(true, |said| said > most_bytes)) {
        return Err(too_large());
    }
    let tag = headers.get(ETAG).filter(|tag| tag.len() <= ETAG_BYTES).cloned();
    let (mut incoming, mut whole) = (response.into_body(), BytesMut::new());
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|error| OutboundError::Exchange(shown.to_owned(), error))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > most_bytes {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(Fetched::Body(whole.freeze(), tag))
}

/// A URL for people: without its query, which may hold a secret.
pub fn shown(uri: &Uri) -> String {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{}", uri.scheme_str().unwrap_or_default(), uri.path())
}

/// Where an answer sends, if that is of the same scheme, host and port.
fn redirected(from: &Uri, location: Option<&HeaderValue>) -> Option<Uri> {
    let text = location?.to_str().ok()?;
    let is_path = text.starts_with('/') && !text.starts_with("//");
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let whole = if is_path { format!("{scheme}://{authority}{text}") } else { text.to_owned() };
    let to: Uri = whole.parse().ok()?;
    let is_same = to.scheme() == from.scheme() && to.authority() == from.authority();
    is_same.then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_stays_within_scheme_host_and_port() {
        let from: Uri = "https://example.com:8443/a?b".parse().unwrap();
        let to = |text: &'static str| redirected(&from, Some(&HeaderValue::from_static(text)));
        assert_eq!(to("/c?d").unwrap(), "https://example.com:8443/c?d");
        assert_eq!(to("https://example.com:8443/c").unwrap(), "https://example.com:8443/c");
        for other in [
            "https://example.com/c",
            "http://example.com:8443/c",
            "https://evil.example/c",
            "//evil.example/c",
            "https://example.com:8443@evil.example/c",
            "https://x@example.com:8443/c",
            "c",
            "",
            "\\\\evil.example",
        ] {
            assert_eq!(to(other), None, "{other}");
        }
        assert_eq!(redirected(&from, None), None);
    }
}
