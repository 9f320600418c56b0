//! What a call is about. It can be kept, and played again.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Hook;
use crate::decision::obligation::MaskMethod;

pub mod form;
mod json;

/// The subject of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "hook", rename_all = "snake_case")]
pub enum Input {
    /// Is this request sane?
    Validate {
        /// The request.
        request: Arc<Request>,
    },
    /// Does this look bad?
    Detect(Observation),
    /// What of this document must not be seen?
    Mask {
        /// The document.
        document: Arc<Value>,
        /// What is to be masked, and how.
        obligations: Vec<MaskObligation>,
    },
    /// Sign this message.
    Sign {
        /// The message.
        message: Message,
        /// With which key, by its name.
        key: String,
    },
}

impl Input {
    /// The hook that it is for.
    pub fn hook(&self) -> Hook {
        match self {
            Self::Validate { .. } => Hook::Validate,
            Self::Detect(_) => Hook::Detect,
            Self::Mask { .. } => Hook::Mask,
            Self::Sign { .. } => Hook::Sign,
        }
    }
}

/// The application's own request, as it reports it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Request {
    /// RFC 9110 §9.
    pub method: String,
    /// As it is in the request: not decoded.
    pub path: String,
    /// Without the question mark, not decoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Names in lower case, in the request's order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: Body,
    /// The body as a document, parsed when it is first asked for.
    #[serde(skip)]
    pub(super) parsed: OnceLock<Option<Arc<Value>>>,
}

/// A request's body, as the application hands it over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", content = "value", rename_all = "snake_case")]
pub enum Body {
    /// None.
    #[default]
    None,
    /// JSON text that the application has parsed itself, as it stands in its call.
    Json(String),
    /// The bytes as they came, when they are text.
    Text(String),
    /// The bytes as they came, in base64 where this is kept.
    Bytes(#[serde(with = "base64_bytes")] Vec<u8>),
}

/// A request or an event, and what the host has counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What is looked at.
    pub subject: Observed,
    /// Counts, in the manifest's order.
    pub counters: Vec<Reading>,
}

/// What a detector looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// A request.
    Request(Arc<Request>),
    /// An event.
    Event(Event),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// As `decision`.
    pub kind: String,
    /// When: milliseconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// What is known of it.
    pub attributes: BTreeMap<String, String>,
}

/// A count that the host keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// As `principal.denials`.
    pub name: String,
    /// How many.
    pub value: u64,
    /// Over which time.
    pub window_seconds: u32,
}

/// Mask everything at and below a pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskObligation {
    /// A JSON pointer (RFC 6901); the empty one is the whole document.
    pub pointer: String,
    /// How.
    pub method: MaskMethod,
}

/// What is to be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// Bytes.
    Bytes(#[serde(with = "base64_bytes")] Vec<u8>),
    /// A request that is about to be sent.
    Request(Components),
}

/// A request that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Components {
    /// RFC 9110 §9.
    pub method: String,
    /// Absolute (RFC 9110 §7.1).
    pub target_uri: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(with = "base64_bytes")]
    pub body: Vec<u8>,
}

impl Body {
    /// The body's bytes, as a plugin gets them raw.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::None => &[],
            Self::Json(text) | Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl Request {
    /// A request; names of headers in lower case.
    pub fn new(
        method: impl Into<String>,
        path: impl Into<String>,
        query: Option<String>,
        headers: Vec<(String, String)>,
        body: Body,
    ) -> Self {
        Self { method: method.into(), path: path.into(), query, headers, body, parsed: OnceLock::new() }
    }

    /// The body as a document: JSON without a key that stands twice, or a form. None when it is neither.
    pub fn document(&self) -> Option<Arc<Value>> {
        self.parsed.get_or_init(|| self.parse().map(Arc::new)).clone()
    }

    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(&self) -> Option<Value> {
        let text = match &self.body {
            Body::None => return None,
            Body::Json(text) => return json::document(text),
            Body::Text(text) => text.as_str(),
            Body::Bytes(bytes) => std::str::from_utf8(bytes).ok()?,
        };
        let media_type = self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase();
        if media_type == "application/x-www-form-urlencoded" {
            return Some(form::document(text));
        }
        let is_json = media_type == "application/json" || media_type.ends_with("+json");
        if is_json { json::document(text) } else { None }
    }
}

/// Whether a header carries what proves who somebody is, by its name.
///
/// These are the fields of RFC 9110 §11 and RFC 6265, DPoP (RFC 9449), signatures, certificates that a proxy passes on, and
/// every name that says it: one of the list, or one that ends in `-token`, `-secret`, `-key`, `-password`, `-auth`, `-jwt`
/// or `-session`. Rather one too many: a plugin that needs it asks for the capability `credentials`.
pub fn carries_credentials(name: &str) -> bool {
    const NAMES: [&str; 15] = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "dpop",
        "x-amz-security-token",
        "x-forwarded-client-cert",
        "signature",
        "cookie2",
        "set-cookie2",
        "apikey",
        "x-apikey",
        "token",
        "secret",
        "password",
    ];
    const ENDS: [&str; 7] = ["-token", "-secret", "-key", "-password", "-auth", "-jwt", "-session"];
    let ends_in = |end: &&str| {
        let tail = name.len().checked_sub(end.len()).and_then(|start| name.get(start..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)) || ENDS.iter().any(ends_in)
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        (&self.method, &self.path, &self.query, &self.headers, &self.body)
            == (&other.method, &other.path, &other.query, &other.headers, &other.body)
    }
}

/// Bytes as base64 text.
pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
