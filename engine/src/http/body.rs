//! Bodies: read within limits, before anything is made of them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use futures_util::FutureExt;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use super::error::ApiError;
use crate::app::App;
use crate::object::{self, WithoutDuplicates};

/// A body that is text, small enough, and not nested too deep.
pub(super) struct JsonBody(Bytes);

impl JsonBody {
    /// The text.
    pub(super) fn text(&self) -> &str {
        // Checked when it was read.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The text as an object of some form.
    ///
    /// # Errors
    /// When it is no JSON, or of another form; the field is named.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        parse(self.text())
    }

    /// Reads a request's body, or none: that is an empty object.
    ///
    /// # Errors
    /// As for a body that there must be.
    pub(super) async fn read_if_any(app: &App, parts: &Parts, body: Body) -> Result<Self, ApiError> {
        if parts.headers.contains_key(header::CONTENT_TYPE) {
            return Self::read(app, parts, body).await;
        }
        let patience = Duration::from_secs(app.config.server.body_seconds);
        let reading = Limited::new(body, 1).collect();
        let read = tokio::time::timeout(patience, reading).await.map_err(|_| ApiError::RequestTimeout)?;
        if read.is_ok_and(|collected| collected.to_bytes().is_empty()) {
            Ok(Self(Bytes::from_static(b"{}")))
        } else {
            Err(ApiError::UnsupportedMediaType)
        }
    }

    /// Reads a request's body.
    ///
    /// # Errors
    /// When it is no JSON by its type, too large, too slow, no UTF-8, or nested too deep.
    pub(super) async fn read(app: &App, parts: &Parts, body: Body) -> Result<Self, ApiError> {
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        let limits = app.config.limits;
        let declared =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: usize| length > limits.body_bytes) {
            return Err(ApiError::BodyTooLarge(limits.body_bytes));
        }
        let mut reading = std::pin::pin!(Limited::new(body, limits.body_bytes).collect());
        // Mostly it came with the headers, and there is nothing to wait for.
        let read = match reading.as_mut().now_or_never() {
            Some(read) => read,
            None => {
                let patience = Duration::from_secs(app.config.server.body_seconds);
                tokio::time::timeout(patience, reading).await.map_err(|_| ApiError::RequestTimeout)?
            }
        };
        let bytes = match read {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(ApiError::BodyTooLarge(limits.body_bytes));
            }
            Err(_) => return Err(ApiError::MalformedJson("the body ended before its end".into())),
        };
        if std::str::from_utf8(&bytes).is_err() {
            return Err(ApiError::MalformedJson("the body is not UTF-8".into()));
        }
        if nests_deeper_than(&bytes, limits.nesting) {
            return Err(ApiError::NestingTooDeep(limits.nesting));
        }
        Ok(Self(bytes))
    }
}

/// Refuses text in which an object has a key twice.
///
/// # Errors
/// Which key.
pub(super) fn refuse_duplicates(text: &str) -> Result<(), ApiError> {
    let read: Result<WithoutDuplicates, _> = serde_json::from_str(text);
    read.map(drop).map_err(|error| ApiError::MalformedJson(error.to_string()))
}

/// Reads text that is an object of some form.
///
/// # Errors
/// When it is no JSON, or of another form; the field is named.
pub(super) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, ApiError> {
    object::parse(text).map_err(|error| diagnose::<T>(text, &error))
}

/// What is wrong, at the cost of reading again: whether it is JSON at all, and which field does not fit.
fn diagnose<'a, T: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> ApiError {
    if error.classify() != Category::Data {
        return ApiError::MalformedJson(error.to_string());
    }
    if let Err(syntax) = serde_json::from_str::<IgnoredAny>(text) {
        return ApiError::MalformedJson(syntax.to_string());
    }
    let mut track = serde_path_to_error::Track::new();
    let mut json = serde_json::Deserializer::from_str(text);
    let tracked = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let read: Result<T, _> = object::only(tracked);
    let path = track.path().to_string();
    match read {
        Err(error) if error.to_string().starts_with("duplicate field") => {
            ApiError::MalformedJson(error.to_string())
        }
        Err(error) if path != "." => ApiError::InvalidRequest(format!("`{path}`: {error}")),
        _ => ApiError::InvalidRequest(error.to_string()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}

/// Counts brackets outside of strings. Text that is no JSON may be counted wrongly, and is refused by the parser.
pub(super) fn nests_deeper_than(text: &[u8], limit: usize) -> bool {
    // Mostly there are too few of them to nest so deep, wherever they stand. One pass without a branch tells.
    if text.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= limit {
        return false;
    }
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => {
                        bytes.next();
                    }
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert!(!nests_deeper_than(br#"{"a": "[[[[\"[[[["}"#, 1));
        assert!(nests_deeper_than(br#"{"a": []}"#, 1));
        assert!(!nests_deeper_than(br#"[{}, {}, {}]"#, 2));
    }
}
