//! `/v1/principals`: the users, services and devices of a tenant in a pack.

use std::sync::Arc;

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
use super::listing::{self, segment, shown_time};
use super::management::{Begun, Made, Operation, Precondition, choose_pack, nothing_to_take, show};
use super::posted::{self, Posted};
use crate::administration::AdminError;
use crate::administration::ending::Ended;
use crate::administration::entities::{changeable, groups_between};
use crate::administration::grant::Party;
use crate::administration::principals::{self, Described, Principal, locate};
use crate::administration::shown::{self, Shown, Source};
use crate::administration::tenancy::Tenancy;
use crate::app::App;
use crate::caller::{About, Right};
use crate::entity::{Kind, Status};
use crate::policy::Pack;
use crate::store::entities::EntityRow;

pub(super) mod list;
pub(super) mod permissions;
pub(super) mod status;

/// What a principal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PrincipalType {
    /// A person.
    #[default]
    User,
    /// A program.
    Service,
    /// A machine.
    Device,
}

impl From<PrincipalType> for Kind {
    fn from(of: PrincipalType) -> Self {
        match of {
            PrincipalType::User => Self::User,
            PrincipalType::Service => Self::Service,
            PrincipalType::Device => Self::Device,
        }
    }
}

/// A new principal.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreatePrincipalRequest {
    /// `user` by default.
    #[serde(rename = "type", default)]
    kind: PrincipalType,
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

/// What a principal is from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplacePrincipalRequest {
    /// The type of a new one; the type of one that there is does not change.
    #[serde(rename = "type", default)]
    kind: Option<PrincipalType>,
    /// In Cedar's JSON form of entities, as the pack's schema has them.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// The ids of the groups that it is in.
    #[serde(default)]
    groups: Vec<String>,
}

/// A principal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PrincipalResponse {
    /// `user`, `service` or `device`.
    #[serde(rename = "type")]
    #[schema(value_type = PrincipalType)]
    kind: &'static str,
    /// Its id.
    id: String,
    /// Its pack.
    pack: String,
    /// Who says what it is: the store, or the pack's own files.
    source: Source,
    /// Whether it may do anything at all; of all packs the strictest.
    status: Status,
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

/// What is gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PrincipalDeletedResponse {
    /// What it held.
    ended: Ended,
    /// The number of the change, for `at_least_revision`.
    revision: u64,
}

/// Which pack, and which of several principals with one id.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PrincipalQuery {
    /// The pack; by default the caller's, or the only one.
    pack: Option<String>,
    /// The type, where an id alone does not tell.
    #[serde(rename = "type")]
    kind: Option<PrincipalType>,
}

impl PrincipalResponse {
    fn of(pack: &Pack, shown: Shown, status: Status) -> Self {
        Self {
            kind: shown.kind.name(),
            groups: shown.parents_of_kind(pack, Kind::Group),
            id: shown.id,
            pack: pack.name().to_owned(),
            source: shown.source,
            status,
            attributes: shown.attributes,
            created_at: shown_time(shown.created_at),
            updated_at: shown_time(shown.updated_at),
            version: shown.version,
            revision: None,
        }
    }
}

fn about<'a>(pack: &'a Pack, id: Option<&'a str>) -> About<'a> {
    About { pack: Some(pack.name()), target_type: Some("principal"), target_id: id, role: None }
}

/// A principal, of the store or of the pack's own files.
#[utoipa::path(
    get, path = "/v1/principals/{id}", tag = "principals", operation_id = "read_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    responses((status = 200, body = PrincipalResponse), (status = 304, description = "`If-None-Match` names the version"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn read_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PrincipalQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ReadPrincipals, &about(&pack, Some(&id))).await?;
    let snapshot = app.snapshot();
    let at = Tenancy { snapshot: &snapshot, tenant: &who.caller.tenant, pack: &pack };
    let principal = locate(at, &id, query.kind.map(Kind::from))?;
    let found = shown::find(&app.store, at, &principal.uid).await?.ok_or(ApiError::NotFound)?;
    let status = found.status.max(at.status(principal.kind, &id));
    Ok(show(&parts.headers, found.version, json!(PrincipalResponse::of(&pack, found, status))))
}

/// Makes a principal.
#[utoipa::path(
    post, path = "/v1/principals", tag = "principals", operation_id = "create_principal",
    params(PackQuery, ("idempotency-key" = Option<String>, Header, description = "makes repeating the call safe")),
    request_body(content = CreatePrincipalRequest, content_type = "application/json"),
    responses((status = 201, body = PrincipalResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn create_principal(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let posted: Posted<CreatePrincipalRequest> = posted::read(&app, &parts, body).await;
    let id = posted.said.as_ref().ok().map(|said| said.id.as_str());
    who.may_about(&app, Right::ChangePrincipals, &about(&pack, id)).await?;
    let CreatePrincipalRequest { kind, id, attributes, groups } = posted.said?;
    let request = ReplacePrincipalRequest { kind: Some(kind), attributes, groups };
    let called = Called { app: &app, who: &who, parts: &parts, text: &posted.text, pack };
    called.write(&id, None, (request, Precondition::Absent)).await
}

/// Says anew what a principal is, or makes it.
#[utoipa::path(
    put, path = "/v1/principals/{id}", tag = "principals", operation_id = "replace_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded"),
        ("if-match" = Option<String>, Header, description = "the version that is replaced, or `*`"),
        ("if-none-match" = Option<String>, Header, description = "`*`: it is a new one")),
    request_body(content = ReplacePrincipalRequest, content_type = "application/json"),
    responses((status = 200, body = PrincipalResponse), (status = 201, body = PrincipalResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 428, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn replace_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PrincipalQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ChangePrincipals, &about(&pack, Some(&id))).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let precondition = Precondition::required(&parts.headers)?;
    refuse_duplicates(body.text())?;
    let request: ReplacePrincipalRequest = body.parse()?;
    let called = Called { app: &app, who: &who, parts: &parts, text: body.text(), pack };
    called.write(&id, query.kind, (request, precondition)).await
}

