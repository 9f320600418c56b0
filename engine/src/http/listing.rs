//! What lists and paths of the management API share: query parameters, pages by type and id, and ids in paths.
//!
//! Promises: a cursor is of one call alone: of its caller's tenant, its path and its other parameters.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cursor;
use super::error::ApiError;
use crate::app::App;
use crate::clock::Timestamp;
use crate::entity::Named;

const LIMIT: usize = 50;
const MOST: usize = 200;

/// The query parameters, all of which there must be a place for.
///
/// # Errors
/// When one is unknown, stands twice, or has no such value.
pub(super) fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, ApiError> {
    let read = Query::<T>::try_from_uri(&parts.uri);
    read.map(|Query(query)| query).map_err(|error| ApiError::InvalidRequest(error.body_text()))
}

/// What a path names. One that is no text names nothing.
///
/// # Errors
/// When it is no text.
pub(super) fn path<T>(path: Result<Path<T>, PathRejection>) -> Result<T, ApiError> {
    path.map(|Path(named)| named).map_err(|_| ApiError::NotFound)
}

/// Where a list goes on, and how far.
#[derive(Debug)]
pub(super) struct Place {
    /// The type and id that it follows.
    pub(super) after: Named,
    /// How many.
    pub(super) limit: usize,
    parameters: String,
}

impl Place {
    /// Reads `limit` and `cursor`; `parameters` are all others that make the list what it is.
    ///
    /// # Errors
    /// When the limit is out of bounds, or the cursor of another list.
    pub(super) fn read(
        app: &App,
        (limit, cursor): (Option<usize>, Option<&str>),
        parameters: &[&str],
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::InvalidRequest(format!("`limit` must be from 1 to {MOST}")));
        }
        let parameters = format!("{parameters:?}");
        let place = cursor.map(|text| cursor::read_text(&app.cursor_key, text, &parameters)).transpose()?;
        let after = match place {
            Some(place) => serde_json::from_str(&place).map_err(|_| ApiError::InvalidCursor)?,
            None => (String::new(), String::new()),
        };
        Ok(Self { after, limit, parameters })
    }

    /// The cursor that goes on after this type and id.
    pub(super) fn next(&self, app: &App, last: &Named) -> String {
        let place = serde_json::json!(last).to_string();
        cursor::write_text(&app.cursor_key, &place, &self.parameters)
    }

    /// The page of what was found, of which there is one more than was asked for when the list goes on.
    pub(super) fn page<F, T>(
        &self,
        app: &App,
        mut found: Vec<F>,
        name: impl Fn(&F) -> Named,
        show: impl Fn(F) -> T,
    ) -> PageOf<T> {
        let goes_on = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found.last().filter(|_| goes_on).map(|last| self.next(app, &name(last)));
        PageOf { items: found.into_iter().map(show).collect(), next }
    }
}

/// A page of a list.
#[derive(Debug, Serialize)]
pub(super) struct PageOf<T> {
    /// What is on it.
    pub(super) items: Vec<T>,
    /// The cursor of the next page; null at the end.
    pub(super) next: Option<String>,
}

/// A time, as answers show it.
pub(super) fn shown_time(time: Option<Timestamp>) -> Option<String> {
    time.and_then(Timestamp::to_rfc3339)
}

/// An id as a part of a path (RFC 3986 §2.3: all but the unreserved characters are escaped).
pub(super) fn segment(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            // A whole segment of dots would climb.
            other => text.push_str(&format!("%{other:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::segment;

    #[test]
    fn an_id_is_one_segment_whatever_it_is() {
        assert_eq!(segment("alice-1_2~"), "alice-1_2~");
        assert_eq!(segment("../a b%é"), "%2E%2E%2Fa%20b%25%C3%A9");
    }
}
