//! `/v1/groups`: what principals belong to.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::body::{JsonBody, refuse_duplicates};
use super::caller::Authenticated;
use super::entities::PackQuery;
use super::error::{ApiError, ProblemBody};
use super::listing::{self, Place, segment, shown_time};
use super::management::{Begun, Made, Operation, Precondition, choose_pack, nothing_to_take, show};
use super::posted::{self, Posted};
use crate::administration::ending::Ended;
use crate::administration::grant::Party;
use crate::administration::groups;
use crate::administration::principals::Described;
use crate::administration::shown::{self, Shown, Source};
use crate::administration::tenancy::{Page, Tenancy};
use crate::administration::type_of;
use crate::app::App;
use crate::caller::{About, Right};
use crate::entity::Kind;
use crate::policy::Pack;

pub(super) mod members;

/// A new group.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateGroupRequest {
    /// The application's own id, from 1 to 512 bytes.
    id: String,
    /// In Cedar's JSON form of entities, as the pack's schema has them.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The ids of the groups that it is in.
    #[serde(default)]
    groups: Vec<String>,
}

/// What a group is from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceGroupRequest {
    /// In Cedar's JSON form of entities, as the pack's schema has them.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The ids of the groups that it is in.
    #[serde(default)]
    groups: Vec<String>,
}

/// A group.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct GroupResponse {
    /// Its id.
    id: String,
    /// Its pack.
    pack: String,
    /// Who says what it is: the store, or the pack's own files.
    source: Source,
    /// In Cedar's JSON form of entities.
    #[schema(value_type = Object)]
    attributes: Value,
    /// The ids of the groups that it is directly in.
    groups: Vec<String>,
    /// When it was made; null for one of the pack's files.
    created_at: Option<String>,
    /// When it was changed last.
    updated_at: Option<String>,
    /// The number of its last change.
    version: u64,
    /// Of an answer to a change: its number, for `at_least_revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// A page of groups, by id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct GroupsResponse {
    /// The groups.
    items: Vec<GroupResponse>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// What is gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct GroupDeletedResponse {
    /// How many were in it.
    members: usize,
    /// What it held.
    ended: Ended,
    /// The number of the change, for `at_least_revision`.
    revision: u64,
}

/// Which groups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GroupsQuery {
    /// The pack; by default the caller's, or the only one.
    pack: Option<String>,
    /// How many, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl GroupResponse {
    fn of(pack: &Pack, shown: Shown) -> Self {
        Self {
            groups: shown.parents_of_kind(pack, Kind::Group),
            id: shown.id,
            pack: pack.name().to_owned(),
            source: shown.source,
            attributes: shown.attributes,
            created_at: shown_time(shown.created_at),
            updated_at: shown_time(shown.updated_at),
            version: shown.version,
            revision: None,
        }
    }
}

fn about<'a>(pack: &'a Pack, id: Option<&'a str>) -> About<'a> {
    About { pack: Some(pack.name()), target_type: Some("group"), target_id: id, role: None }
}

