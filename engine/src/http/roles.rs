//! `/v1/roles`: the roles of a pack, of the store and of its own files.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::listing::{self, Place};
use super::management::{Begun, Made, Operation, Precondition, choose_pack, show};
use super::parties::pack_or_management;
use super::posted;
use crate::administration::grant::{Ground, Party};
use crate::administration::roles;
use crate::administration::{AdminError, type_of};
use crate::app::App;
use crate::caller::{About, Right};
use crate::entity::Kind;
use crate::policy::Pack;
use crate::store::entities::EntityPage;

mod body;

use body::{CreateRoleRequest, RoleRequest, RoleResponse, RolesQuery, RolesResponse};

const ROLE: &str = "role";

/// Which pack.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PackQuery {
    /// The pack; by default as for decisions.
    pub(super) pack: Option<String>,
}

fn about<'a>(pack: &'a Result<Arc<Pack>, ApiError>, id: Option<&'a str>) -> About<'a> {
    let pack = pack.as_ref().ok().map(|pack| pack.name());
    About { pack, target_type: Some(ROLE), target_id: id, role: None }
}

/// The roles of a pack.
#[utoipa::path(
    get, path = "/v1/roles", tag = "roles", operation_id = "list_roles", params(RolesQuery),
    responses((status = 200, body = RolesResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn list_roles(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<RolesResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: RolesQuery = listing::query(&parts)?;
    let pack = pack_or_management(&app, &who, query.pack.as_deref());
    who.may_about(&app, Right::ReadRoles, &about(&pack, None)).await?;
    let pack = pack?;
    let tenant = who.caller.tenant.as_str();
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &["roles", tenant, pack.name()])?;
    let type_name = type_of(&pack, Kind::Role.name())?;
    let of_pack = roles::of_pack(&pack, &place.after.1)?;
    // Those that the files shadow are left out: so many more are asked for.
    let wanted = place.limit.saturating_add(1).saturating_add(of_pack.len());
    let wanted = EntityPage {
        tenant_id: tenant,
        pack: pack.name(),
        type_name: Some(&type_name),
        kind: Some(Kind::Role.name()),
        after: (&type_name, &place.after.1),
        limit: i64::try_from(wanted).unwrap_or(i64::MAX),
    };
    let rows = app.store.entities(&wanted).await?;
    let rows = rows.into_iter().filter(|row| of_pack.iter().all(|role| role.id != row.id));
    let mut items: Vec<_> = rows.map(RoleResponse::of_row).collect();
    items.extend(of_pack.iter().map(|role| RoleResponse::of_pack(&pack, role.clone())));
    items.sort_by(|one, other| one.id.cmp(&other.id));
    let page = place.page(&app, items, |role| (String::new(), role.id.clone()), |role| role);
    Ok(Json(RolesResponse { items: page.items, next: page.next }))
}

/// One role.
#[utoipa::path(
    get, path = "/v1/roles/{id}", tag = "roles", operation_id = "read_role",
    params(("id" = String, Path, description = "the role's id"), PackQuery),
    responses((status = 200, body = RoleResponse), (status = 304, description = "the caller has this version"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn read_role(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let id = listing::path(path)?;
    let pack = pack_or_management(&app, &who, query.pack.as_deref());
    who.may_about(&app, Right::ReadRoles, &about(&pack, Some(&id))).await?;
    let pack = pack?;
    if let Some(role) = roles::of_pack(&pack, "")?.into_iter().find(|role| role.id == id) {
        return Ok(Json(RoleResponse::of_pack(&pack, role)).into_response());
    }
    let type_name = type_of(&pack, Kind::Role.name())?;
    let row = app.store.entity([&who.caller.tenant, pack.name(), &type_name, &id]).await?;
    let row = row.filter(|row| row.kind == Kind::Role.name()).ok_or(ApiError::NotFound)?;
    Ok(show(&parts.headers, row.version, RoleResponse::of_row(row).into_body()))
}

/// Makes a role.
#[utoipa::path(
    post, path = "/v1/roles", tag = "roles", operation_id = "create_role",
    params(PackQuery, ("Idempotency-Key" = Option<String>, Header, description = "from 1 to 255 visible characters")),
    request_body(content = CreateRoleRequest, content_type = "application/json"),
    responses((status = 201, body = RoleResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn create_role(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref());
    let posted = posted::read::<CreateRoleRequest>(&app, &parts, body).await;
    let id = posted.said.as_ref().ok().map(|said| said.id.as_str());
    who.may_about(&app, Right::ChangeRoles, &about(&pack, id)).await?;
    let (id, role) = posted.said?.parts();
    let name = pack?.name().to_owned();
    match Operation::begin(&app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => Ok(answer),
        Begun::Now(operation) => put(*operation, (&name, &id), role, Precondition::Absent).await,
    }
}

/// Makes a role, or replaces it.
#[utoipa::path(
    put, path = "/v1/roles/{id}", tag = "roles", operation_id = "put_role",
    params(("id" = String, Path, description = "the role's id"), PackQuery,
        ("If-Match" = Option<String>, Header, description = "the `ETag` that was read, or `*`, to replace"),
        ("If-None-Match" = Option<String>, Header, description = "`*`, to make")),
    request_body(content = RoleRequest, content_type = "application/json"),
    responses((status = 200, body = RoleResponse), (status = 201, body = RoleResponse), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 428, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn put_role(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let id = listing::path(path)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref());
    let posted = posted::read::<RoleRequest>(&app, &parts, body).await;
    who.may_about(&app, Right::ChangeRoles, &about(&pack, Some(&id))).await?;
    let role = posted.said?;
    let name = pack?.name().to_owned();
    let precondition = Precondition::required(&parts.headers)?;
    match Operation::begin(&app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => Ok(answer),
        Begun::Now(operation) => put(*operation, (&name, &id), role, precondition).await,
    }
}

async fn put(
    mut operation: Operation<'_>,
    (pack, id): (&str, &str),
    request: RoleRequest,
    precondition: Precondition,
) -> Result<Response, ApiError> {
    let changing = &mut operation.changing;
    let ground = Ground::of(changing, pack)?;
    let present = roles::present(changing, &ground, id).await?;
    precondition.check(ROLE, id, present.as_ref().map(|row| row.version))?;
    let (status, kind) = match present {
        Some(_) => (StatusCode::OK, "role_replaced"),
        None => (StatusCode::CREATED, "role_created"),
    };
    let row = roles::put(changing, &ground, (present, id), request.spec()).await?;
    let body = RoleResponse::of_row(row).into_body();
    let made = Made {
        status,
        kind,
        target: id.to_owned(),
        detail: body.clone(),
        body,
        location: Some(format!("/v1/roles/{}?pack={pack}", listing::segment(id))),
    };
    operation.finish(made).await
}

/// Deletes a role; its assignments end with it.
#[utoipa::path(
    delete, path = "/v1/roles/{id}", tag = "roles", operation_id = "delete_role",
    params(("id" = String, Path, description = "the role's id"), PackQuery,
        ("If-Match" = Option<String>, Header, description = "the `ETag` that was read, or `*`")),
    responses((status = 200, body = Object), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 412, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn delete_role(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let id = listing::path(path)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref());
    who.may_about(&app, Right::ChangeRoles, &about(&pack, Some(&id))).await?;
    let name = pack?.name().to_owned();
    let precondition = Precondition::read(&parts.headers)?;
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let ground = Ground::of(changing, &name)?;
    let Some(row) = roles::present(changing, &ground, &id).await? else {
        drop(operation);
        // Perhaps it is gone by a change that was not announced yet.
        app.announce().await.map_err(AdminError::from)?;
        return Err(ApiError::NotFound);
    };
    precondition.unwrap_or(Precondition::Present).check(ROLE, &id, Some(row.version))?;
    let ended = roles::delete(changing, &ground, row, &Party::caller(&who.caller.id)).await?;
    let made = Made {
        status: StatusCode::OK,
        kind: "role_deleted",
        target: id.clone(),
        detail: json!({"pack": name, "ended": {"role_assignments": ended}}),
        body: json!({"id": id, "pack": name, "ended": {"role_assignments": ended}}),
        location: None,
    };
    operation.finish(made).await
}
