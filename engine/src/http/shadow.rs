//! `/v1/shadow`: what packs in shadow would have answered, and promoting them.
//!
//! Promises: a promotion is of what was seen: the request names it. Must never: show a tenant's questions to another one, not
//! even to the server's own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::posted;
use super::revisions::{Pinning, authorize, bounded, pin};
use crate::administration::revisions::{PROMOTED, PROMOTION, RevisionError};
use crate::app::App;
use crate::caller::Right;

mod body;

use body::ShadowResponse;

/// What is promoted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromoteRequest {
    /// `revision` of what was seen in shadow.
    revision: String,
    /// For the decision log; up to 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// What is in shadow, and how it compares.
#[utoipa::path(
    get, path = "/v1/shadow", tag = "revisions", operation_id = "read_shadow",
    responses((status = 200, body = ShadowResponse), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn read_shadow(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<ShadowResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    authorize(&app, &who, Right::ReadRevisions, None).await?;
    Ok(Json(ShadowResponse::of(&app, &who.caller.tenant)))
}

/// Pins what is in shadow: every node serves it, whatever its folder holds.
#[utoipa::path(
    post, path = "/v1/shadow/promote", tag = "revisions", operation_id = "promote_shadow",
    params(("Idempotency-Key" = Option<String>, Header, description = "from 1 to 255 visible characters")),
    request_body(content = PromoteRequest, content_type = "application/json"),
    responses((status = 200, body = Object), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn promote_shadow(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let posted = posted::read::<PromoteRequest>(&app, &parts, body).await;
    authorize(&app, &who, Right::ManageRevisions, None).await?;
    let PromoteRequest { revision, reason } = posted.said?;
    let reason = bounded(reason)?;
    // Asked again after it was done, it is done, whatever is in shadow by then.
    let unmet = match app.served_revision().1.as_deref() == Some(revision.as_str()) {
        true => None,
        false => keep(&app, &revision).await.err(),
    };
    let pinning = Pinning { id: Some(revision), origin: PROMOTION, kind: PROMOTED, reason, unmet };
    pin(&app, &who, (&parts, &posted.text), pinning).await
}

/// Keeps what is in shadow, and sees whether it could be served from where it is kept.
async fn keep(app: &App, revision: &str) -> Result<(), RevisionError> {
    app.keep_candidate(revision).await?;
    app.try_revision(Some(revision)).await
}
