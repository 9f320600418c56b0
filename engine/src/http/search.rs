//! `POST /access/v1/search/subject`, `/resource` and `/action` (OpenID AuthZEN Authorization API 1.0), and the same a pack.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{JsonBody, parse};
use super::caller::Authenticated;
use super::error::{ApiError, AuthzenError};
use crate::app::App;
use crate::evaluation::search::{Found, Page, Target, search};
use crate::object;
use crate::question::{Act, Asked, Party};
use crate::record::Via;

/// Which page, as a request says it.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
pub(super) struct PageRequest<'a> {
    /// `page.next_token` of the page before.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    token: Option<Cow<'a, str>>,
    /// The most results on the page, from 1; 100 by default, 1,000 at most.
    #[serde(default)]
    #[schema(minimum = 1)]
    limit: Option<u64>,
}

/// What is searched for: a type without an id.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct Sought<'a> {
    /// Its type.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    type_name: Cow<'a, str>,
    /// Ignored.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[expect(dead_code, reason = "an id is taken, and says nothing")]
    id: Option<IgnoredAny>,
    /// What the application says of each.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    properties: Option<&'a RawValue>,
}

impl<'a> From<Sought<'a>> for Party<'a> {
    fn from(sought: Sought<'a>) -> Self {
        Self { type_name: sought.type_name, id: Cow::Borrowed(""), properties: sought.properties }
    }
}

/// Who may do this to that?
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct SubjectSearchRequest<'a> {
    #[serde(borrow, deserialize_with = "object::only")]
    subject: Sought<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    action: Act<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    resource: Party<'a>,
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "object::optional")]
    page: Option<PageRequest<'a>>,
    /// Whether the answer tells how it was found, in `page.properties`.
    #[serde(default)]
    explain: bool,
}

/// To what may they do this?
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct ResourceSearchRequest<'a> {
    #[serde(borrow, deserialize_with = "object::only")]
    subject: Party<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    action: Act<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    resource: Sought<'a>,
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "object::optional")]
    page: Option<PageRequest<'a>>,
    /// Whether the answer tells how it was found, in `page.properties`.
    #[serde(default)]
    explain: bool,
}

/// What may they do to that?
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct ActionSearchRequest<'a> {
    #[serde(borrow, deserialize_with = "object::only")]
    subject: Party<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    resource: Party<'a>,
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "object::optional")]
    page: Option<PageRequest<'a>>,
    /// Whether the answer tells how it was found, in `page.properties`.
    #[serde(default)]
    explain: bool,
}

/// A subject or a resource that was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FoundEntity {
    /// Its type, as the request named it.
    #[serde(rename = "type")]
    type_name: String,
    /// Its id.
    id: String,
}

/// An action that was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FoundAction {
    /// Its name.
    name: String,
}

/// How a page was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PageProperties {
    /// `index` when policies named the candidates or what they are in, `trial` when all of the type were tried.
    by: &'static str,
    /// How many candidates were evaluated for this page.
    evaluated: usize,
}

/// The page that an answer is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PageResponse {
    /// What the next page is had by; empty at the end.
    next_token: String,
    /// How many results are on this page.
    count: usize,
    /// How it was found, when the request asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<PageProperties>,
}

/// What was found, in the order of ids.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct EntitySearchResponse {
    /// The entities.
    results: Vec<FoundEntity>,
    /// The page; absent when nobody asked for one and this is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageResponse>,
}

/// What was found, in the order of names.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ActionSearchResponse {
    /// The actions.
    results: Vec<FoundAction>,
    /// The page; absent when nobody asked for one and this is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<PageResponse>,
}

/// What the three requests share.
struct Searching<'a> {
    asked: Asked<'a>,
    target: Target,
    page: Option<PageRequest<'a>>,
    explain: bool,
}

type PackInPath = Option<Path<String>>;

impl Searching<'_> {
    async fn run(
        &self,
        app: &App,
        who: &Authenticated<'_>,
        path: &PackInPath,
    ) -> Result<(Found, Option<PageResponse>), ApiError> {
        let page = self.page.as_ref();
        let limit = page.and_then(|page| page.limit);
        if limit == Some(0) {
            return Err(ApiError::InvalidRequest("`page.limit` must be at least 1".into()));
        }
        let wanted = Page {
            token: page.and_then(|page| page.token.as_deref()),
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
        };
        let mut by = who.circumstances(Via::Authzen);
        by.pack = path.as_ref().map(|Path(pack)| pack.as_str());
        let found = search(app, &by, &self.asked, self.target, wanted).await?;
        let properties = self.explain.then_some(PageProperties { by: found.by, evaluated: found.evaluated });
        let shown = page.is_some() || found.next.is_some() || properties.is_some();
        let page = shown.then(|| PageResponse {
            next_token: found.next.clone().unwrap_or_default(),
            count: found.ids.len(),
            properties,
        });
        Ok((found, page))
    }

    async fn entities(
        &self,
        app: &App,
        who: &Authenticated<'_>,
        path: &PackInPath,
    ) -> Result<Json<EntitySearchResponse>, AuthzenError> {
        let (found, page) = self.run(app, who, path).await?;
        let Asked { subject, resource, .. } = &self.asked;
        let type_name = if self.target == Target::Subject { &subject.type_name } else { &resource.type_name };
        let shown = |id: smol_str::SmolStr| FoundEntity { type_name: type_name.to_string(), id: id.into() };
        Ok(Json(EntitySearchResponse { results: found.ids.into_iter().map(shown).collect(), page }))
    }
}

