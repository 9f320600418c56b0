//! Entities of the store against a naive model, and what they take.

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};

use super::*;
use crate::clock::Timestamp;

mod delegation;
mod duties;
mod limits;
mod model;
mod values;
mod versions;

pub(super) const TENANT: &str = "default";
pub(super) const PACK: &str = "documents";

pub(super) fn named(entity_type: &str, id: &str) -> Named {
    (entity_type.to_owned(), id.to_owned())
}

pub(super) fn uid((entity_type, id): &Named) -> EntityUID {
    let entity_type = EntityType::from_normalized_str(entity_type).unwrap();
    EntityUID::from_components(entity_type, Eid::new(id.as_str()), None)
}

/// An entity in nothing, with nothing.
pub(super) fn entity(kind: Kind, entity_type: &str, id: &str) -> EntityUpdate {
    EntityUpdate {
        tenant: TENANT.into(),
        pack: PACK.into(),
        entity_type: entity_type.into(),
        id: id.into(),
        kind,
        attributes: "{}".into(),
        tags: "{}".into(),
        parents: Vec::new(),
        status: Status::Active,
        settings: RoleSettings::default(),
        version: 1,
    }
}

/// An assignment for ever and everywhere.
pub(super) fn assignment(id: &str, subject: Named, role: &str) -> AssignmentUpdate {
    AssignmentUpdate {
        tenant: TENANT.into(),
        pack: PACK.into(),
        id: id.into(),
        subject,
        role: named("Role", role),
        scope: Scope::Tenant,
        starts_at: None,
        ends_at: None,
        delegated_by: None,
        version: 1,
    }
}

pub(super) fn principals() -> Vec<(Kind, EntityType)> {
    let entity_type = |name| EntityType::from_normalized_str(name).unwrap();
    vec![(Kind::User, entity_type("User")), (Kind::Service, entity_type("Service"))]
}

pub(super) fn facts<'a>(
    files: &'a EntityStore,
    principals: &'a [(Kind, EntityType)],
    data: &'a Data,
    now: i64,
) -> Facts<'a> {
    Facts {
        files,
        pack: PACK,
        kinds: principals,
        data: data.pack(TENANT, PACK).map(Arc::as_ref),
        inactive: Some(data.inactive(TENANT)),
        now: Timestamp(now),
    }
}

/// Whether `who` is in `role` when a document is asked about.
pub(super) fn is_in(data: &Data, who: &Named, role: &str, now: i64) -> bool {
    let (files, principals) = (EntityStore::default(), principals());
    let resource = uid(&named("Doc", "d0"));
    let view = facts(&files, &principals, data, now).about(&resource);
    let found = view.get(&uid(who)).unwrap();
    found.is_some_and(|entity| entity.is_descendant_of(&uid(&named("Role", role))))
}
