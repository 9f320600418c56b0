//! `GET /healthz` and `GET /readyz`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::caller::Right;

/// Whether the process serves.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct HealthResponse {
    /// `ok`.
    status: &'static str,
}

/// Whether the server can decide.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ReadinessResponse {
    /// `ready`, or `unready`.
    status: &'static str,
    /// For those who may know.
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
}

/// What stands behind readiness.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Details {
    /// What is served.
    revision: String,
    /// The packs that can be asked.
    packs: Vec<PackDetails>,
    /// Policy files, the last time that they changed.
    reload: ReloadDetails,
    /// Plugins, the last time that their files changed.
    plugins: PluginDetails,
    /// The bundle that policies and plugins come from, if they come from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<BundleDetails>,
    /// The decision log.
    decision_log: LogDetails,
    /// What this node knows of the store.
    store: StoreDetails,
}

/// What a node knows of the store.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct StoreDetails {
    /// `sqlite` or `postgresql`.
    kind: &'static str,
    /// How old what it knows may be, in milliseconds. Above 700, the store is asked before a decision.
    age_milliseconds: u64,
    /// How far this machine's clock is behind the one that nodes share, in milliseconds.
    clock_offset_milliseconds: i64,
}

/// A pack that is served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PackDetails {
    /// Its name.
    name: String,
    /// Its version, as it says itself.
    version: String,
    /// How many policies it has.
    policies: usize,
    /// How many entities it has.
    entities: usize,
    /// What is worth a word.
    warnings: Vec<String>,
}

/// How the last load went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ReloadDetails {
    /// When what is served was loaded.
    loaded_at: Option<String>,
    /// When files were last looked at.
    tried_at: Option<String>,
    /// Why they are not what is served.
    error: Option<String>,
}

/// Which plugins are served.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct PluginDetails {
    /// How many.
    loaded: usize,
    /// Those whose files can't be loaded; the build before is served on.
    failed: Vec<String>,
}

/// The bundle that is followed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct BundleDetails {
    /// The file or URL that it is had from.
    source: String,
    /// The version that is served.
    version: u64,
    /// The digest of its manifest.
    digest: String,
    /// When it began to be served.
    taken_at: Option<String>,
    /// When the source was last asked.
    polled_at: Option<String>,
    /// Why what the source has is not served.
    error: Option<String>,
}

/// How far the decision log is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct LogDetails {
    /// The node whose log it is.
    node: String,
    /// The last sequence number.
    sequence: u64,
    /// The last record that a checkpoint of this process covers.
    checkpoint_sequence: u64,
    /// Gap records written.
    gaps: u64,
    /// Appends that failed.
    write_errors: u64,
    /// Records that are written and not yet in the index.
    index_lag_records: u64,
}

/// `?details=true`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadinessQuery {
    /// Whether details are wanted; they need a key.
    #[serde(default)]
    details: bool,
}

/// Whether the process serves.
#[utoipa::path(get, path = "/healthz", tag = "operation", security(()), responses((status = 200, body = HealthResponse)))]
pub(super) async fn read_health() -> Json<HealthResponse> {
    Json(HealthResponse { status: "ok" })
}

/// Whether the server can decide.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", params(ReadinessQuery), security((), ("caller_key" = [])),
    responses((status = 200, body = ReadinessResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 503, body = ReadinessResponse))
)]
pub(super) async fn read_readiness(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let Query(query) = Query::<ReadinessQuery>::try_from_uri(&parts.uri)
        .map_err(|error| ApiError::InvalidRequest(error.body_text()))?;
    let ready = app.is_fresh().await && app.can_record().await;
    let (status, word) =
        if ready { (StatusCode::OK, "ready") } else { (StatusCode::SERVICE_UNAVAILABLE, "unready") };
    let mut response = ReadinessResponse { status: word, details: None };
    if query.details {
        let who = Authenticated::of(&app, &parts).await?;
        who.may(&app, Right::ReadReadiness).await?;
        response.details = Some(details(&app));
    }
    Ok((status, Json(response)).into_response())
}

fn details(app: &App) -> Details {
    let snapshot = app.snapshot();
    let reload = app.reload_status();
    let log = app.log.stats();
    let packs = snapshot.packs().map(|pack| PackDetails {
        name: pack.name().to_owned(),
        version: pack.settings.version.clone(),
        policies: pack.rules.all.len(),
        entities: pack.entities.count(),
        warnings: pack.warnings.iter().map(ToString::to_string).collect(),
    });
    Details {
        revision: snapshot.revision.to_string(),
        packs: packs.collect(),
        reload: ReloadDetails {
            loaded_at: reload.loaded_at.to_rfc3339(),
            tried_at: reload.tried_at.to_rfc3339(),
            error: reload.error,
        },
        plugins: PluginDetails {
            loaded: snapshot.plugins().all().count(),
            failed: app.plugin_status().failures.into_keys().collect(),
        },
        bundle: app.bundle_status().map(|bundle| BundleDetails {
            source: bundle.source,
            version: bundle.version,
            digest: bundle.digest,
            taken_at: bundle.taken_at.to_rfc3339(),
            polled_at: bundle.polled_at.to_rfc3339(),
            error: bundle.error,
        }),
        decision_log: LogDetails {
            node: app.log.node().to_owned(),
            sequence: log.last_seq,
            checkpoint_sequence: log.checkpoint_seq,
            gaps: log.gaps,
            write_errors: log.write_errors,
            index_lag_records: log.index_lag_records,
        },
        store: StoreDetails {
            kind: if app.store.is_shared() { "postgresql" } else { "sqlite" },
            age_milliseconds: u64::try_from(app.knowledge_age().as_millis()).unwrap_or(u64::MAX),
            clock_offset_milliseconds: app.clock_offset_us() / 1_000,
        },
    }
}
