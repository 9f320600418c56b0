//! Bodies that are read before it is known whether the caller may, since what they name is a part of that.
//!
//! Promises: who may not is told that, whatever its body is.

use axum::body::Body;
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
    of(JsonBody::read(app, parts, body).await)
}

/// The same where nothing needs to be said: no body is as an empty object.
pub(super) async fn read_optional<T: DeserializeOwned>(app: &App, parts: &Parts, body: Body) -> Posted<T> {
    of(JsonBody::read_if_any(app, parts, body).await)
}

fn of<T: DeserializeOwned>(body: Result<JsonBody, ApiError>) -> Posted<T> {
    let body = match body {
        Ok(body) => body,
        Err(error) => return Posted { text: String::new(), said: Err(error) },
    };
    let said = refuse_duplicates(body.text()).and_then(|()| body.parse());
    Posted { text: body.text().to_owned(), said }
}
