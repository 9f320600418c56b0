//! `POST /v1/filter`: which rows of an application's own table a subject may do this to.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{JsonBody, parse};
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::decision::residual::Formula;
use crate::evaluation::filter::{Filter, filter};
use crate::object;
use crate::question::{Act, Asked, Party};
use crate::record::Via;
use crate::store::filter::Dialect;

/// What the rows are.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RowType<'a> {
    /// The type of the resources.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    type_name: Cow<'a, str>,
}

/// To which rows may they do this?
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FilterRequest<'a> {
    #[serde(borrow, deserialize_with = "object::only")]
    subject: Party<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    action: Act<'a>,
    #[serde(borrow, deserialize_with = "object::only")]
    resource: RowType<'a>,
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
    /// Whose SQL is wanted; without it, the answer has the condition alone.
    #[serde(default)]
    dialect: Option<Dialect>,
    /// The pack; the caller's own when there is one.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    pack: Option<Cow<'a, str>>,
}

/// The condition on a row.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct FilterResponse {
    /// `always`: every row; `never`: none; `conditional`: those of which the condition holds.
    outcome: &'static str,
    /// The condition, as a tree.
    #[schema(value_type = Object)]
    condition: Formula,
    /// The condition as SQL, to stand behind `WHERE`, when a dialect was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    sql: Option<String>,
    /// The values of the SQL's parameters, in their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    parameters: Option<Vec<serde_json::Value>>,
    /// The revision that it is of.
    revision: String,
    /// The id of its record in the decision log.
    event_id: String,
}

impl From<Filter> for FilterResponse {
    fn from(filter: Filter) -> Self {
        let outcome = filter.outcome();
        let (sql, parameters) = filter.selection.map(|made| (made.sql, made.parameters)).unzip();
        let revision = filter.revision.to_string();
        Self { outcome, condition: filter.condition, sql, parameters, revision, event_id: filter.id }
    }
}

/// To which rows they may do this.
#[utoipa::path(
    post, path = "/v1/filter", tag = "decisions", operation_id = "filter_rows",
    request_body(content = FilterRequest, content_type = "application/json"),
    responses((status = 200, body = FilterResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 413, body = ProblemBody), (status = 415, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn filter_rows(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<FilterResponse>, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let FilterRequest { subject, action, resource, context, dialect, pack } = parse(body.text())?;
    let resource = Party { type_name: resource.type_name, id: Cow::Borrowed(""), properties: None };
    let asked = Asked { subject, action, resource, context };
    let mut by = who.circumstances(Via::Decide);
    by.pack = pack.as_deref();
    Ok(Json(filter(&app, &by, &asked, dialect).await?.into()))
}
