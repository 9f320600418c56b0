//! `GET /.well-known/authzen-configuration`: where the policy decision point is (AuthZEN 1.0, "PDP Metadata").
//!
//! Open to everyone, so it says the same for every well-formed pack name: a stranger can't list packs. URLs come
//! from configuration or the listening address, never from a request.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;

use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::policy::settings::is_pack_name;

/// Where to ask.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct MetadataResponse {
    /// The base of the policy decision point.
    policy_decision_point: String,
    /// Where one question goes.
    access_evaluation_endpoint: String,
    /// Where a list of questions goes.
    access_evaluations_endpoint: String,
    /// Where it is asked who may do something.
    search_subject_endpoint: String,
    /// Where it is asked to what something may be done.
    search_resource_endpoint: String,
    /// Where it is asked what may be done.
    search_action_endpoint: String,
}

impl MetadataResponse {
    fn at(base: String) -> Json<Self> {
        Json(Self {
            access_evaluation_endpoint: format!("{base}/access/v1/evaluation"),
            access_evaluations_endpoint: format!("{base}/access/v1/evaluations"),
            search_subject_endpoint: format!("{base}/access/v1/search/subject"),
            search_resource_endpoint: format!("{base}/access/v1/search/resource"),
            search_action_endpoint: format!("{base}/access/v1/search/action"),
            policy_decision_point: base,
        })
    }
}

/// The server as a policy decision point.
#[utoipa::path(
    get, path = "/.well-known/authzen-configuration", tag = "authzen", security(()),
    responses((status = 200, body = MetadataResponse))
)]
pub(super) async fn of_server(State(app): State<Arc<App>>) -> Json<MetadataResponse> {
    MetadataResponse::at(app.base_url().to_owned())
}

/// A pack as a policy decision point of its own.
#[utoipa::path(
    get, path = "/.well-known/authzen-configuration/packs/{pack}", tag = "authzen", security(()),
    params(("pack" = String, Path, description = "the pack's name")),
    responses((status = 200, body = MetadataResponse), (status = 404, body = ProblemBody))
)]
pub(super) async fn of_pack(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Json<MetadataResponse>, ApiError> {
    let Path(pack) = path.map_err(|_| ApiError::NotFound)?;
    if !is_pack_name(&pack) {
        return Err(ApiError::NotFound);
    }
    Ok(MetadataResponse::at(format!("{}/packs/{pack}", app.base_url())))
}
