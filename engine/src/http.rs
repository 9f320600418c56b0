//! The HTTP API: every route in one table.
//!
//! Promises: bodies, headers, batches and nesting have limits; an error says what a stranger can act on and
//! nothing of the inside; a defect ends one request and not the server. The only status codes are here.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

pub use decide::offline;

mod assignments;
mod authzen;
mod batch;
mod body;
mod caller;
mod cursor;
mod decide;
mod decisions;
mod drain;
mod elevations;
mod error;
mod health;
pub mod listen;
mod management;
mod metadata;
mod metrics;
mod openapi;
mod parties;
mod posted;
mod roles;
mod simulate;
mod tls;

/// Every route.
pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/access/v1/evaluation", post(authzen::evaluate))
        .route("/access/v1/evaluations", post(authzen::evaluate_batch))
        .route("/packs/{pack}/access/v1/evaluation", post(authzen::evaluate))
        .route("/packs/{pack}/access/v1/evaluations", post(authzen::evaluate_batch))
        .route("/.well-known/authzen-configuration", get(metadata::of_server))
        .route("/.well-known/authzen-configuration/packs/{pack}", get(metadata::of_pack))
        .route("/packs/{pack}/.well-known/authzen-configuration", get(metadata::of_pack))
        .route("/v1/decide", post(decide::decide))
        .route("/v1/policies/simulate", post(simulate::simulate_policies))
        .route("/v1/decisions", get(decisions::list_decisions))
        .route("/v1/decisions/{id}", get(decisions::read_decision))
        .route("/v1/roles", get(roles::list_roles).post(roles::create_role))
        .route("/v1/roles/{id}", get(roles::read_role).put(roles::put_role).delete(roles::delete_role))
        .route(
            "/v1/role-assignments",
            get(assignments::list_assignments).post(assignments::create_assignment),
        )
        .route(
            "/v1/role-assignments/{id}",
            get(assignments::read_assignment).delete(assignments::revoke_assignment),
        )
        .route("/v1/role-assignments/{id}/approve", post(assignments::approve_assignment))
        .route("/v1/role-assignments/{id}/deny", post(assignments::deny_assignment))
        .route("/v1/elevations", get(elevations::list_elevations).post(elevations::create_elevation))
        .route("/v1/elevations/{id}", get(elevations::read_elevation))
        .route("/v1/elevations/{id}/approve", post(elevations::approve_elevation))
        .route("/v1/elevations/{id}/deny", post(elevations::deny_elevation))
        .route("/v1/elevations/{id}/end", post(elevations::end_elevation))
        .route("/healthz", get(health::read_health))
        .route("/readyz", get(health::read_readiness))
        .route("/metrics", get(metrics::read_metrics))
        .route("/openapi.json", get(openapi::read_description))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .with_state(app)
}
