//! `/v1/entities`: resources and whatever else policies judge by.
//!
//! Principals, groups and roles are shown here too, and written through their own resources.

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
use super::bulk::{bulk_entities, is_ndjson};
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::listing::{self, Place, segment, shown_time};
use super::management::{Begun, Made, Operation, Precondition, choose_pack, nothing_to_take, show};
use super::posted::{self, Posted};
use crate::administration::entities::{self, Draft, changeable};
use crate::administration::shown::{self, Shown, Source, named};
use crate::administration::tenancy::{Page, Tenancy};
use crate::administration::type_of;
use crate::app::App;
use crate::caller::{About, Right};
use crate::entity::{Kind, Named, Status};
use crate::policy::Pack;

/// A type and an id.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Reference {
    /// The type, as AuthZEN or Cedar names it; answers have Cedar's.
    #[serde(rename = "type")]
    type_name: String,
    /// The id.
    id: String,
}

/// A new entity.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateEntityRequest {
    /// The type, as AuthZEN or Cedar names it.
    #[serde(rename = "type")]
    type_name: String,
    /// The application's own id, from 1 to 512 bytes.
    id: String,
    /// In Cedar's JSON form of entities, as the pack's schema has them.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// What it is in; these need not exist.
    #[serde(default, deserialize_with = "crate::object::list")]
    parents: Vec<Reference>,
    /// Tags, in the same form.
    #[serde(default)]
    #[schema(value_type = Object)]
    tags: Map<String, Value>,
}

/// What an entity is from now on.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplaceEntityRequest {
    /// In Cedar's JSON form of entities, as the pack's schema has them.
    #[serde(default)]
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// What it is in; these need not exist.
    #[serde(default, deserialize_with = "crate::object::list")]
    parents: Vec<Reference>,
    /// Tags, in the same form.
    #[serde(default)]
    #[schema(value_type = Object)]
    tags: Map<String, Value>,
}

/// An entity.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntityResponse {
    /// Its Cedar type.
    #[serde(rename = "type")]
    type_name: String,
    /// Its id.
    id: String,
    /// Its pack.
    pack: String,
    /// Who says what it is: the store, or the pack's own files.
    source: Source,
    /// In Cedar's JSON form of entities.
    #[schema(value_type = Object)]
    attributes: Value,
    /// What it is directly in.
    parents: Vec<Reference>,
    /// Tags, in the same form.
    #[schema(value_type = Object)]
    tags: Value,
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

/// A page of entities, by type and id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntitiesResponse {
    /// The entities.
    items: Vec<EntityResponse>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// What is gone.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntityDeletedResponse {
    /// The number of the change, for `at_least_revision`.
    revision: u64,
}

/// Which pack.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PackQuery {
    /// The pack; by default the caller's, or the only one.
    pub(super) pack: Option<String>,
}

/// Which entities.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EntitiesQuery {
    /// The pack; by default the caller's, or the only one.
    pack: Option<String>,
    /// Only this type, as AuthZEN or Cedar names it.
    #[serde(rename = "type")]
    type_name: Option<String>,
    /// How many, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl EntityResponse {
    fn of(pack: &Pack, shown: Shown) -> Self {
        let reference = |(type_name, id): Named| Reference { type_name, id };
        Self {
            type_name: shown.type_name,
            id: shown.id,
            pack: pack.name().to_owned(),
            source: shown.source,
            attributes: shown.attributes,
            parents: shown.parents.into_iter().map(reference).collect(),
            tags: shown.tags,
            created_at: shown_time(shown.created_at),
            updated_at: shown_time(shown.updated_at),
            version: shown.version,
            revision: None,
        }
    }
}