/// Deletes a principal: what it holds in the pack ends, and one that was locked or disabled stays so.
#[utoipa::path(
    delete, path = "/v1/principals/{id}", tag = "principals", operation_id = "delete_principal",
    params(PrincipalQuery, ("id" = String, Path, description = "the id, percent-encoded"),
        ("if-match" = Option<String>, Header, description = "the version that is deleted, or `*`")),
    responses((status = 200, body = PrincipalDeletedResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 412, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn delete_principal(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PrincipalQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ChangePrincipals, &about(&pack, Some(&id))).await?;
    let precondition = Precondition::read(&parts.headers)?.unwrap_or(Precondition::Present);
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Now(operation) => operation,
        Begun::Before(answer) => return Ok(answer),
    };
    let pack = operation.pack(&pack)?;
    let Some((principal, row)) = present(&mut operation, &pack, &id, query.kind).await? else {
        return nothing_to_take(&app, operation, "principal", &id).await;
    };
    precondition.check("principal", &id, Some(row.version))?;
    let by = Party::caller(&who.caller.id);
    let ended = principals::delete(&mut operation.changing, &pack, row, &by).await?;
    let made = Made {
        status: StatusCode::OK,
        kind: "principal_deleted",
        target: principal.target(),
        detail: json!({"pack": pack.name(), "ended": ended}),
        body: json!({"ended": ended}),
        location: None,
    };
    operation.finish(made).await
}

/// The principal with this id and its row, unless there is none.
async fn present(
    operation: &mut Operation<'_>,
    pack: &Arc<Pack>,
    id: &str,
    kind: Option<PrincipalType>,
) -> Result<Option<(Principal, EntityRow)>, AdminError> {
    let snapshot = Arc::clone(operation.changing.snapshot());
    let tenant = operation.changing.tenant().to_owned();
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack };
    let principal = match locate(at, id, kind.map(Kind::from)) {
        Ok(principal) => principal,
        Err(AdminError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let row = changeable(&mut operation.changing, pack, &principal.uid).await?;
    Ok(row.map(|row| (principal, row)))
}

/// A call that writes a principal.
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
        kind: Option<PrincipalType>,
        (request, precondition): (ReplacePrincipalRequest, Precondition),
    ) -> Result<Response, ApiError> {
        let Self { app, who, parts, text, pack } = self;
        let mut operation = match Operation::begin(app, who, parts, text).await? {
            Begun::Now(operation) => operation,
            Begun::Before(answer) => return Ok(answer),
        };
        let pack = operation.pack(&pack)?;
        let old = present(&mut operation, &pack, id, kind).await?;
        precondition.check("principal", id, old.as_ref().map(|(_, row)| row.version))?;
        let ReplacePrincipalRequest { kind: wanted, attributes, groups } = request;
        let named: Vec<_> = groups.iter().filter_map(|group| pack.uid(Kind::Group.name(), group)).collect();
        // Who is in a group has what it holds: that is not this right's to give.
        if !groups_between(&pack, old.as_ref().map(|(_, row)| row), &named).is_empty() {
            who.may_about(app, Right::ChangeGroups, &about(&pack, Some(id))).await?;
        }
        let described = Described { attributes: &attributes, groups: &groups };
        let is_new = old.is_none();
        let (principal, row) = match old {
            Some((principal, _)) if wanted.is_some_and(|wanted| Kind::from(wanted) != principal.kind) => {
                let kind = principal.kind.name();
                return Err(ApiError::InvalidRequest(format!("`type` is `{kind}` and does not change")));
            }
            Some((principal, row)) => {
                let row = principals::replace(&mut operation.changing, &pack, (&principal, &row), described)
                    .await?;
                (principal, row)
            }
            None => {
                let kind = Kind::from(wanted.or(kind).unwrap_or_default());
                principals::create(&mut operation.changing, &pack, (kind, id), described).await?
            }
        };
        let status = Status::from_name(&row.status).unwrap_or(Status::Disabled);
        let shown = Shown::of(&pack, &principal.uid, Some(&row));
        let made = Made {
            status: if is_new { StatusCode::CREATED } else { StatusCode::OK },
            kind: if is_new { "principal_created" } else { "principal_changed" },
            target: principal.target(),
            detail: json!({"pack": pack.name(), "groups": groups}),
            body: json!(shown.map(|shown| PrincipalResponse::of(&pack, shown, status))),
            location: is_new.then(|| format!("/v1/principals/{}?pack={}", segment(id), pack.name())),
        };
        operation.finish(made).await
    }
}
