//! `/v1/revisions`: the sets of packs that were served, and going back to one.
//!
//! Promises: a set that is activated was loaded first; what can't be loaded is not pinned. Must never: be open to another
//! tenant than `default`: policies are of the whole server.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::listing::{self, Place};
use super::management::{Begun, Made, Operation, made_before};
use super::posted;
use crate::administration::AdminError;
use crate::administration::revisions::{self, ACTIVATED, FILES, FOLLOWED, ROLLBACK, RevisionError};
use crate::app::App;
use crate::caller::{About, DEFAULT_TENANT, Right};
use crate::clock::Timestamp;
use crate::record::Via;

mod body;

use body::{RevisionResponse, RevisionsResponse};

const REVISION: &str = "revision";

const REASON_CHARACTERS: usize = 1_000;

/// Why; nothing needs to be said.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevisionRequest {
    /// For the decision log; up to 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RevisionsQuery {
    /// How many, at most 200; 50 by default.
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which set is pinned from now on, and why.
pub(super) struct Pinning {
    pub(super) id: Option<String>,
    pub(super) origin: &'static str,
    pub(super) kind: &'static str,
    pub(super) reason: Option<String>,
    /// Why it can't be, unless the same call was answered before.
    pub(super) unmet: Option<RevisionError>,
}

/// A reason within its bounds.
///
/// # Errors
/// When it is too long.
pub(super) fn bounded(reason: Option<String>) -> Result<Option<String>, ApiError> {
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARACTERS) {
        return Err(ApiError::InvalidRequest(format!(
            "`reason` has more than {REASON_CHARACTERS} characters"
        )));
    }
    Ok(reason)
}

/// Lets a call about the whole server's policies go on, or not.
///
/// # Errors
/// When the management pack denies it, or the caller is of another tenant than `default`, whatever that pack says.
pub(super) async fn authorize(
    app: &App,
    who: &Authenticated<'_>,
    right: Right,
    id: Option<&str>,
) -> Result<(), ApiError> {
    let about = About { target_type: Some(REVISION), target_id: id, ..About::default() };
    who.may_about(app, right, &about).await?;
    if who.caller.tenant == DEFAULT_TENANT {
        return Ok(());
    }
    // The pack's own answer is recorded, and is not what counts.
    app.refused(&who.circumstances(Via::Management), right).await;
    Err(ApiError::RightMissing(right.name().to_owned()))
}

/// The sets of packs, the one that last became active first.
#[utoipa::path(
    get, path = "/v1/revisions", tag = "revisions", operation_id = "list_revisions", params(RevisionsQuery),
    responses((status = 200, body = RevisionsResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn list_revisions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<RevisionsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    authorize(&app, &who, Right::ReadRevisions, None).await?;
    let query: RevisionsQuery = listing::query(&parts)?;
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &["revisions"])?;
    let (at, id) = &place.after;
    let after = match at.parse() {
        Ok(at) => Some((Timestamp(at), id.as_str())),
        Err(_) if at.is_empty() => None,
        Err(_) => return Err(ApiError::InvalidCursor),
    };
    let rows = app.store.revisions(after, place.limit + 1).await?;
    let (served, pinned) = app.served_revision();
    let name = |row: &crate::store::revisions::RevisionRow| (row.activated_at.0.to_string(), row.id.clone());
    let page = place.page(&app, rows, name, |row| RevisionResponse::of_row(row, &served, false));
    let status = app.reload_status();
    Ok(Json(RevisionsResponse {
        items: page.items,
        next: page.next,
        active: served.to_string(),
        pinned: pinned.is_some(),
        pinned_revision: pinned.map(|id| id.to_string()),
        files_not_served: status.waiting,
        error: status.error,
    }))
}

