//! The application's own request, and what the decision log keeps of it.
//!
//! Promises: the log has neither a body nor the value of a header or parameter that carries credentials.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;

use crate::plugin::Request;
use crate::plugin::input::{Body, carries_credentials, form};

/// What a value is written as that must not be in the log.
const HIDDEN: &str = "*";

/// The application's own request, as it reports it.
#[derive(Debug)]
pub struct Reported {
    /// The request.
    pub request: Arc<Request>,
    /// Where it came from, as the application knows it.
    pub address: Option<IpAddr>,
    /// What records hold of it: a JSON object.
    pub recorded: String,
}

#[derive(Serialize)]
struct Recorded<'a> {
    method: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(&'a str, &'a str)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<RecordedBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<IpAddr>,
}

#[derive(Serialize)]
struct RecordedBody {
    form: &'static str,
    bytes: usize,
}

impl Reported {
    /// A request, and the address that it came from.
    pub fn new(request: Request, address: Option<IpAddr>) -> Self {
        let form = match &request.body {
            Body::None => None,
            Body::Json(_) => Some("json"),
            Body::Text(_) => Some("text"),
            Body::Bytes(_) => Some("bytes"),
        };
        let recorded = Recorded {
            method: &request.method,
            path: &request.path,
            query: request.query.as_deref().map(without_credentials),
            headers: request.headers.iter().map(|(name, value)| recorded_header(name, value)).collect(),
            body: form.map(|form| RecordedBody { form, bytes: request.body.bytes().len() }),
            address,
        };
        let recorded = serde_json::to_string(&recorded).unwrap_or_else(|_| "{}".into());
        Self { request: Arc::new(request), address, recorded }
    }
}

fn recorded_header<'a>(name: &'a str, value: &'a str) -> (&'a str, &'a str) {
    (name, if carries_credentials(name) { HIDDEN } else { value })
}

/// A query whose parameters that carry credentials have no values.
fn without_credentials(query: &str) -> String {
    let mut kept = String::with_capacity(query.len());
    for (place, pair) in query.split('&').enumerate() {
        if place > 0 {
            kept.push('&');
        }
        match pair.split_once('=') {
            Some((name, _)) if names_credentials(name) => {
                // Writing into a string can't fail.
                let _ = write!(kept, "{name}={HIDDEN}");
            }
            _ => kept.push_str(pair),
        }
    }
    kept
}

fn names_credentials(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "token",
        "key",
        "apikey",
        "password",
        "passwd",
        "pwd",
        "secret",
        "code",
        "sig",
        "jwt",
        "session",
        "auth",
        "assertion",
        "ticket",
    ];
    let decoded = form::pairs(name).next().map(|(name, _)| name).unwrap_or_default();
    let name = decoded.to_ascii_lowercase().replace('_', "-");
    carries_credentials(&name) || WORDS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_no_credentials_and_no_body() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let request = Request::new(
            "POST",
            "/a",
            Some("q=1&access_token=hunter2&c%6fde=hunter2&flag&api_key=".into()),
            vec![header("accept", "x"), header("authorization", "hunter2"), header("x-api-key", "hunter2")],
            Body::Text("hunter2".into()),
        );
        let reported = Reported::new(request, None);
        assert!(!reported.recorded.contains("hunter2"), "{}", reported.recorded);
        assert_eq!(
            reported.recorded,
            concat!(
                r#"{"method":"POST","path":"/a","query":"q=1&access_token=*&c%6fde=*&flag&api_key=*","#,
                r#""headers":[["accept","x"],["authorization","*"],["x-api-key","*"]],"#,
                r#""body":{"form":"text","bytes":7}}"#
            )
        );
    }
}
