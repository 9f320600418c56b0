//! `http` of `POST /v1/decide`: the application's own request, as it reports it.
//!
//! Promises: what can't be a request is refused here, and the order and repeats of headers are kept. Must never: decode
//! a path or a query; what they mean is the stages' to say, which are told how they came.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::evaluation::Reported;
use crate::http::body::refuse_duplicates;
use crate::http::error::ApiError;
use crate::object;
use crate::plugin::Request;
use crate::plugin::input::Body;

/// More headers than any client sends.
const HEADERS: usize = 256;
const METHOD_BYTES: usize = 32;

/// The application's own request, as it reports it. It has one of the three bodies at most.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct HttpRequest<'a> {
    /// The method (RFC 9110 §9).
    #[serde(borrow)]
    #[schema(value_type = String, max_length = 32)]
    method: Cow<'a, str>,
    /// The path as it came: not decoded, without the query.
    #[serde(borrow)]
    #[schema(value_type = String, min_length = 1)]
    path: Cow<'a, str>,
    /// The query as it came, without the question mark.
    #[serde(default)]
    query: Option<String>,
    /// The headers: an object, or a list of `[name, value]` that keeps order and repeats.
    #[serde(default)]
    #[schema(value_type = Option<HeadersForm>)]
    headers: Option<Headers>,
    /// The body as JSON that the application has parsed.
    #[serde(borrow, default, deserialize_with = "present")]
    #[schema(value_type = Option<Value>)]
    body: Option<&'a RawValue>,
    /// The body as text, as it came.
    #[serde(default)]
    body_text: Option<String>,
    /// The body's bytes in base64, as they came.
    #[serde(default)]
    body_base64: Option<String>,
    /// The address that the request came from, as the application knows it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
}

/// How headers are written.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes the form for those who read the API's description")]
pub(in crate::http) enum HeadersForm {
    /// By their names.
    Object(std::collections::BTreeMap<String, String>),
    /// In their order.
    List(Vec<(String, String)>),
}

/// Names and values, in their order.
#[derive(Debug)]
struct Headers(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("`headers` as an object of text, or a list of `[name, value]`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Headers, M::Error> {
        let mut headers = Vec::new();
        while let Some(header) = map.next_entry()? {
            headers.push(header);
        }
        Ok(Headers(headers))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Headers, S::Error> {
        let mut headers = Vec::new();
        while let Some(header) = elements.next_element()? {
            headers.push(header);
        }
        Ok(Headers(headers))
    }
}

/// A body that is null is a body.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Reads it.
///
/// # Errors
/// When it is not what a request can be.
pub(super) fn read(text: &RawValue) -> Result<Reported, ApiError> {
    refuse_duplicates(text.get())?;
    let request: HttpRequest<'_> = object::parse(text.get()).map_err(|error| {
        let error = error.to_string();
        // The position is within `http`, and would mislead.
        not_valid(error.split(" at line ").next().unwrap_or_default())
    })?;
    request.check().map_err(|message| not_valid(&message))?;
    let address = request.address;
    let request = request.into_request().map_err(not_valid)?;
    Ok(Reported::new(request, address))
}

fn not_valid(words: &str) -> ApiError {
    ApiError::InvalidRequest(format!("`http` is not valid: {words}"))
}

