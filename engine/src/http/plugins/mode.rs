//! `/v1/plugins/{name}/mode`: how much a plugin counts, in the place of what the configuration says.
//!
//! Promises: a caller changes its own tenant's modes alone; those of all tenants are for callers of the tenant `default`. A
//! change is in the store, so every node honours it within the second.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::caller::Authenticated;
use super::super::error::{ApiError, ProblemBody};
use super::super::management::{Begun, Made, Operation, Precondition, made_before, nothing_to_take};
use super::super::{listing, posted};
use super::body::ModeResponse;
use super::{about, is_operator};
use crate::administration::AdminError;
use crate::app::App;
use crate::caller::Right;
use crate::plugin::Mode;
use crate::route::Route;
use crate::store::plugin_modes::PluginModeRow;

/// The most modes that a tenant has for one plugin: each is looked at on the path of a decision.
const MOST_MODES: usize = 100;
const MODE: &str = "mode";

/// How much a plugin is to count, and where.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct PluginModeRequest {
    mode: Mode,
    /// The caller's own tenant; without it for all tenants, which is for callers of the tenant `default`.
    #[serde(default)]
    tenant: Option<String>,
    /// For which requests, as `GET /orders/*`; without it for all.
    #[serde(default)]
    route: Option<String>,
}

/// Which mode.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PluginModeQuery {
    /// The caller's own tenant; without it the mode of all tenants.
    tenant: Option<String>,
    /// Its route; without it the mode of all routes.
    route: Option<String>,
}

/// Says how much a plugin counts.
#[utoipa::path(
    put, path = "/v1/plugins/{name}/mode", tag = "plugins", operation_id = "put_plugin_mode",
    params(("name" = String, Path, description = "the plugin's name"),
        ("If-Match" = Option<String>, Header, description = "the mode's version, or `*`, to replace"),
        ("If-None-Match" = Option<String>, Header, description = "`*`, to make")),
    request_body(content = PluginModeRequest, content_type = "application/json"),
    responses((status = 200, body = ModeResponse), (status = 201, body = ModeResponse), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 412, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn put_plugin_mode(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let name = listing::path(path)?;
    let posted = posted::read::<PluginModeRequest>(&app, &parts, body).await;
    who.may_about(&app, Right::ManagePlugins, &about(Some(&name))).await?;
    let PluginModeRequest { mode, tenant, route } = posted.said?;
    let (tenant, route) = place(&who, tenant.as_deref(), route.as_deref())?;
    // A plugin that is not there has no mode: a name that is mistyped must not look as if it had been heard.
    app.snapshot().plugins().find(&name).ok_or(ApiError::NotFound)?;
    let precondition = Precondition::read(&parts.headers)?;
    let mut operation = match Operation::begin(&app, &who, &parts, &posted.text).await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let present = changing.plugin_mode([&tenant, &name, &route]).await.map_err(AdminError::from)?;
    let present = present.filter(|row| row.mode.is_some());
    if let Some(precondition) = precondition {
        precondition.check(MODE, &name, present.as_ref().map(|row| row.version))?;
    }
    if let Some(row) = present.as_ref().filter(|row| row.mode.as_deref() == Some(mode.name())) {
        let (version, body) = (row.version, json!(ModeResponse::of_row(row)));
        return made_before(&app, operation, version, body).await;
    }
    if present.is_none()
        && changing.count_plugin_modes(&tenant, &name).await.map_err(AdminError::from)? >= MOST_MODES
    {
        let message = format!("has {MOST_MODES} modes for this plugin already: take some away first");
        return Err(AdminError::Invalid { field: "tenant".into(), message }.into());
    }
    let row = PluginModeRow {
        tenant_id: tenant,
        plugin: name,
        route,
        mode: Some(mode.name().to_owned()),
        updated_at: changing.now(),
        version: changing.sequence(),
    };
    let status = if present.is_some() { StatusCode::OK } else { StatusCode::CREATED };
    write(operation, row, (status, "plugin_mode_set")).await
}

/// Takes a mode back: what says less counts then, and the configuration in the end.
#[utoipa::path(
    delete, path = "/v1/plugins/{name}/mode", tag = "plugins", operation_id = "delete_plugin_mode",
    params(("name" = String, Path, description = "the plugin's name"), PluginModeQuery,
        ("If-Match" = Option<String>, Header, description = "the mode's version, or `*`")),
    responses((status = 200, body = Object), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 412, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn delete_plugin_mode(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let name = listing::path(path)?;
    let query: Result<PluginModeQuery, _> = listing::query(&parts);
    who.may_about(&app, Right::ManagePlugins, &about(Some(&name))).await?;
    let PluginModeQuery { tenant, route } = query?;
    let (tenant, route) = place(&who, tenant.as_deref(), route.as_deref())?;
    let precondition = Precondition::read(&parts.headers)?.unwrap_or(Precondition::Present);
    let mut operation = match Operation::begin(&app, &who, &parts, "").await? {
        Begun::Before(answer) => return Ok(answer),
        Begun::Now(operation) => operation,
    };
    let changing = &mut operation.changing;
    let present = changing.plugin_mode([&tenant, &name, &route]).await.map_err(AdminError::from)?;
    let Some(row) = present.filter(|row| row.mode.is_some()) else {
        return nothing_to_take(&app, operation, MODE, &name).await;
    };
    precondition.check(MODE, &name, Some(row.version))?;
    let (updated_at, version) = (changing.now(), changing.sequence());
    let row = PluginModeRow { mode: None, updated_at, version, ..row };
    write(operation, row, (StatusCode::OK, "plugin_mode_deleted")).await
}

async fn write(
    mut operation: Box<Operation<'_>>,
    row: PluginModeRow,
    (status, kind): (StatusCode, &'static str),
) -> Result<Response, ApiError> {
    let of = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let detail = json!({"tenant": of(&row.tenant_id), "route": of(&row.route), "mode": row.mode});
    let body = match ModeResponse::of_row(&row) {
        Some(shown) => json!(shown),
        None => json!({"plugin": row.plugin}),
    };
    let target = row.plugin.clone();
    operation.changing.put_plugin_mode(row).await.map_err(AdminError::from)?;
    operation.finish(Made { status, kind, target, detail, body, location: None }).await
}

/// The tenant and route that are meant, as the store has them.
fn place(
    who: &Authenticated<'_>,
    tenant: Option<&str>,
    route: Option<&str>,
) -> Result<(String, String), ApiError> {
    let own = who.caller.tenant.as_str();
    match tenant {
        None if is_operator(who) => {}
        None => {
            let message =
                format!("must be `{own}`: modes of all tenants are for callers of the tenant `default`");
            return Err(AdminError::Invalid { field: "tenant".into(), message }.into());
        }
        Some(tenant) if tenant == own => {}
        Some(tenant) => {
            let (field, id) = ("tenant".into(), tenant.to_owned());
            return Err(AdminError::UnknownReference { field, kind: "tenant", id }.into());
        }
    }
    let route = route.map(str::parse::<Route>).transpose();
    let route = route.map_err(|message| ApiError::InvalidRequest(format!("`route`: {message}")))?;
    Ok((tenant.unwrap_or_default().to_owned(), route.map(|route| route.to_string()).unwrap_or_default()))
}
