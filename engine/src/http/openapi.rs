//! `GET /openapi.json`: the description of this API, made from its code.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{OneOf, Ref, RefOr, Schema};

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use super::{
    assignments, authzen, claims, decide, decisions, elevations, entities, groups, health, keys, mask,
    metadata, metrics, plugins, principals, revisions, roles, search, shadow, sign, simulate,
};
use crate::app::App;
use crate::caller::Right;

#[derive(OpenApi)]
#[openapi(
    info(title = "Portcullis", description = "The security decision service behind an application's back end."),
    paths(
        authzen::evaluate,
        authzen::evaluate_batch,
        search::search_subjects,
        search::search_resources,
        search::search_actions,
        metadata::of_server,
        metadata::of_pack,
        decide::decide,
        simulate::simulate_policies,
        claims::claim_key,
        keys::list_keys,
        plugins::list_plugins,
        plugins::read_plugin,
        plugins::mode::put_plugin_mode,
        plugins::mode::delete_plugin_mode,
        revisions::list_revisions,
        revisions::read_revision,
        revisions::activate_revision,
        revisions::follow_files,
        shadow::read_shadow,
        shadow::promote_shadow,
        mask::mask_document,
        sign::sign_message,
        decisions::list_decisions,
        decisions::read_decision,
        roles::list_roles,
        roles::create_role,
        roles::read_role,
        roles::put_role,
        roles::delete_role,
        assignments::list_assignments,
        assignments::create_assignment,
        assignments::read_assignment,
        assignments::revoke_assignment,
        assignments::approve_assignment,
        assignments::deny_assignment,
        elevations::list_elevations,
        elevations::create_elevation,
        elevations::read_elevation,
        elevations::approve_elevation,
        elevations::deny_elevation,
        elevations::end_elevation,
        principals::list::list_principals,
        principals::create_principal,
        principals::read_principal,
        principals::replace_principal,
        principals::delete_principal,
        principals::permissions::read_permissions,
        principals::status::lock_principal,
        principals::status::unlock_principal,
        principals::status::disable_principal,
        principals::status::enable_principal,
        groups::list_groups,
        groups::create_group,
        groups::read_group,
        groups::replace_group,
        groups::delete_group,
        groups::members::list_members,
        groups::members::add_member,
        groups::members::remove_member,
        entities::list_entities,
        entities::create_entity,
        entities::read_entity,
        entities::replace_entity,
        entities::delete_entity,
        health::read_health,
        health::read_readiness,
        metrics::read_metrics,
        read_description,
        evaluate_in_pack,
        evaluate_batch_in_pack,
        search::search_subjects_in_pack,
        search::search_resources_in_pack,
        search::search_actions_in_pack,
    ),
    modifiers(&CallerKey, &SingleOrBatch),
    security(("caller_key" = []))
)]
struct Description;

struct CallerKey;

impl utoipa::Modify for CallerKey {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("caller_key", scheme);
    }
}

/// A body that is one question or a list of them is described as either: what each requires differs.
struct SingleOrBatch;

impl utoipa::Modify for SingleOrBatch {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let schemas = &mut openapi.components.get_or_insert_default().schemas;
        for name in ["DecideRequest", "EvaluationsRequest"] {
            let Some(RefOr::T(Schema::Object(whole))) = schemas.remove(name) else { continue };
            let required = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let (mut single, mut batch) = (whole.clone(), whole);
            single.required = required(&["subject", "action", "resource"]);
            single.properties.remove("evaluations");
            single.properties.remove("options");
            batch.required = required(&["evaluations"]);
            let mut either = OneOf::new();
            for (part, schema) in [("Single", single), ("Batch", batch)] {
                let part = format!("{name}{part}");
                either.items.push(Ref::from_schema_name(&part).into());
                schemas.insert(part, RefOr::T(Schema::Object(schema)));
            }
            schemas.insert(name.to_owned(), RefOr::T(Schema::OneOf(either)));
        }
    }
}

/// One decision of one pack.
#[utoipa::path(
    post, path = "/packs/{pack}/access/v1/evaluation", tag = "authzen", operation_id = "evaluate_in_pack",
    params(("pack" = String, Path, description = "the pack's name")),
    request_body(content = inline(crate::question::Asked), content_type = "application/json"),
    responses((status = 200, body = authzen::EvaluationResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"))
)]
#[expect(dead_code, reason = "carries the description of the pack's path; the handler is the server's own")]
fn evaluate_in_pack() {}

/// A list of decisions of one pack.
#[utoipa::path(
    post, path = "/packs/{pack}/access/v1/evaluations", tag = "authzen", operation_id = "evaluate_batch_in_pack",
    params(("pack" = String, Path, description = "the pack's name")),
    request_body(content = authzen::EvaluationsRequest, content_type = "application/json"),
    responses((status = 200, body = authzen::EvaluationsResponse), (status = 400, body = String, content_type = "text/plain"),
        (status = 401, body = String, content_type = "text/plain"), (status = 403, body = String, content_type = "text/plain"),
        (status = 413, body = String, content_type = "text/plain"))
)]
#[expect(dead_code, reason = "carries the description of the pack's path; the handler is the server's own")]
fn evaluate_batch_in_pack() {}

static TEXT: LazyLock<String> = LazyLock::new(|| Description::openapi().to_json().unwrap_or_default());

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation",
    responses((status = 200, body = Object), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody))
)]
pub(super) async fn read_description(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::ReadApi).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response())
}