impl HttpRequest<'_> {
    fn check(&self) -> Result<(), String> {
        if self.method.len() > METHOD_BYTES || !is_token(&self.method) {
            return Err("`method` must be a method, as `GET`".into());
        }
        let ends_it = |c: char| c == '?' || c == '#' || c.is_ascii_control();
        if self.path.is_empty() || self.path.contains(ends_it) {
            return Err(
                "`path` must be the path alone, without query, fragment and control characters".into()
            );
        }
        let headers = self.headers.as_ref().map_or(&[][..], |headers| &headers.0);
        if headers.len() > HEADERS {
            return Err(format!("`headers` has at most {HEADERS} entries, this one has {}", headers.len()));
        }
        for (name, value) in headers {
            if !is_token(name) || value.contains(['\r', '\n', '\0']) {
                return Err("`headers`: a name must be a token and a value one line (RFC 9110 §5)".into());
            }
        }
        let bodies = [self.body.is_some(), self.body_text.is_some(), self.body_base64.is_some()];
        if bodies.into_iter().filter(|given| *given).count() > 1 {
            return Err("only one of `body`, `body_text` and `body_base64` can be given".into());
        }
        Ok(())
    }

    fn into_request(self) -> Result<Request, &'static str> {
        let body = match (self.body, self.body_text, self.body_base64) {
            (Some(json), ..) => Body::Json(json.get().to_owned()),
            (_, Some(text), _) => Body::Text(text),
            (.., Some(encoded)) => {
                Body::Bytes(STANDARD.decode(encoded).map_err(|_| "`body_base64` is no base64")?)
            }
            _ => Body::None,
        };
        let lower = |(mut name, value): (String, String)| {
            name.make_ascii_lowercase();
            (name, value)
        };
        let headers = self.headers.map_or_else(Vec::new, |headers| headers.0);
        let headers = headers.into_iter().map(lower).collect();
        Ok(Request::new(self.method.into_owned(), self.path.into_owned(), self.query, headers, body))
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &str) -> bool {
    let is_mark = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_mark(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(text: &str) -> Result<Reported, String> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        read(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn headers_keep_their_order_and_their_repeats() {
        let list =
            reported(r#"{"method": "GET", "path": "/a", "headers": [["B", "1"], ["a", "2"], ["b", "3"]]}"#)
                .unwrap();
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(list.request.headers, [header("b", "1"), header("a", "2"), header("b", "3")]);
        let object = reported(r#"{"method": "GET", "path": "/a", "headers": {"Z": "1", "A": "2"}}"#).unwrap();
        assert_eq!(object.request.headers, [header("z", "1"), header("a", "2")]);
    }

    #[test]
    fn json_is_kept_as_it_stands_and_null_is_a_body() {
        let body = |text: &str| {
            let text = format!(r#"{{"method": "POST", "path": "/a", {text}}}"#);
            reported(&text).unwrap().request.body.clone()
        };
        assert_eq!(body(r#""body": {"b": 1.50, "a": 1}"#), Body::Json(r#"{"b": 1.50, "a": 1}"#.into()));
        assert_eq!(body(r#""body": null"#), Body::Json("null".into()));
        assert_eq!(body(r#""body_text": "a=b""#), Body::Text("a=b".into()));
        assert_eq!(body(r#""body_base64": "AP8=""#), Body::Bytes(vec![0, 255]));
        assert_eq!(body(r#""query": "a""#), Body::None);
    }

    #[test]
    fn what_no_request_can_be_is_refused() {
        let long = "\"a\", \"1\"";
        let many = vec![format!("[{long}]"); HEADERS + 1].join(",");
        for (members, named) in [
            (r#""method": "G T", "path": "/""#, "method"),
            (r#""method": "", "path": "/""#, "method"),
            (r#""method": "GET", "path": """#, "path"),
            (r#""method": "GET", "path": "/a?b=c""#, "path"),
            (r#""method": "GET", "path": "/a#b""#, "path"),
            (r#""method": "GET", "path": "/a\u0000""#, "path"),
            (r#""method": "GET", "path": "/", "headers": {"a b": "c"}"#, "headers"),
            (r#""method": "GET", "path": "/", "headers": {"a": "b\r\nc: d"}"#, "headers"),
            (r#""method": "GET", "path": "/", "headers": [["a"]]"#, "length 1"),
            (r#""method": "GET", "path": "/", "headers": [["a", "b", "c"]]"#, "trailing"),
            (r#""method": "GET", "path": "/", "headers": "a: b""#, "headers"),
            (r#""method": "GET", "path": "/", "body": 1, "body_text": "1""#, "only one"),
            (r#""method": "GET", "path": "/", "body_base64": "A""#, "base64"),
            (r#""method": "GET", "path": "/", "address": "localhost""#, "address"),
            (r#""method": "GET", "path": "/", "more": 1"#, "more"),
            (r#""method": "GET", "path": "/", "body": {"a": 1, "a": 2}"#, "duplicate"),
            (&format!(r#""method": "GET", "path": "/", "headers": [{many}]"#), "256"),
        ] {
            let error = reported(&format!("{{{members}}}")).unwrap_err();
            assert!(error.contains(named), "{members}: {error}");
        }
    }
}
