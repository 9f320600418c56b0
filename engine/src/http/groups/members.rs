//! `/v1/groups/{id}/members`: who is directly in a group.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{GroupsQuery, about};
use crate::administration::groups::{self, members};
use crate::administration::tenancy::{Page, Tenancy};
use crate::app::App;
use crate::caller::Right;
use crate::entity::{Kind, Named};
use crate::http::body::{JsonBody, refuse_duplicates};
use crate::http::caller::Authenticated;
use crate::http::entities::PackQuery;
use crate::http::error::{ApiError, ProblemBody};
use crate::http::listing::{self, Place, segment};
use crate::http::management::{Begun, Made, Operation, choose_pack, made_before, nothing_to_take};

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum MemberType {
    /// A person.
    User,
    /// A program.
    Service,
    /// A machine.
    Device,
    /// Another group.
    Group,
}

impl From<MemberType> for Kind {
    fn from(of: MemberType) -> Self {
        match of {
            MemberType::User => Self::User,
            MemberType::Service => Self::Service,
            MemberType::Device => Self::Device,
            MemberType::Group => Self::Group,
        }
    }
}

/// A principal or a group, which there must be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddMemberRequest {
    /// What it is.
    #[serde(rename = "type")]
    kind: MemberType,
    /// Its id.
    id: String,
}

/// A member.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct MemberResponse {
    /// What it is.
    #[serde(rename = "type")]
    #[schema(value_type = MemberType)]
    kind: &'static str,
    /// Its id.
    id: String,
    /// Of an answer to a change: its number, for `at_least_revision`.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u64>,
}

/// A page of members, by Cedar type and id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct MembersResponse {
    /// The members.
    items: Vec<MemberResponse>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// Who is directly in a group.
#[utoipa::path(
    get, path = "/v1/groups/{id}/members", tag = "groups", operation_id = "list_members",
    params(GroupsQuery, ("id" = String, Path, description = "the group's id, percent-encoded")),
    responses((status = 200, body = MembersResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn list_members(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<MembersResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: GroupsQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ReadGroups, &about(&pack, Some(&id))).await?;
    let tenant = who.caller.tenant.clone();
    let parameters = ["members", &tenant, pack.name(), &id];
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &parameters)?;
    let (after, limit) = (place.after.clone(), place.limit + 1);
    let snapshot = app.snapshot();
    // It looks at every row, which is no work for a thread that answers others.
    let looking = tokio::task::spawn_blocking(move || {
        let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack: &pack };
        let uid = groups::locate(at, &id)?;
        Ok::<_, ApiError>(members(at, &uid, Page { after: (&after.0, &after.1), limit }))
    });
    let found = looking.await.map_err(|_| ApiError::Defect)??;
    let name = |(_, name): &(Kind, Named)| name.clone();
    let show = |(kind, (_, id)): (Kind, Named)| MemberResponse { kind: kind.name(), id, revision: None };
    let page = place.page(&app, found, name, show);
    Ok(Json(MembersResponse { items: page.items, next: page.next }))
}

/// Puts a principal or a group into a group. Said twice, it is done once.
#[utoipa::path(
    post, path = "/v1/groups/{id}/members", tag = "groups", operation_id = "add_member",
    params(PackQuery, ("id" = String, Path, description = "the group's id, percent-encoded"),
        ("idempotency-key" = Option<String>, Header, description = "makes repeating the call safe")),
    request_body(content = AddMemberRequest, content_type = "application/json"),
    responses((status = 200, description = "It was in already.", body = MemberResponse), (status = 201, body = MemberResponse),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn add_member(
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
    refuse_duplicates(body.text())?;
    let AddMemberRequest { kind, id: member_id } = body.parse()?;
    let kind = Kind::from(kind);
    let mut operation = match Operation::begin(&app, &who, &parts, body.text()).await? {
        Begun::Now(operation) => operation,
        Begun::Before(answer) => return Ok(answer),
    };
    let pack = operation.pack(&pack)?;
    let snapshot = Arc::clone(operation.changing.snapshot());
    let at = Tenancy { snapshot: &snapshot, tenant: &who.caller.tenant, pack: &pack };
    let group = groups::locate(at, &id)?;
    let member = groups::member(at, kind, &member_id)?;
    let body = json!(MemberResponse { kind: kind.name(), id: member_id.clone(), revision: None });
    let Some(_) = groups::add_member(&mut operation.changing, &pack, &group, (kind, &member)).await? else {
        let version = at.row(&member).map_or(0, crate::entity::Row::version);
        return made_before(&app, operation, version, body).await;
    };
    let location = format!(
        "/v1/groups/{}/members/{}/{}?pack={}",
        segment(&id),
        kind.name(),
        segment(&member_id),
        pack.name()
    );
    let made = Made {
        status: StatusCode::CREATED,
        kind: "group_member_added",
        target: format!("group:{id}"),
        detail: json!({"pack": pack.name(), "member": format!("{}:{member_id}", kind.name())}),
        body,
        location: Some(location),
    };
    operation.finish(made).await
}

/// Takes a principal or a group out of a group.
#[utoipa::path(
    delete, path = "/v1/groups/{id}/members/{type}/{member_id}", tag = "groups", operation_id = "remove_member",
    params(PackQuery, ("id" = String, Path, description = "the group's id, percent-encoded"),
        ("type" = MemberType, Path, description = "what the member is"),
        ("member_id" = String, Path, description = "the member's id, percent-encoded")),
    responses((status = 200, body = MemberResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn remove_member(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, MemberType, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let (id, kind, member_id) = listing::path(path)?;
    let kind = Kind::from(kind);
    who.may_about(&app, Right::ChangeGroups, &about(&pack, Some(&id))).await?;
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Now(operation) => operation,
        Begun::Before(answer) => return Ok(answer),
    };
    let pack = operation.pack(&pack)?;
    let snapshot = Arc::clone(operation.changing.snapshot());
    let at = Tenancy { snapshot: &snapshot, tenant: &who.caller.tenant, pack: &pack };
    let group = groups::locate(at, &id)?;
    let removed = groups::remove_member(&mut operation.changing, &pack, &group, (kind, &member_id)).await?;
    if removed.is_none() {
        return nothing_to_take(&app, operation, "member", &member_id).await;
    }
    let made = Made {
        status: StatusCode::OK,
        kind: "group_member_removed",
        target: format!("group:{id}"),
        detail: json!({"pack": pack.name(), "member": format!("{}:{member_id}", kind.name())}),
        body: json!(MemberResponse { kind: kind.name(), id: member_id, revision: None }),
        location: None,
    };
    operation.finish(made).await
}
