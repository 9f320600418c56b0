//! Bodies that are read before it is known whether the caller may, since what they name is a part of that.
//!
//! Promises: who may not is told that, whatever its body is.

use axum::body::{Body, HttpBody};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::body::{JsonBody, refuse_duplicates};
use super::error::ApiError;
use crate::app::App;

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
