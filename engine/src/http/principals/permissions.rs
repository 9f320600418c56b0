//! `GET /v1/principals/{id}/permissions`: what a principal may do, by action and resource type, as the policies say.

use std::sync::{Arc, LazyLock};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use cedar_policy_core::ast::{EntityType, EntityUID};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{PrincipalType, about};
use crate::administration::principals::locate;
use crate::administration::tenancy::Tenancy;
use crate::app::App;
use crate::caller::Right;
use crate::decision::permissions::{Ground, Permission, Says, When, permissions};
use crate::entity::assignment::Place;
use crate::entity::{Kind, Status};
use crate::http::caller::Authenticated;
use crate::http::error::{ApiError, ProblemBody};
use crate::http::listing;
use crate::http::management::choose_pack;
use crate::policy::bounds::on_deep_stack;

/// Answers that are worked out at once: each may take a core and a deep stack for a while.
static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// Which permissions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct PermissionsQuery {
    /// The pack; by default the caller's, or the only one.
    pack: Option<String>,
    /// The type, where an id alone does not tell.
    #[serde(rename = "type")]
    kind: Option<PrincipalType>,
    /// Only this action.
    action: Option<String>,
    /// Only resources of this type, by the name that questions or Cedar have for it.
    resource_type: Option<String>,
}

/// What a principal may do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct PermissionsResponse {
    /// Who.
    principal: WhoResponse,
    /// Whether it may do anything at all.
    status: Status,
    /// What this follows from.
    revision: String,
    /// What it may do with any resource that no scope below is about.
    permissions: Vec<PermissionResponse>,
    /// All that it may do where a role of it counts, scope by scope.
    scoped: Vec<ScopedResponse>,
    /// How many further scopes there are.
    scopes_left_out: usize,
}

/// A principal's type and id.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct WhoResponse {
    /// `user`, `service` or `device`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// Its id.
    id: String,
}

/// An action that may be done with resources of a type.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct PermissionResponse {
    /// Its name; null for every action that no policy names.
    action: Option<String>,
    /// The Cedar type of the resource; null for every type that no policy names.
    resource_type: Option<String>,
    /// `allow`: whatever the resource and the context. `conditional`: it depends on them.
    decision: Outlook,
    /// The policies that permit it.
    permits: Vec<Says>,
    /// The policies that may forbid it.
    forbids: Vec<Says>,
}

/// What decisions will be.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum Outlook {
    /// All of them allow.
    Allow,
    /// It depends on the resource or the context.
    Conditional,
}

/// What may be done in one scope.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(in crate::http) struct ScopedResponse {
    /// `resource` or `resource_tree`.
    kind: &'static str,
    /// The Cedar type of the resource.
    resource_type: String,
    /// Its id.
    resource_id: String,
    /// What may be done there.
    permissions: Vec<PermissionResponse>,
}

/// What a principal may do, from the policies themselves. It goes by what is stored: what an application says of the
/// principal in a question can make a decision differ.
#[utoipa::path(
    get, path = "/v1/principals/{id}/permissions", tag = "principals", operation_id = "read_permissions",
    params(PermissionsQuery, ("id" = String, Path, description = "the id, percent-encoded")),
    responses((status = 200, body = PermissionsResponse), (status = 400, body = ProblemBody),
        (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(in crate::http) async fn read_permissions(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<PermissionsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let query: PermissionsQuery = listing::query(&parts)?;
    let pack = choose_pack(&app, &who, query.pack.as_deref())?;
    let id = listing::path(path)?;
    who.may_about(&app, Right::ReadPrincipals, &about(&pack, Some(&id))).await?;
    let snapshot = app.snapshot();
    let (tenant, now) = (who.caller.tenant.clone(), app.clock.now());
    let at = Tenancy { snapshot: &snapshot, tenant: &tenant, pack: &pack };
    let principal = locate(at, &id, query.kind.map(Kind::from))?;
    let status = at.status(principal.kind, &id);
    let revision = snapshot.revision.to_string();
    let (kind, uid) = (principal.kind.name(), principal.uid);
    let wanted = Wanted {
        action: query.action.map(|name| pack.action(&name)),
        resource_type: query.resource_type.map(|name| pack.entity_type(&name)),
    };
    let room = ROOM.acquire().await.map_err(|_| ApiError::Unavailable)?;
    // Many policies and scopes can take longer than a request may hold a worker.
    let worked_out = tokio::task::spawn_blocking(move || {
        // Held by the work and not by who waits for it.
        let _room = room;
        let ground = Ground {
            rules: &pack.rules,
            schema: pack.schema.as_ref(),
            on_error: pack.settings.on_policy_error,
            facts: pack.facts(&snapshot.data, &tenant, now),
        };
        // Conditions are walked by recursion.
        on_deep_stack(|| permissions(ground, &uid))
    });
    let found = worked_out.await.ok().flatten().ok_or(ApiError::Defect)?;
    let found = found.map_err(|_| ApiError::Unavailable)?;
    Ok(Json(PermissionsResponse {
        principal: WhoResponse { kind, id },
        status,
        revision,
        permissions: wanted.of(found.everywhere),
        scoped: found
            .scoped
            .into_iter()
            .filter_map(|scoped| scoped_response(&scoped.place, wanted.of(scoped.permissions)))
            .collect(),
        scopes_left_out: found.scopes_left_out,
    }))
}

/// What is asked for. A type that Cedar can't say is no resource's.
struct Wanted {
    action: Option<EntityUID>,
    resource_type: Option<Option<EntityType>>,
}

impl Wanted {
    fn of(&self, permissions: Vec<Permission>) -> Vec<PermissionResponse> {
        let is_wanted = |permission: &Permission| {
            let action = self.action.as_ref();
            action.is_none_or(|wanted| permission.action.as_ref().is_none_or(|action| action == wanted))
                && self.resource_type.as_ref().is_none_or(|wanted| {
                    wanted.is_some()
                        && (permission.resource_type.is_none() || permission.resource_type == *wanted)
                })
        };
        permissions.into_iter().filter(is_wanted).map(PermissionResponse::from).collect()
    }
}

impl From<Permission> for PermissionResponse {
    fn from(permission: Permission) -> Self {
        Self {
            action: permission.action.map(|action| AsRef::<str>::as_ref(action.eid()).to_owned()),
            resource_type: permission.resource_type.map(|resource_type| resource_type.to_string()),
            decision: match permission.when {
                When::Always => Outlook::Allow,
                When::Conditional => Outlook::Conditional,
            },
            permits: permission.permits,
            forbids: permission.forbids,
        }
    }
}

fn scoped_response(place: &Place<EntityUID>, permissions: Vec<PermissionResponse>) -> Option<ScopedResponse> {
    let (kind, uid) = match place {
        Place::Tenant => return None,
        Place::Resource(uid) => ("resource", uid),
        Place::Tree(uid) => ("resource_tree", uid),
    };
    Some(ScopedResponse {
        kind,
        resource_type: uid.entity_type().to_string(),
        resource_id: AsRef::<str>::as_ref(uid.eid()).to_owned(),
        permissions,
    })
}
