//! `/v1/elevations`: roles for a while, asked for and approved, or taken at once with an alert.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::assignments::DecideRequest;
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::listing::{self, Place};
use super::management::{Begun, Made, Operation, choose_pack, show};
use super::parties::{again, approver, ask_pack, requester, sees};
use super::posted;
use super::roles::PackQuery;
use crate::administration::AdminError;
use crate::administration::approval::{APPROVE_ELEVATION, BREAK_GLASS};
use crate::administration::elevations;
use crate::administration::grant::{Ground, Party, check_reason};
use crate::app::App;
use crate::caller::{About, Right};
use crate::clock::Timestamp;
use crate::policy::Pack;
use crate::store::elevations::{ElevationPage, ElevationRow};

mod body;

use body::{
    ElevationRequest, ElevationResponse, ElevationStatus, ElevationsQuery, ElevationsResponse, EndRequest,
};

const ELEVATION: &str = "elevation";

fn about(pack: &Result<Arc<Pack>, ApiError>) -> About<'_> {
    let pack = pack.as_ref().ok().map(|pack| pack.name());
    About { pack, target_type: Some(ELEVATION), target_id: None, role: None }
}

/// The elevations of a pack.
#[utoipa::path(
    get, path = "/v1/elevations", tag = "elevations", operation_id = "list_elevations", params(ElevationsQuery),
    responses((status = 200, body = ElevationsResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn list_elevations(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<ElevationsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: ElevationsQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref());
    who.may_about(&app, Right::ReadElevations, &about(&pack)).await?;
    let pack = pack?;
    let tenant = who.caller.tenant.as_str();
    let status = query.status.map(ElevationStatus::name);
    let parameters = [ELEVATION, tenant, pack.name(), status.unwrap_or_default()];
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &parameters)?;
    let now = app.clock.now();
    let wanted = ElevationPage {
        tenant_id: tenant,
        pack: Some(pack.name()),
        status: status.map(|status| (status, now)),
        after: &place.after.1,
        limit: i64::try_from(place.limit + 1).unwrap_or(i64::MAX),
    };
    let rows = app.store.elevations(&wanted).await?;
    let shown = |row| ElevationResponse::of_row(row, now);
    let page = place.page(&app, rows, |row| (String::new(), row.id.clone()), shown);
    Ok(Json(ElevationsResponse { items: page.items, next: page.next }))
}

/// One elevation.
#[utoipa::path(
    get, path = "/v1/elevations/{id}", tag = "elevations", operation_id = "read_elevation",
    params(("id" = String, Path, description = "`elv_…`")),
    responses((status = 200, body = ElevationResponse), (status = 304, description = "the caller has this version"),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn read_elevation(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, _) = request.into_parts();
    let id = listing::path(path);
    let who = Authenticated::of(&app, &parts).await?;
    let row = found(&app, &who, Right::ReadElevations, &id?).await?;
    let (now, version) = (app.clock.now(), row.version);
    let is_over = elevations::shown_status(&row, now) != row.status;
    let body = ElevationResponse::body(row, now);
    if is_over {
        // It ended by itself, which is no new version: whoever has this one does not know.
        parts.headers.clear();
    }
    Ok(show(&parts.headers, version, body))
}

/// The elevation with this id, for a caller who may do this to it.
async fn found(app: &App, who: &Authenticated<'_>, right: Right, id: &str) -> Result<ElevationRow, ApiError> {
    // An id that can't be stored is nobody's.
    let row = if id.contains('\0') { None } else { app.store.elevation(&who.caller.tenant, id).await? };
    let row = row.filter(|row| sees(who, &row.pack));
    let pack = row.as_ref().map(|row| row.pack.as_str());
    let about = About { pack, target_type: Some(ELEVATION), target_id: Some(id), role: None };
    who.may_about(app, right, &about).await?;
    row.ok_or(ApiError::NotFound)
}

