//! The HTTP API: every route in one table. A request for one decision is known by its path before the table is asked
//! (`listen.rs`), and is answered by the same handler.
//!
//! Promises: bodies, headers, batches and nesting have limits; an error says what a stranger can act on and
//! nothing of the inside; a defect ends one request and not the server. The only status codes are here.

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};

use crate::app::App;

pub use decide::offline;

mod assignments;
mod authzen;
mod batch;
mod body;
mod bulk;
mod caller;
mod claims;
mod cursor;
mod decide;
mod decisions;
mod drain;
mod elevations;
mod entities;
mod error;
mod filter;
mod groups;
mod health;
mod keys;
pub mod listen;
mod listing;
mod management;
mod mask;
mod metadata;
mod metrics;
mod openapi;
mod parties;
mod plugins;
mod posted;
mod principals;
mod revisions;
mod roles;
mod search;
mod shadow;
mod sign;
mod simulate;
mod tls;

/// The routes about plugins, and about what they do for an answer.
fn of_plugins() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/keys", get(keys::list_keys))
        .route("/v1/plugins", get(plugins::list_plugins))
        .route("/v1/plugins/{name}", get(plugins::read_plugin))
        .route(
            "/v1/plugins/{name}/mode",
            put(plugins::mode::put_plugin_mode).delete(plugins::mode::delete_plugin_mode),
        )
        .route("/v1/mask", post(mask::mask_document))
        .route("/v1/sign", post(sign::sign_message))
}

/// The routes about sets of packs.
fn of_revisions() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/revisions", get(revisions::list_revisions))
        .route("/v1/revisions/follow", post(revisions::follow_files))
        .route("/v1/revisions/{id}", get(revisions::read_revision))
        .route("/v1/revisions/{id}/activate", post(revisions::activate_revision))
        .route("/v1/shadow", get(shadow::read_shadow))
        .route("/v1/shadow/promote", post(shadow::promote_shadow))
}

/// The routes of searches, and of filters.
fn of_searches() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/filter", post(filter::filter_rows))
        .route("/access/v1/search/subject", post(search::search_subjects))
        .route("/access/v1/search/resource", post(search::search_resources))
        .route("/access/v1/search/action", post(search::search_actions))
        .route("/packs/{pack}/access/v1/search/subject", post(search::search_subjects))
        .route("/packs/{pack}/access/v1/search/resource", post(search::search_resources))
        .route("/packs/{pack}/access/v1/search/action", post(search::search_actions))
}

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
        .route("/v1/claims", post(claims::claim_key))
        .merge(of_plugins())
        .merge(of_revisions())
        .merge(of_searches())
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
        .route("/v1/principals", get(principals::list::list_principals).post(principals::create_principal))
        .route(
            "/v1/principals/{id}",
            get(principals::read_principal)
                .put(principals::replace_principal)
                .delete(principals::delete_principal),
        )
        .route("/v1/principals/{id}/permissions", get(principals::permissions::read_permissions))
        .route("/v1/principals/{id}/lock", post(principals::status::lock_principal))
        .route("/v1/principals/{id}/unlock", post(principals::status::unlock_principal))
        .route("/v1/principals/{id}/disable", post(principals::status::disable_principal))
        .route("/v1/principals/{id}/enable", post(principals::status::enable_principal))
        .route("/v1/groups", get(groups::list_groups).post(groups::create_group))
        .route(
            "/v1/groups/{id}",
            get(groups::read_group).put(groups::replace_group).delete(groups::delete_group),
        )
        .route(
            "/v1/groups/{id}/members",
            get(groups::members::list_members).post(groups::members::add_member),
        )
        .route("/v1/groups/{id}/members/{type}/{member_id}", delete(groups::members::remove_member))
        .route("/v1/entities", get(entities::list_entities).post(entities::create_entity))
        .route(
            "/v1/entities/{type}/{id}",
            get(entities::read_entity).put(entities::replace_entity).delete(entities::delete_entity),
        )
        .route("/healthz", get(health::read_health))
        .route("/readyz", get(health::read_readiness))
        .route("/metrics", get(metrics::read_metrics))
        .route("/openapi.json", get(openapi::read_description))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .with_state(app)
}
