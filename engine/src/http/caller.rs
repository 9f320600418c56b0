//! Stage `caller`: which application asks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderName, header};

use super::error::ApiError;
use super::listen::Peer;
use crate::app::App;
use crate::caller::{About, Caller, Right};
use crate::evaluation::Circumstances;
use crate::record::Via;

/// The caller's own id of a request.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A known caller, and what its request says of itself.
#[derive(Debug)]
pub(super) struct Authenticated<'p> {
    pub(super) caller: Arc<Caller>,
    pub(super) request_id: Option<&'p str>,
    pub(super) peer: Option<IpAddr>,
    took: Duration,
}

impl<'p> Authenticated<'p> {
    /// Finds the caller by its key.
    ///
    /// # Errors
    /// When there is no key or it is not known; or the store must be asked and does not answer.
    pub(super) async fn of(app: &App, parts: &'p Parts) -> Result<Self, ApiError> {
        let started = app.clock.monotonic();
        let request_id = request_id(parts);
        let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.ip());
        let Some(key) = bearer(parts) else {
            Box::pin(app.unauthenticated("caller_key_missing", request_id, peer)).await;
            return Err(ApiError::KeyMissing);
        };
        match app.present(key).await {
            Ok(Some(caller)) => {
                let took = app.clock.monotonic().saturating_sub(started);
                Ok(Self { caller, request_id, peer, took })
            }
            Ok(None) => {
                Box::pin(app.unauthenticated("caller_key_invalid", request_id, peer)).await;
                Err(ApiError::KeyInvalid)
            }
            Err(error) => {
                tracing::error!(%error, request_id, "the store can't be asked who calls: refused");
                Err(ApiError::Unavailable)
            }
        }
    }

    /// The circumstances of what it asks.
    pub(super) fn circumstances(&self, via: Via) -> Circumstances<'_> {
        Circumstances {
            caller: &self.caller,
            via,
            pack: None,
            request_id: self.request_id,
            peer: self.peer,
            understands: &[],
            http: None,
            explain: false,
            caller_took: self.took,
        }
    }

    /// Lets a call of the management API go on, or not.
    ///
    /// # Errors
    /// When the management pack denies it, or it can't be recorded.
    pub(super) async fn may(&self, app: &App, right: Right) -> Result<(), ApiError> {
        self.may_about(app, right, &About::default()).await
    }

    /// The same for a call that is about something in particular.
    ///
    /// # Errors
    /// When the management pack denies it, or it can't be recorded.
    pub(super) async fn may_about(&self, app: &App, right: Right, about: &About<'_>) -> Result<(), ApiError> {
        match app.allows_call(&self.circumstances(Via::Management), right, about).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApiError::RightMissing(right.name().to_owned())),
            Err(_) => Err(ApiError::Unavailable),
        }
    }
}

/// `Authorization: Bearer …` (RFC 6750 §2.1). Two such headers are none.
fn bearer(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, key) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// How much of it is recorded: every record of a batch holds it, also of callers without a key.
const REQUEST_ID_BYTES: usize = 256;

/// The caller's own id of the request, if it is text; the beginning of a long one.
fn request_id(parts: &Parts) -> Option<&str> {
    let text = parts.headers.get(REQUEST_ID)?.to_str().ok()?;
    // A header that is text is ASCII.
    Some(text.get(..REQUEST_ID_BYTES).unwrap_or(text))
}
