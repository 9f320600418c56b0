//! `/v1/role-assignments`: who has which role, where, and from when to when.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::listing::{self, Place};
use super::management::{Begun, Made, Operation, Precondition, show};
use super::parties::{again, approver, pack_or_management, requester, sees};
use super::posted;
use super::roles::PackQuery;
use crate::administration::AdminError;
use crate::administration::approval::APPROVE_ROLE;
use crate::administration::assignments::{self, By};
use crate::administration::grant::{Ground, Party};
use crate::app::App;
use crate::caller::{About, Right};
use crate::policy::{MANAGEMENT, Pack, Snapshot};
use crate::store::assignments::{AssignmentPage, AssignmentRow};

mod body;

pub(super) use body::DecideRequest;
use body::{AssignmentRequest, AssignmentResponse, AssignmentStatus, AssignmentsQuery, AssignmentsResponse};

const ASSIGNMENT: &str = "role_assignment";

/// The role assignments of a pack.
#[utoipa::path(
    get, path = "/v1/role-assignments", tag = "role assignments", operation_id = "list_role_assignments",
    params(AssignmentsQuery),
    responses((status = 200, body = AssignmentsResponse), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn list_assignments(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<AssignmentsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: AssignmentsQuery = listing::query(&parts)?;
    let pack = pack_or_management(&app, &who, query.pack.as_deref());
    let name = pack.as_ref().ok().map(|pack| pack.name());
    let about = About { pack: name, target_type: Some(ASSIGNMENT), target_id: None, role: None };
    who.may_about(&app, Right::ReadRoleAssignments, &about).await?;
    let pack = pack?;
    let tenant = who.caller.tenant.as_str();
    let parameters = query.parameters();
    let parameters = [&[ASSIGNMENT, tenant, pack.name()][..], &parameters[..]].concat();
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &parameters)?;
    let (subject, role) = query.filters(&pack)?;
    let wanted = AssignmentPage {
        tenant_id: tenant,
        pack: Some(pack.name()),
        subject: subject.as_ref().map(|(type_name, id)| (type_name.as_str(), id.as_str())),
        role: role.as_ref().map(|(type_name, id)| (type_name.as_str(), id.as_str())),
        status: query.status.map(AssignmentStatus::name),
        after: &place.after.1,
        limit: i64::try_from(place.limit + 1).unwrap_or(i64::MAX),
    };
    let rows = app.store.assignments(&wanted).await?;
    let snapshot = app.snapshot();
    let shown = |row| AssignmentResponse::of_row(&snapshot, row);
    let page = place.page(&app, rows, |row| (String::new(), row.id.clone()), shown);
    Ok(Json(AssignmentsResponse { items: page.items, next: page.next }))
}

