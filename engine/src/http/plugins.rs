//! `/v1/plugins`: which plugins are loaded, what they may, how much they count, and how their calls go.
//!
//! Must never: show a tenant what another tenant's calls came to, nor its modes. What concerns the installation as a
//! whole is for callers of the tenant `default`.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::listing;
use crate::app::App;
use crate::caller::{About, DEFAULT_TENANT, Right};

mod body;
pub(super) mod mode;

use body::{PluginResponse, PluginsResponse, Shown};

const PLUGIN: &str = "plugin";

fn about(name: Option<&str>) -> About<'_> {
    About { target_type: Some(PLUGIN), target_id: name, ..About::default() }
}

/// Whether a caller may know of and change what is everybody's.
fn is_operator(who: &Authenticated<'_>) -> bool {
    who.caller.tenant == DEFAULT_TENANT
}

/// The plugins.
#[utoipa::path(
    get, path = "/v1/plugins", tag = "plugins", operation_id = "list_plugins",
    responses((status = 200, body = PluginsResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn list_plugins(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<PluginsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may_about(&app, Right::ReadPlugins, &about(None)).await?;
    Ok(Json(PluginsResponse { items: all(&app, &who).await?, next: () }))
}

/// One plugin.
#[utoipa::path(
    get, path = "/v1/plugins/{name}", tag = "plugins", operation_id = "read_plugin",
    params(("name" = String, Path, description = "the plugin's name")),
    responses((status = 200, body = PluginResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn read_plugin(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<PluginResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let name = listing::path(path)?;
    who.may_about(&app, Right::ReadPlugins, &about(Some(&name))).await?;
    let found = all(&app, &who).await?.into_iter().find(|plugin| plugin.name == name);
    found.map(Json).ok_or(ApiError::NotFound)
}

async fn all(app: &App, who: &Authenticated<'_>) -> Result<Vec<PluginResponse>, ApiError> {
    let (snapshot, status) = (app.snapshot(), app.plugin_status());
    let rows = app.store.plugin_modes_of(&who.caller.tenant).await?;
    let shown = Shown { tenant: &who.caller.tenant, is_operator: is_operator(who), rows: &rows };
    let mut items: Vec<_> = snapshot
        .plugins()
        .all()
        .map(|installed| shown.installed(installed, status.failures.get(installed.name())))
        .collect();
    if shown.is_operator {
        items.extend(status.unconfigured.iter().map(|name| PluginResponse::unconfigured(name)));
    }
    items.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(items)
}