/// Who may do this to that.
#[utoipa::path(
    post, path = "/access/v1/search/subject", tag = "authzen", operation_id = "search_subjects",
    request_body(content = SubjectSearchRequest, content_type = "application/json"),
    responses((status = 200, body = EntitySearchResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"), (status = 503, body = String, content_type = "text/plain"))
)]
pub(super) async fn search_subjects(
    State(app): State<Arc<App>>,
    path: PackInPath,
    request: Request,
) -> Result<Json<EntitySearchResponse>, AuthzenError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let SubjectSearchRequest { subject, action, resource, context, page, explain } = parse(body.text())?;
    let asked = Asked { subject: subject.into(), action, resource, context };
    Searching { asked, target: Target::Subject, page, explain }.entities(&app, &who, &path).await
}

/// To what they may do this.
#[utoipa::path(
    post, path = "/access/v1/search/resource", tag = "authzen", operation_id = "search_resources",
    request_body(content = ResourceSearchRequest, content_type = "application/json"),
    responses((status = 200, body = EntitySearchResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"), (status = 503, body = String, content_type = "text/plain"))
)]
pub(super) async fn search_resources(
    State(app): State<Arc<App>>,
    path: PackInPath,
    request: Request,
) -> Result<Json<EntitySearchResponse>, AuthzenError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let ResourceSearchRequest { subject, action, resource, context, page, explain } = parse(body.text())?;
    let asked = Asked { subject, action, resource: resource.into(), context };
    Searching { asked, target: Target::Resource, page, explain }.entities(&app, &who, &path).await
}

/// What they may do to that.
#[utoipa::path(
    post, path = "/access/v1/search/action", tag = "authzen", operation_id = "search_actions",
    request_body(content = ActionSearchRequest, content_type = "application/json"),
    responses((status = 200, body = ActionSearchResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"), (status = 503, body = String, content_type = "text/plain"))
)]
pub(super) async fn search_actions(
    State(app): State<Arc<App>>,
    path: PackInPath,
    request: Request,
) -> Result<Json<ActionSearchResponse>, AuthzenError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let ActionSearchRequest { subject, resource, context, page, explain } = parse(body.text())?;
    let action = Act { name: Cow::Borrowed(""), properties: None };
    let asked = Asked { subject, action, resource, context };
    let searching = Searching { asked, target: Target::Action, page, explain };
    let (found, page) = searching.run(&app, &who, &path).await?;
    let results = found.ids.into_iter().map(|name| FoundAction { name: name.into() }).collect();
    Ok(Json(ActionSearchResponse { results, page }))
}

macro_rules! of_pack {
    ($name:ident, $path:literal, $id:literal, $request:ident, $response:ident, $doc:literal) => {
        #[doc = $doc]
        #[utoipa::path(
            post, path = $path, tag = "authzen", operation_id = $id,
            params(("pack" = String, Path, description = "the pack's name")),
            request_body(content = $request, content_type = "application/json"),
            responses((status = 200, body = $response), (status = 400, body = String, content_type = "text/plain"),
                (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
                (status = 413, body = String, content_type = "text/plain"), (status = 503, body = String, content_type = "text/plain"))
        )]
        #[expect(dead_code, reason = "carries the description of the pack's path; the handler is the server's own")]
        pub(super) fn $name() {}
    };
}

of_pack!(
    search_subjects_in_pack,
    "/packs/{pack}/access/v1/search/subject",
    "search_subjects_in_pack",
    SubjectSearchRequest,
    EntitySearchResponse,
    "Who may do this to that, by one pack."
);
of_pack!(
    search_resources_in_pack,
    "/packs/{pack}/access/v1/search/resource",
    "search_resources_in_pack",
    ResourceSearchRequest,
    EntitySearchResponse,
    "To what they may do this, by one pack."
);
of_pack!(
    search_actions_in_pack,
    "/packs/{pack}/access/v1/search/action",
    "search_actions_in_pack",
    ActionSearchRequest,
    ActionSearchResponse,
    "What they may do to that, by one pack."
);