/// A group, of the store or of the pack's own files.
#[utoipa::path(
    get, path = "/v1/groups/{id}", tag = "groups", operation_id = "read_group",
    params(PackQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    responses((status = 200, body = GroupResponse), (status = 304, description = "`If-None-Match` names the version"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn read_group(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ReadGroups, &about(&pack, Some(&id))).await?;
    let snapshot = app.snapshot();
    let at = Tenancy { snapshot: &snapshot, tenant: &who.caller.tenant, pack: &pack };
    let uid = groups::locate(at, &id)?;
    let found = shown::find(&app.store, at, &uid).await?.ok_or(ApiError::NotFound)?;
    Ok(show(&parts.headers, found.version, json!(GroupResponse::of(&pack, found))))
}

/// Groups by id.
#[utoipa::path(
    get, path = "/v1/groups", tag = "groups", operation_id = "list_groups", params(GroupsQuery),
    responses((status = 200, body = GroupsResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn list_groups(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<GroupsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: GroupsQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    who.may_about(&app, Right::ReadGroups, &about(&pack, None)).await?;
    let tenant = &who.caller.tenant;
    let parameters = ["groups", tenant, pack.name()];
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &parameters)?;
    // A pack that can't say what a group is has none.
    let types: Vec<String> = type_of(&pack, Kind::Group.name()).into_iter().collect();
    let snapshot = app.snapshot();
    let at = Tenancy { snapshot: &snapshot, tenant, pack: &pack };
    let page = Page { after: (&place.after.0, &place.after.1), limit: place.limit + 1 };
    let found = shown::list(&app.store, at, Some(&types), page).await?;
    let name = |shown: &Shown| (shown.type_name.clone(), shown.id.clone());
    let page = place.page(&app, found, name, |shown| GroupResponse::of(&pack, shown));
    Ok(Json(GroupsResponse { items: page.items, next: page.next }))
}

/// Makes a group.
#[utoipa::path(
    post, path = "/v1/groups", tag = "groups", operation_id = "create_group",
    params(PackQuery, ("idempotency-key" = Option<String>, Header, description = "makes repeating the call safe")),
    request_body(content = CreateGroupRequest, content_type = "application/json"),
    responses((status = 201, body = GroupResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn create_group(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let posted: Posted<CreateGroupRequest> = posted::read(&app, &parts, body).await;
    let id = posted.said.as_ref().ok().map(|said| said.id.as_str());
    who.may_about(&app, Right::ChangeGroups, &about(&pack, id)).await?;
    let CreateGroupRequest { id, attributes, groups } = posted.said?;
    let called = Called { app: &app, who: &who, parts: &parts, text: &posted.text, pack };
    called.write(&id, (ReplaceGroupRequest { attributes, groups }, Precondition::Absent)).await
}

/// Says anew what a group is, or makes it.
#[utoipa::path(
    put, path = "/v1/groups/{id}", tag = "groups", operation_id = "replace_group",
    params(PackQuery, ("id" = String, Path, description = "the id, percent-encoded"),
        ("if-match" = Option<String>, Header, description = "the version that is replaced, or `*`"),
        ("if-none-match" = Option<String>, Header, description = "`*`: it is a new one")),
    request_body(content = ReplaceGroupRequest, content_type = "application/json"),
    responses((status = 200, body = GroupResponse), (status = 201, body = GroupResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 428, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn replace_group(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ChangeGroups, &about(&pack, Some(&id))).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let precondition = Precondition::required(&parts.headers)?;
    refuse_duplicates(body.text())?;
    let request: ReplaceGroupRequest = body.parse()?;
    let called = Called { app: &app, who: &who, parts: &parts, text: body.text(), pack };
    called.write(&id, (request, precondition)).await
}

/// Deletes a group: nobody is in it any more, and what it holds ends.
#[utoipa::path(
    delete, path = "/v1/groups/{id}", tag = "groups", operation_id = "delete_group",
    params(PackQuery, ("id" = String, Path, description = "the id, percent-encoded"),
        ("if-match" = Option<String>, Header, description = "the version that is deleted, or `*`")),
    responses((status = 200, body = GroupDeletedResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 412, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn delete_group(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ChangeGroups, &about(&pack, Some(&id))).await?;
    let precondition = Precondition::read(&parts.headers)?.unwrap_or(Precondition::Present);
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Now(operation) => operation,
        Begun::Before(answer) => return Ok(answer),
    };
    let pack = operation.pack(&pack)?;
    let uid = groups::name_to_delete(&pack, &id)?;
    let Some(row) = groups::present(&mut operation.changing, &pack, &uid).await? else {
        return nothing_to_take(&app, operation, "group", &id).await;
    };
    precondition.check("group", &id, Some(row.version))?;
    let by = Party::caller(&who.caller.id);
    let (ended, members) = groups::delete(&mut operation.changing, &pack, (&uid, row), &by).await?;
    let made = Made {
        status: StatusCode::OK,
        kind: "group_deleted",
        target: format!("group:{id}"),
        detail: json!({"pack": pack.name(), "members": members, "ended": ended}),
        body: json!({"members": members, "ended": ended}),
        location: None,
    };
    operation.finish(made).await
}

/// A call that writes a group.
struct Called<'a> {
    app: &'a App,
    who: &'a Authenticated<'a>,
    parts: &'a Parts,
    text: &'a str,
    pack: Arc<Pack>,
}

impl Called<'_> {
    async fn write(
        self,
        id: &str,
        (request, precondition): (ReplaceGroupRequest, Precondition),
    ) -> Result<Response, ApiError> {
        let Self { app, who, parts, text, pack } = self;
        let mut operation = match Operation::begin(app, who, parts, text).await? {
            Begun::Now(operation) => operation,
            Begun::Before(answer) => return Ok(answer),
        };
        let pack = operation.pack(&pack)?;
        let uid = groups::name(&pack, id)?;
        let old = groups::present(&mut operation.changing, &pack, &uid).await?;
        precondition.check("group", id, old.as_ref().map(|row| row.version))?;
        let described = Described { attributes: &request.attributes, groups: &request.groups };
        let row = groups::write(&mut operation.changing, &pack, (&uid, old.as_ref()), described).await?;
        let is_new = old.is_none();
        let made = Made {
            status: if is_new { StatusCode::CREATED } else { StatusCode::OK },
            kind: if is_new { "group_created" } else { "group_changed" },
            target: format!("group:{id}"),
            detail: json!({"pack": pack.name(), "groups": request.groups}),
            body: json!(Shown::of(&pack, &uid, Some(&row)).map(|shown| GroupResponse::of(&pack, shown))),
            location: is_new.then(|| format!("/v1/groups/{}?pack={}", segment(id), pack.name())),
        };
        operation.finish(made).await
    }
}