/// An entity, of the store or of the pack's own files.
#[utoipa::path(
    get, path = "/v1/entities/{type}/{id}", tag = "entities", operation_id = "read_entity",
    params(PackQuery, ("type" = String, Path, description = "the type, as AuthZEN or Cedar names it"),
        ("id" = String, Path, description = "the id, percent-encoded")),
    responses((status = 200, body = EntityResponse), (status = 304, description = "`If-None-Match` names the version"),
        (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn read_entity(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let (type_name, id) = listing::path(path)?;
    who.may_about(&app, Right::ReadEntities, &about(&pack, Some(&type_name), Some(&id))).await?;
    let uid = entities::name_to_read(&pack, &type_name, &id).ok_or(ApiError::NotFound)?;
    let snapshot = app.snapshot();
    let at = Tenancy { snapshot: &snapshot, tenant: &who.caller.tenant, pack: &pack };
    let found = shown::find(&app.store, at, &uid).await?.ok_or(ApiError::NotFound)?;
    Ok(show(&parts.headers, found.version, json!(EntityResponse::of(&pack, found))))
}

/// Entities by type and id.
#[utoipa::path(
    get, path = "/v1/entities", tag = "entities", operation_id = "list_entities", params(EntitiesQuery),
    responses((status = 200, body = EntitiesResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn list_entities(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<EntitiesResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: EntitiesQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    who.may_about(&app, Right::ReadEntities, &about(&pack, query.type_name.as_deref(), None)).await?;
    let types = match &query.type_name {
        Some(name) => Some(vec![type_of(&pack, name)?]),
        None => None,
    };
    let tenant = &who.caller.tenant;
    let parameters = ["entities", tenant, pack.name(), query.type_name.as_deref().unwrap_or("*")];
    let place = Place::read(&app, (query.limit, query.cursor.as_deref()), &parameters)?;
    let snapshot = app.snapshot();
    let at = Tenancy { snapshot: &snapshot, tenant, pack: &pack };
    let page = Page { after: (&place.after.0, &place.after.1), limit: place.limit + 1 };
    let found = shown::list(&app.store, at, types.as_deref(), page).await?;
    let name = |shown: &Shown| (shown.type_name.clone(), shown.id.clone());
    let page = place.page(&app, found, name, |shown| EntityResponse::of(&pack, shown));
    Ok(Json(EntitiesResponse { items: page.items, next: page.next }))
}

/// Makes an entity; with NDJSON, many, in one change.
#[utoipa::path(
    post, path = "/v1/entities", tag = "entities", operation_id = "create_entity",
    params(PackQuery, ("idempotency-key" = Option<String>, Header, description = "makes repeating the call safe")),
    request_body(content((CreateEntityRequest = "application/json"), (String = "application/x-ndjson")),
        description = "one entity, or one a line, in Cedar's form or in this one"),
    responses((status = 200, body = String, content_type = "application/x-ndjson",
            description = "of many: lines with `received`, and a last one with `created`, `updated`, `unchanged` and `revision`, or with `problem`"),
        (status = 201, body = EntityResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn create_entity(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    if is_ndjson(&parts.headers) {
        return bulk_entities(&app, &who, pack, &parts, body).await;
    }
    let posted: Posted<CreateEntityRequest> = posted::read(&app, &parts, body).await;
    let said = posted.said.as_ref().ok();
    let target = about(&pack, said.map(|said| said.type_name.as_str()), said.map(|said| said.id.as_str()));
    who.may_about(&app, Right::ChangeEntities, &target).await?;
    let CreateEntityRequest { type_name, id, attributes, parents, tags } = posted.said?;
    let request = ReplaceEntityRequest { attributes, parents, tags };
    let called = Called { app: &app, who: &who, parts: &parts, text: &posted.text, pack };
    called.write(&type_name, &id, (request, Precondition::Absent)).await
}

/// Says anew what an entity is, or makes it.
#[utoipa::path(
    put, path = "/v1/entities/{type}/{id}", tag = "entities", operation_id = "replace_entity",
    params(PackQuery, ("type" = String, Path, description = "the type, as AuthZEN or Cedar names it"),
        ("id" = String, Path, description = "the id, percent-encoded"),
        ("if-match" = Option<String>, Header, description = "the version that is replaced, or `*`"),
        ("if-none-match" = Option<String>, Header, description = "`*`: it is a new one")),
    request_body(content = ReplaceEntityRequest, content_type = "application/json"),
    responses((status = 200, body = EntityResponse), (status = 201, body = EntityResponse), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 428, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn replace_entity(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let (type_name, id) = listing::path(path)?;
    who.may_about(&app, Right::ChangeEntities, &about(&pack, Some(&type_name), Some(&id))).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let precondition = Precondition::required(&parts.headers)?;
    refuse_duplicates(body.text())?;
    let request: ReplaceEntityRequest = body.parse()?;
    let called = Called { app: &app, who: &who, parts: &parts, text: body.text(), pack };
    called.write(&type_name, &id, (request, precondition)).await
}

/// Deletes an entity.
#[utoipa::path(
    delete, path = "/v1/entities/{type}/{id}", tag = "entities", operation_id = "delete_entity",
    params(PackQuery, ("type" = String, Path, description = "the type, as AuthZEN or Cedar names it"),
        ("id" = String, Path, description = "the id, percent-encoded"),
        ("if-match" = Option<String>, Header, description = "the version that is deleted, or `*`")),
    responses((status = 200, body = EntityDeletedResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 412, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn delete_entity(
    State(app): State<Arc<App>>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PackQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let (type_name, id) = listing::path(path)?;
    who.may_about(&app, Right::ChangeEntities, &about(&pack, Some(&type_name), Some(&id))).await?;
    let precondition = Precondition::read(&parts.headers)?.unwrap_or(Precondition::Present);
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Now(operation) => operation,
        Begun::Before(answer) => return Ok(answer),
    };
    let pack = operation.pack(&pack)?;
    let uid = entities::name_to_delete(&pack, &type_name, &id)?;
    let Some(row) = changeable(&mut operation.changing, &pack, &uid).await? else {
        return nothing_to_take(&app, operation, "entity", &id).await;
    };
    precondition.check("entity", &id, Some(row.version))?;
    if !entities::groups_between(&pack, Some(&row), &[]).is_empty() {
        who.may_about(&app, Right::ChangeGroups, &about(&pack, Some(&type_name), Some(&id))).await?;
    }
    entities::delete(&mut operation.changing, row).await?;
    let made = Made {
        status: StatusCode::OK,
        kind: "entity_deleted",
        target: uid.to_string(),
        detail: json!({"pack": pack.name()}),
        body: json!({}),
        location: None,
    };
    operation.finish(made).await
}

fn about<'a>(pack: &'a Pack, type_name: Option<&'a str>, id: Option<&'a str>) -> About<'a> {
    About { pack: Some(pack.name()), target_type: type_name, target_id: id, role: None }
}

/// A call that writes an entity.
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
        type_name: &str,
        id: &str,
        (request, precondition): (ReplaceEntityRequest, Precondition),
    ) -> Result<Response, ApiError> {
        let Self { app, who, parts, text, pack } = self;
        let mut operation = match Operation::begin(app, who, parts, text).await? {
            Begun::Now(operation) => operation,
            Begun::Before(answer) => return Ok(answer),
        };
        let pack = operation.pack(&pack)?;
        let uid = entities::name(&pack, type_name, id)?;
        let present = changeable(&mut operation.changing, &pack, &uid).await?;
        precondition.check("entity", id, present.as_ref().map(|row| row.version))?;
        let asked: Vec<Named> =
            request.parents.into_iter().map(|parent| (parent.type_name, parent.id)).collect();
        let parents = entities::parents(&pack, &asked)?;
        // Who is in a group has what it holds: that is not this right's to give.
        if !entities::groups_between(&pack, present.as_ref(), &parents).is_empty() {
            who.may_about(app, Right::ChangeGroups, &about(&pack, Some(type_name), Some(id))).await?;
        }
        let draft = Draft {
            uid: &uid,
            kind: Kind::Entity,
            attributes: &request.attributes,
            tags: &request.tags,
            parents,
            status: Status::Active,
        };
        let row = entities::write(&mut operation.changing, &pack, draft, present.as_ref()).await?;
        let is_new = present.is_none();
        let (type_name, id) = named(&uid);
        let made = Made {
            status: if is_new { StatusCode::CREATED } else { StatusCode::OK },
            kind: if is_new { "entity_created" } else { "entity_changed" },
            target: uid.to_string(),
            detail: json!({"pack": pack.name()}),
            body: json!(Shown::of(&pack, &uid, Some(&row)).map(|shown| EntityResponse::of(&pack, shown))),
            location: is_new.then(|| {
                format!("/v1/entities/{}/{}?pack={}", segment(&type_name), segment(&id), pack.name())
            }),
        };
        operation.finish(made).await
    }
}