/// One role assignment.
#[utoipa::path(
    get, path = "/v1/role-assignments/{id}", tag = "role assignments", operation_id = "read_role_assignment",
    params(("id" = String, Path, description = "`ras_…`")),
    responses((status = 200, body = AssignmentResponse), (status = 304, description = "the caller has this version"),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn read_assignment(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let id = listing::path(path)?;
    let row = found(&app, &who, Right::ReadRoleAssignments, &id).await?;
    Ok(show(&parts.headers, row.version, AssignmentResponse::body(&app.snapshot(), row)))
}

/// The assignment with this id, for a caller who may do this to it.
async fn found(
    app: &App,
    who: &Authenticated<'_>,
    right: Right,
    id: &str,
) -> Result<AssignmentRow, ApiError> {
    // An id that can't be stored is nobody's.
    let row = if id.contains('\0') { None } else { app.store.assignment(&who.caller.tenant, id).await? };
    let row = row.filter(|row| sees(who, &row.pack));
    let of_management = row.as_ref().filter(|row| row.pack == MANAGEMENT);
    let about = About {
        pack: row.as_ref().map(|row| row.pack.as_str()),
        target_type: Some(ASSIGNMENT),
        target_id: Some(id),
        role: of_management.map(|row| row.role.1.as_str()),
    };
    who.may_about(app, right, &about).await?;
    row.ok_or(ApiError::NotFound)
}

/// Gives a role, or asks for one that wants an approval.
#[utoipa::path(
    post, path = "/v1/role-assignments", tag = "role assignments", operation_id = "create_role_assignment",
    params(PackQuery, ("Idempotency-Key" = Option<String>, Header, description = "from 1 to 255 visible characters")),
    request_body(content = AssignmentRequest, content_type = "application/json"),
    responses((status = 201, body = AssignmentResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn create_assignment(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = pack_or_management(&app, &who, query.pack.as_deref());
    let posted = posted::read::<AssignmentRequest>(&app, &parts, body).await;
    let by = By { app: &app, caller: &who.caller };
    let role = posted.said.as_ref().ok().map(|said| said.role.as_str());
    admit(by, &who, &pack, role).await?;
    let (asked, name) = (posted.said?, pack?.name().to_owned());
    let requested_by = requester(&app, &who, &name, asked.requested_by.as_ref()).await?;
    let new = asked.into_new(app.new_id("ras_", app.clock.now()), requested_by)?;
    let mut operation = match Operation::begin(&app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let ground = Ground::of(&operation.changing, &name)?;
    let row = assignments::create(by, &mut operation.changing, &ground, new).await?;
    let location = format!("/v1/role-assignments/{}", row.id);
    let made = made((StatusCode::CREATED, "role_assignment_created"), &ground.snapshot, row);
    operation.finish(Made { location: Some(location), ..made }).await
}

/// Whether the caller may give this role. Who may give roles, but not one that they do not hold, is told so.
async fn admit(
    by: By<'_>,
    who: &Authenticated<'_>,
    pack: &Result<Arc<Pack>, ApiError>,
    role: Option<&str>,
) -> Result<(), ApiError> {
    let name = pack.as_ref().ok().map(|pack| pack.name());
    let role = role.filter(|_| name == Some(MANAGEMENT));
    let about = About { pack: name, target_type: Some(ASSIGNMENT), target_id: None, role };
    match (who.may_about(by.app, Right::AssignRoles, &about).await, role) {
        (Err(ApiError::RightMissing(_)), Some(role)) if assignments::lacks_the_role_alone(by, role) => {
            Err(AdminError::NotHeld(role.to_owned()).into())
        }
        (admitted, _) => admitted,
    }
}

fn made((status, kind): (StatusCode, &'static str), snapshot: &Snapshot, row: AssignmentRow) -> Made {
    let target = row.id.clone();
    let body = AssignmentResponse::body(snapshot, row);
    Made { status, kind, target, detail: body.clone(), body, location: None }
}

/// Takes a role away. Repeated, it answers once every node has heard of it.
#[utoipa::path(
    delete, path = "/v1/role-assignments/{id}", tag = "role assignments", operation_id = "revoke_role_assignment",
    params(("id" = String, Path, description = "`ras_…`"),
        ("If-Match" = Option<String>, Header, description = "the `ETag` that was read, or `*`")),
    responses((status = 200, body = AssignmentResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 412, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn revoke_assignment(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let id = listing::path(path)?;
    found(&app, &who, Right::RevokeRoles, &id).await?;
    let precondition = Precondition::read(&parts.headers)?;
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let row = changing.assignment(&id).await.map_err(AdminError::from)?.ok_or(ApiError::NotFound)?;
    let snapshot = Arc::clone(changing.snapshot());
    if assignments::is_ended(&row) {
        drop(operation);
        return again(&app, row.version, AssignmentResponse::body(&snapshot, row)).await;
    }
    precondition.unwrap_or(Precondition::Present).check(ASSIGNMENT, &id, Some(row.version))?;
    let row = assignments::end(changing, row, &Party::caller(&who.caller.id)).await?;
    operation.finish(made((StatusCode::OK, "role_assignment_revoked"), &snapshot, row)).await
}

/// Approves an assignment that waits.
#[utoipa::path(
    post, path = "/v1/role-assignments/{id}/approve", tag = "role assignments", operation_id = "approve_role_assignment",
    params(("id" = String, Path, description = "`ras_…`")),
    request_body(content = DecideRequest, content_type = "application/json"),
    responses((status = 200, body = AssignmentResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn approve_assignment(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    decide_assignment(&app, path, request, true).await
}

/// Denies an assignment that waits.
#[utoipa::path(
    post, path = "/v1/role-assignments/{id}/deny", tag = "role assignments", operation_id = "deny_role_assignment",
    params(("id" = String, Path, description = "`ras_…`")),
    request_body(content = DecideRequest, content_type = "application/json"),
    responses((status = 200, body = AssignmentResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn deny_assignment(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    decide_assignment(&app, path, request, false).await
}

async fn decide_assignment(
    app: &App,
    path: Result<Path<String>, PathRejection>,
    request: Request,
    approves: bool,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(app, &parts).await?;
    let id = listing::path(path)?;
    let posted = posted::read_optional::<DecideRequest>(app, &parts, body).await;
    let row = found(app, &who, Right::AssignRoles, &id).await?;
    let asked = (row.pack.as_str(), APPROVE_ROLE, row.role.1.as_str());
    let approver = approver(app, &who, asked, posted.said?.approver).await?;
    let mut operation = match Operation::begin(app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let row = changing.assignment(&id).await.map_err(AdminError::from)?.ok_or(ApiError::NotFound)?;
    let ground = Ground::of(changing, &row.pack)?;
    let by = By { app, caller: &who.caller };
    let (row, kind) = if approves {
        let row = assignments::approve(by, changing, &ground, (row, &approver)).await?;
        (row, "role_assignment_approved")
    } else {
        (assignments::deny(changing, &ground, (row, &approver)).await?, "role_assignment_denied")
    };
    operation.finish(made((StatusCode::OK, kind), &ground.snapshot, row)).await
}