/// Asks for a role for a while, or takes it at once.
#[utoipa::path(
    post, path = "/v1/elevations", tag = "elevations", operation_id = "create_elevation",
    params(PackQuery, ("Idempotency-Key" = Option<String>, Header, description = "from 1 to 255 visible characters")),
    request_body(content = ElevationRequest, content_type = "application/json"),
    responses((status = 201, body = ElevationResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn create_elevation(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref());
    let posted = posted::read::<ElevationRequest>(&app, &parts, body).await;
    let at_once = posted.said.as_ref().is_ok_and(|said| said.break_glass);
    let right = if at_once { Right::BreakGlass } else { Right::RequestElevations };
    who.may_about(&app, right, &about(&pack)).await?;
    let (asked, name) = (posted.said?, pack?.name().to_owned());
    let requested_by = requester(&app, &who, &name, asked.requested_by.as_ref()).await?;
    let made_by = Party::caller(&who.caller.id).text();
    let new = asked.into_new(app.new_id("elv_", app.clock.now()), (requested_by, made_by))?;
    if at_once {
        ask_pack(&app, &who, &name, (&new.wish.principal, BREAK_GLASS, &new.wish.role)).await?;
    }
    let mut operation = match Operation::begin(&app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let ground = Ground::of(changing, &name)?;
    if !at_once {
        let row = elevations::request(changing, &ground, new).await?;
        return operation.finish(created("elevation_requested", row, ground.now)).await;
    }
    let assignment = app.new_id("ras_", ground.now);
    let row = elevations::break_glass(changing, &ground, (new, assignment)).await?;
    let taken = row.clone();
    let answer = operation.finish(created(elevations::BROKEN, row, ground.now)).await;
    // It is made also when other nodes have not heard of it.
    if answer.is_ok() || answer.as_ref().is_err_and(ApiError::is_pending) {
        alarm(&app, &taken);
    }
    answer
}

/// What an operator must see at once. The decision log has it from the change itself.
fn alarm(app: &App, row: &ElevationRow) {
    app.metrics.broke_glass();
    tracing::warn!(
        elevation_id = row.id,
        tenant = row.tenant_id,
        pack = row.pack,
        principal = Party { kind: row.subject_kind.clone(), id: row.subject.1.clone() }.text(),
        role = row.role.1,
        "the glass was broken: a role was taken without an approval"
    );
}

fn created(kind: &'static str, row: ElevationRow, now: Timestamp) -> Made {
    let location = Some(format!("/v1/elevations/{}", row.id));
    Made { status: StatusCode::CREATED, location, ..made(kind, row, now) }
}

fn made(kind: &'static str, row: ElevationRow, now: Timestamp) -> Made {
    let target = row.id.clone();
    let body = ElevationResponse::body(row, now);
    Made { status: StatusCode::OK, kind, target, detail: body.clone(), body, location: None }
}

/// Approves an elevation that waits.
#[utoipa::path(
    post, path = "/v1/elevations/{id}/approve", tag = "elevations", operation_id = "approve_elevation",
    params(("id" = String, Path, description = "`elv_…`")),
    request_body(content = DecideRequest, content_type = "application/json"),
    responses((status = 200, body = ElevationResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn approve_elevation(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    decide_elevation(&app, path, request, true).await
}

/// Denies an elevation that waits.
#[utoipa::path(
    post, path = "/v1/elevations/{id}/deny", tag = "elevations", operation_id = "deny_elevation",
    params(("id" = String, Path, description = "`elv_…`")),
    request_body(content = DecideRequest, content_type = "application/json"),
    responses((status = 200, body = ElevationResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn deny_elevation(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    decide_elevation(&app, path, request, false).await
}

async fn decide_elevation(
    app: &App,
    path: Result<Path<String>, PathRejection>,
    request: Request,
    approves: bool,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(app, &parts).await?;
    let id = listing::path(path)?;
    let posted = posted::read_optional::<DecideRequest>(app, &parts, body).await;
    let row = found(app, &who, Right::DecideElevations, &id).await?;
    let asked = (row.pack.as_str(), APPROVE_ELEVATION, row.role.1.as_str());
    let approver = approver(app, &who, asked, posted.said?.approver).await?;
    let mut operation = match Operation::begin(app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let row = changing.elevation(&id).await.map_err(AdminError::from)?.ok_or(ApiError::NotFound)?;
    let ground = Ground::of(changing, &row.pack)?;
    let (row, kind) = if approves {
        let assignment = app.new_id("ras_", ground.now);
        let row = elevations::approve(changing, &ground, row, (&approver, assignment)).await?;
        (row, "elevation_approved")
    } else {
        (elevations::deny(changing, &ground, (row, &approver)).await?, "elevation_denied")
    };
    operation.finish(made(kind, row, ground.now)).await
}

/// Ends an elevation, or takes the request back. Repeated, it answers once every node has heard of it.
#[utoipa::path(
    post, path = "/v1/elevations/{id}/end", tag = "elevations", operation_id = "end_elevation",
    params(("id" = String, Path, description = "`elv_…`")),
    request_body(content = EndRequest, content_type = "application/json"),
    responses((status = 200, body = ElevationResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn end_elevation(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let id = listing::path(path)?;
    let posted = posted::read_optional::<EndRequest>(&app, &parts, body).await;
    found(&app, &who, Right::DecideElevations, &id).await?;
    let reason = posted.said?.reason;
    reason.as_deref().map_or(Ok(()), check_reason)?;
    let mut operation = match Operation::begin(&app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let row = changing.elevation(&id).await.map_err(AdminError::from)?.ok_or(ApiError::NotFound)?;
    let now = changing.now();
    if !elevations::is_open(&row) {
        drop(operation);
        return again(&app, row.version, ElevationResponse::body(row, now)).await;
    }
    let row = elevations::end(changing, row, &Party::caller(&who.caller.id)).await?;
    let mut made = made("elevation_ended", row, now);
    if let (Some(reason), Value::Object(detail)) = (reason, &mut made.detail) {
        detail.insert("end_reason".into(), reason.into());
    }
    operation.finish(made).await
}
