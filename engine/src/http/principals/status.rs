//! `POST /v1/principals/{id}/lock`, `unlock`, `disable`, `enable`: whether a principal may do anything at all.
//!
//! Promises: it counts in every pack of the tenant, and is said twice without harm: what takes away is answered with
//! success only when every node knows.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{PrincipalQuery, PrincipalResponse, about};
use crate::administration::AdminError;
use crate::administration::ending::Ended;
use crate::administration::grant::Party;
use crate::administration::principals::{self, Principal, Turn, Turned, locate};
use crate::administration::shown::{Shown, named};
use crate::administration::tenancy::Tenancy;
use crate::app::App;
use crate::caller::Right;
use crate::entity::Kind;
use crate::http::body::JsonBody;
use crate::http::caller::Authenticated;
use crate::http::error::{ApiError, ProblemBody};
use crate::http::listing;
use crate::http::management::{Begun, Made, Operation, choose_pack, made_before};
use crate::policy::Pack;

const REASON_CHARACTERS: usize = 1_000;

/// Why.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PrincipalStatusRequest {
    /// For the decision log; up to 1,000 characters.
    #[serde(default)]
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// The principal, and what came of it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct PrincipalStatusResponse {
    /// The principal.
    principal: PrincipalResponse,
    /// What it held and holds no more, in all packs.
    ended: Ended,
    /// The number of the change, for `at_least_revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// Denies a principal everything until it is unlocked.
#[utoipa::path(
    post, path = "/v1/principals/{id}/lock", tag = "principals", operation_id = "lock_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    request_body(content = PrincipalStatusRequest, content_type = "application/json"),
    responses((status = 200, body = PrincipalStatusResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn lock_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    turn(&app, Turn::Lock, path, request).await
}

/// Ends a lock.
#[utoipa::path(
    post, path = "/v1/principals/{id}/unlock", tag = "principals", operation_id = "unlock_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    request_body(content = PrincipalStatusRequest, content_type = "application/json"),
    responses((status = 200, body = PrincipalStatusResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn unlock_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    turn(&app, Turn::Unlock, path, request).await
}

/// Denies a principal everything, and ends what it holds in every pack: enabling it gives nothing back.
#[utoipa::path(
    post, path = "/v1/principals/{id}/disable", tag = "principals", operation_id = "disable_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    request_body(content = PrincipalStatusRequest, content_type = "application/json"),
    responses((status = 200, body = PrincipalStatusResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn disable_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    turn(&app, Turn::Disable, path, request).await
}

/// Lets a disabled principal ask again. It holds nothing then.
#[utoipa::path(
    post, path = "/v1/principals/{id}/enable", tag = "principals", operation_id = "enable_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    request_body(content = PrincipalStatusRequest, content_type = "application/json"),
    responses((status = 200, body = PrincipalStatusResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn enable_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    turn(&app, Turn::Enable, path, request).await
}

async fn turn(
    app: &App,
    turn: Turn,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(app, &parts).await?;
    let query: PrincipalQuery = listing::query(&parts)?;
    let pack = choose_pack(app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    // To shut out is one right, to let in again another.
    let right = if turn.takes_away() { Right::DisablePrincipals } else { Right::ChangePrincipals };
    who.may_about(app, right, &about(&pack, Some(&id))).await?;
    let body = JsonBody::read_if_any(app, &parts, body).await?;
    let PrincipalStatusRequest { reason } = body.parse()?;
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARACTERS) {
        return Err(ApiError::InvalidRequest(format!(
            "`reason` has more than {REASON_CHARACTERS} characters"
        )));
    }
    let mut operation = match Operation::begin(app, &who, &parts, body.text()).await? {
        Begun::Now(operation) => operation,
        Begun::Before(answer) => return Ok(answer),
    };
    let pack = operation.pack(&pack)?;
    let snapshot = Arc::clone(operation.changing.snapshot());
    let at = Tenancy { snapshot: &snapshot, tenant: &who.caller.tenant, pack: &pack };
    let principal = locate(at, &id, query.kind.map(Kind::from))?;
    let by = Party::caller(&who.caller.id);
    let turned = principals::turn(&mut operation.changing, &pack, &principal, (turn, &by)).await?;
    let (body, version) = answer(&mut operation, &pack, &principal, turned).await?;
    let body = json!(body);
    if !turned.is_new {
        return made_before(app, operation, version, body).await;
    }
    let made = Made {
        status: StatusCode::OK,
        kind: turn.change(),
        target: principal.target(),
        detail: json!({"pack": pack.name(), "reason": reason, "ended": turned.ended}),
        body,
        location: None,
    };
    operation.finish(made).await
}

async fn answer(
    operation: &mut Operation<'_>,
    pack: &Arc<Pack>,
    principal: &Principal,
    turned: Turned,
) -> Result<(PrincipalStatusResponse, u64), ApiError> {
    let (type_name, id) = named(&principal.uid);
    let row = operation.changing.entity(pack.name(), (&type_name, &id)).await.map_err(AdminError::from)?;
    let row = row.filter(|row| row.deleted_at.is_none());
    let shown = Shown::of(pack, &principal.uid, row.as_ref()).ok_or(ApiError::NotFound)?;
    let version = shown.version;
    let principal = PrincipalResponse::of(pack, shown, turned.status);
    Ok((PrincipalStatusResponse { principal, ended: turned.ended, revision: None }, version))
}