/// One set of packs, with its files.
#[utoipa::path(
    get, path = "/v1/revisions/{id}", tag = "revisions", operation_id = "read_revision",
    params(("id" = String, Path, description = "`rev_…`")),
    responses((status = 200, body = RevisionResponse), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn read_revision(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<RevisionResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let id = listing::path(path)?;
    authorize(&app, &who, Right::ReadRevisions, Some(&id)).await?;
    let row = revisions::find(&app.store, &id).await?;
    Ok(Json(RevisionResponse::of_row(row, &app.served_revision().0, true)))
}

/// Pins a set of packs: every node serves it, whatever its folder holds.
#[utoipa::path(
    post, path = "/v1/revisions/{id}/activate", tag = "revisions", operation_id = "activate_revision",
    params(("id" = String, Path, description = "`rev_…`"),
        ("Idempotency-Key" = Option<String>, Header, description = "from 1 to 255 visible characters")),
    request_body(content = RevisionRequest, content_type = "application/json"),
    responses((status = 200, body = Object), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn activate_revision(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let id = listing::path(path)?;
    let posted = posted::read_optional::<RevisionRequest>(&app, &parts, body).await;
    authorize(&app, &who, Right::ManageRevisions, Some(&id)).await?;
    let reason = bounded(posted.said?.reason)?;
    // Loaded before it is pinned: what no node can serve must not be what all must serve.
    let unmet = app.try_revision(Some(&id)).await.err();
    let pinning = Pinning { id: Some(id), origin: ROLLBACK, kind: ACTIVATED, reason, unmet };
    pin(&app, &who, (&parts, &posted.text), pinning).await
}

/// Lets the policies folder of each node count again.
#[utoipa::path(
    post, path = "/v1/revisions/follow", tag = "revisions", operation_id = "follow_files",
    params(("Idempotency-Key" = Option<String>, Header, description = "from 1 to 255 visible characters")),
    request_body(content = RevisionRequest, content_type = "application/json"),
    responses((status = 200, body = Object), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn follow_files(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let posted = posted::read_optional::<RevisionRequest>(&app, &parts, body).await;
    authorize(&app, &who, Right::ManageRevisions, None).await?;
    let reason = bounded(posted.said?.reason)?;
    let unmet = app.try_revision(None).await.err();
    let pinning = Pinning { id: None, origin: FILES, kind: FOLLOWED, reason, unmet };
    pin(&app, &who, (&parts, &posted.text), pinning).await
}

/// Writes a pin, and answers when this node serves by it.
pub(super) async fn pin(
    app: &App,
    who: &Authenticated<'_>,
    (parts, text): (&Parts, &str),
    pinning: Pinning,
) -> Result<Response, ApiError> {
    let mut operation = match Operation::begin(app, who, parts, text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let Pinning { id, origin, kind, reason, unmet } = pinning;
    if let Some(unmet) = unmet {
        return Err(unmet.into());
    }
    let body = json!({"pinned": id.is_some(), "id": id});
    let present = operation.changing.pin().await.map_err(AdminError::from)?;
    if present.as_ref().and_then(|pin| pin.revision_id.as_ref()) == id.as_ref() {
        let version = present.map_or(0, |pin| pin.version);
        return made_before(app, operation, version, body).await;
    }
    if !operation.changing.put_pin(id.clone(), origin).await.map_err(AdminError::from)? {
        return Err(RevisionError::Missing(id.unwrap_or_default()).into());
    }
    let before = present.and_then(|pin| pin.revision_id);
    let detail = json!({"id": id, "before": before, "reason": reason});
    let target = id.clone().unwrap_or_else(|| FILES.to_owned());
    let made = Made { status: StatusCode::OK, kind, target, detail, body, location: None };
    let answer = operation.finish(made).await;
    // The change is made even where it could not be announced, and this node serves by it.
    app.reload().await;
    if id.is_some_and(|id| *app.served_revision().0 != *id) {
        tracing::error!("a revision was pinned, and does not load: it is tried again");
        return Err(ApiError::Unavailable);
    }
    answer
}
