//! What calls of the management API read: bodies, queries, paths, and places in lists.
//!
//! Promises: whether the caller may is found out before it is told what is wrong with its body; a cursor counts only for
//! the list that it was given for.

use axum::body::{Body, HttpBody};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::body::{JsonBody, refuse_duplicates};
use super::cursor;
use super::error::ApiError;
use crate::app::App;

const LIMIT: i64 = 50;
const MOST: i64 = 200;

/// A body, and what it says.
pub(super) struct Posted<T> {
    /// Its text; empty when it could not be read.
    pub(super) text: String,
    /// What it says, or what is wrong with it: to be told after the right was checked.
    pub(super) said: Result<T, ApiError>,
}

/// Reads a body of some form.
pub(super) async fn read<T: DeserializeOwned>(app: &App, parts: &Parts, body: Body) -> Posted<T> {
    let body = match JsonBody::read(app, parts, body).await {
        Ok(body) => body,
        Err(error) => return Posted { text: String::new(), said: Err(error) },
    };
    let said = refuse_duplicates(body.text()).and_then(|()| body.parse());
    Posted { text: body.text().to_owned(), said }
}

/// The same where nothing needs to be said: no body is as an empty object.
pub(super) async fn read_optional<T: DeserializeOwned + Default>(
    app: &App,
    parts: &Parts,
    body: Body,
) -> Posted<T> {
    if body.is_end_stream() && !parts.headers.contains_key(header::CONTENT_TYPE) {
        return Posted { text: String::new(), said: Ok(T::default()) };
    }
    read(app, parts, body).await
}

/// Reads the parameters of a query.
///
/// # Errors
/// When one is unknown or has a wrong value.
pub(super) fn query<T: DeserializeOwned>(parts: &Parts) -> Result<T, ApiError> {
    let Query(query) =
        Query::<T>::try_from_uri(&parts.uri).map_err(|error| ApiError::InvalidRequest(error.body_text()))?;
    Ok(query)
}

/// Reads the id of a path. What is no text names nothing.
///
/// # Errors
/// When it is no text.
pub(super) fn id(path: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    path.map(|Path(id)| id).map_err(|_| ApiError::NotFound)
}

/// Which page of a list is asked for.
pub(super) struct Page {
    /// How many things.
    pub(super) limit: i64,
    /// After which place.
    pub(super) after: String,
    parameters: String,
}

impl Page {
    /// Reads `limit` and `cursor` of the list that `parameters` describe: what it is of, and the tenant's name, too.
    ///
    /// # Errors
    /// When the limit is out of bounds, or the cursor is of another list.
    pub(super) fn read(
        app: &App,
        (limit, cursor): (Option<i64>, Option<&str>),
        parameters: String,
    ) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(ApiError::InvalidRequest(format!("`limit` must be from 1 to {MOST}")));
        }
        let after = cursor.map(|text| cursor::read_text(&app.cursor_key, text, &parameters)).transpose()?;
        Ok(Self { limit, after: after.unwrap_or_default(), parameters })
    }

    /// How many things to ask for: one more than are shown tells whether there are more.
    pub(super) fn with_one_more(&self) -> i64 {
        self.limit + 1
    }

    /// Cuts the list to the page; gives the cursor of the next one.
    pub(super) fn cut<T>(&self, app: &App, items: &mut Vec<T>, place: impl Fn(&T) -> &str) -> Option<String> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        if items.len() <= limit {
            return None;
        }
        items.truncate(limit);
        items.last().map(|last| cursor::write_text(&app.cursor_key, place(last), &self.parameters))
    }
}
