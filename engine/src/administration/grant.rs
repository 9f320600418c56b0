//! What assignments and elevations have in common: who is to have which role, and where.
//!
//! Promises: what a request names is there, in the tenant and pack of the change, or the change is refused; each thing
//! is known by its Cedar type and id, however a request named it.

use std::sync::Arc;

use cedar_policy_core::ast::EntityUID;

use super::{AdminError, check_id, type_of};
use crate::app::Changing;
use crate::clock::Timestamp;
use crate::entity::{Kind, Named, PackData, RoleSettings};
use crate::policy::{MANAGEMENT, Pack, Snapshot};

/// The kind of those who hold roles of the management pack.
pub const CALLER: &str = "caller";
/// The most characters of a reason.
pub const REASON_CHARACTERS: usize = 1_000;

/// Somebody, as requests and records name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// `user`, `service`, `device`, `group` or `caller`.
    pub kind: String,
    /// The id.
    pub id: String,
}

impl Party {
    /// The caller with this id.
    pub fn caller(id: &str) -> Self {
        Self { kind: CALLER.to_owned(), id: id.to_owned() }
    }

    /// As it is stored: `user:alice`.
    pub fn text(&self) -> String {
        format!("{}:{}", self.kind, self.id)
    }

    /// What was stored.
    pub fn read(text: &str) -> Self {
        let (kind, id) = text.split_once(':').unwrap_or(("", text));
        Self { kind: kind.to_owned(), id: id.to_owned() }
    }

    /// Whether both are the same to the pack: its types may be so mapped that two kinds are one.
    pub fn is(&self, other: &Self, pack: &Pack) -> bool {
        let uid = |party: &Self| pack.uid(&party.kind, &party.id);
        // A caller is no entity of an application's pack.
        let callers = [self, other].iter().any(|party| party.kind == CALLER);
        self == other || (!callers && uid(self).is_some_and(|one| uid(other) == Some(one)))
    }
}

/// Where a role is to count, as requests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everywhere in the tenant.
    Tenant,
    /// For one resource: a type and an id.
    Resource(String, String),
    /// For one resource and all that is in it.
    ResourceTree(String, String),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// For whom.
    pub principal: Party,
    /// The role's id.
    pub role: String,
    /// Where.
    pub place: Place,
}

/// The same, once it is known to be possible.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The kind of who gets it.
    pub kind: String,
    /// Who gets it.
    pub subject: Named,
    /// Which role.
    pub role: KnownRole,
    /// `tenant`, `resource` or `resource_tree`.
    pub scope: &'static str,
    /// Where, unless everywhere.
    pub scope_on: Option<Named>,
}

/// A role that there is.
#[derive(Clone, Debug)]
pub struct KnownRole {
    /// Its Cedar type and id.
    pub named: Named,
    /// What it asks of its assignments.
    pub settings: RoleSettings,
    /// Whether the pack's own files have it.
    pub of_pack: bool,
}

impl KnownRole {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.named.1
    }
}

/// What a change of one pack is checked by: nothing of it moves while the change is made.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Policies and data.
    pub snapshot: Arc<Snapshot>,
    /// The pack.
    pub pack: Arc<Pack>,
    /// The tenant.
    pub tenant: String,
    /// The instant.
    pub now: Timestamp,
}

impl Ground {
    /// The ground of a change.
    ///
    /// # Errors
    /// When the pack is no more.
    pub fn of(changing: &Changing<'_>, pack: &str) -> Result<Self, AdminError> {
        let snapshot = Arc::clone(changing.snapshot());
        let found = if pack == MANAGEMENT { Some(snapshot.management()) } else { snapshot.pack(pack) };
        let missing = || AdminError::Missing { kind: "pack", id: pack.to_owned() };
        let pack = Arc::clone(found.ok_or_else(missing)?);
        Ok(Self { snapshot, pack, tenant: changing.tenant().to_owned(), now: changing.now() })
    }

    /// Whether it is the management pack.
    pub fn is_management(&self) -> bool {
        self.pack.name() == MANAGEMENT
    }

    /// What the tenant has in the pack.
    pub fn data(&self) -> Option<&Arc<PackData>> {
        self.snapshot.data.pack(&self.tenant, self.pack.name())
    }

    /// The role with this id.
    ///
    /// # Errors
    /// When there is none; `field` is the member that names it.
    pub fn role(&self, field: &str, id: &str) -> Result<KnownRole, AdminError> {
        check_id(field, id)?;
        let missing =
            || AdminError::UnknownReference { field: field.to_owned(), kind: "role", id: id.to_owned() };
        let mut role = find_role(&self.snapshot, &self.tenant, &self.pack, id)?.ok_or_else(missing)?;
        self.ask_as_inherited(&mut role);
        Ok(role)
    }

    /// Whoever has a role has all that it inherits: it asks at least what these ask.
    fn ask_as_inherited(&self, role: &mut KnownRole) {
        let (Some(uid), Some(data)) = (uid_of(&role.named), self.data()) else { return };
        let facts = self.pack.facts(&self.snapshot.data, &self.tenant, self.now);
        let Ok(Some(entity)) = facts.about(&uid).get(&uid) else { return };
        for inherited in entity.ancestors() {
            let row = data.key(inherited).and_then(|key| data.row(key));
            let Some(settings) = row.filter(|row| row.kind() == Kind::Role).map(crate::entity::Row::settings)
            else {
                continue;
            };
            let mine = &mut role.settings;
            mine.requires_reason |= settings.requires_reason;
            mine.requires_approval |= settings.requires_approval;
            mine.max_seconds = mine.max_seconds.into_iter().chain(settings.max_seconds).min();
        }
    }

    /// The Cedar entity of somebody of one of these kinds, who need not be stored.
    ///
    /// # Errors
    /// When it is of another kind, or the pack has no type for it.
    pub fn named(&self, field: &str, party: &Party, kinds: &[&'static str]) -> Result<Named, AdminError> {
        if !kinds.contains(&party.kind.as_str()) {
            return Err(AdminError::Invalid {
                field: format!("{field}.type"),
                message: format!("must be one of {}", kinds.join(", ")),
            });
        }
        check_id(&format!("{field}.id"), &party.id)?;
        Ok((type_of(&self.pack, &party.kind)?, party.id.clone()))
    }

    /// The same of somebody who is there.
    ///
    /// # Errors
    /// When there is none.
    pub fn known(&self, field: &str, party: &Party, kinds: &[&'static str]) -> Result<Named, AdminError> {
        let named = self.named(field, party, kinds)?;
        let uid = self.pack.uid(&party.kind, &party.id);
        let is_there = uid.is_some_and(|uid| {
            let row = self.data().and_then(|data| data.row(data.key(&uid)?));
            let of_kind = row.is_some_and(|row| Some(row.kind()) == Kind::from_name(&party.kind));
            of_kind || self.pack.entities.get(&uid).is_some()
        });
        let kind = kinds.iter().find(|kind| **kind == party.kind).copied().unwrap_or("principal");
        let missing = || AdminError::UnknownReference { field: field.to_owned(), kind, id: party.id.clone() };
        is_there.then_some(named).ok_or_else(missing)
    }

    /// Finds what a wish names.
    ///
    /// # Errors
    /// When something of it is not there, or can't be.
    pub fn grant(&self, wish: &Wish, kinds: &[&'static str]) -> Result<Grant, AdminError> {
        let (scope, scope_on) = match &wish.place {
            Place::Tenant => ("tenant", None),
            Place::Resource(type_name, id) => ("resource", Some(self.resource(type_name, id)?)),
            Place::ResourceTree(type_name, id) => ("resource_tree", Some(self.resource(type_name, id)?)),
        };
        Ok(Grant {
            kind: wish.principal.kind.clone(),
            subject: self.known("principal", &wish.principal, kinds)?,
            role: self.role("role", &wish.role)?,
            scope,
            scope_on,
        })
    }

    fn resource(&self, type_name: &str, id: &str) -> Result<Named, AdminError> {
        check_id("scope.resource.id", id)?;
        Ok((type_of(&self.pack, type_name)?, id.to_owned()))
    }
}

/// The role with this id, of the store or of the pack's own files, which win.
///
/// # Errors
/// When the pack has no type for roles.
pub fn find_role(
    snapshot: &Snapshot,
    tenant: &str,
    pack: &Arc<Pack>,
    id: &str,
) -> Result<Option<KnownRole>, AdminError> {
    let named = (type_of(pack, Kind::Role.name())?, id.to_owned());
    let Some(uid) = pack.uid(Kind::Role.name(), id) else { return Ok(None) };
    if pack.entities.get(&uid).is_some() {
        return Ok(Some(KnownRole { named, settings: RoleSettings::default(), of_pack: true }));
    }
    let data = snapshot.data.pack(tenant, pack.name());
    let row = data.and_then(|data| data.row(data.key(&uid)?)).filter(|row| row.kind() == Kind::Role);
    Ok(row.map(|row| KnownRole { named, settings: row.settings(), of_pack: false }))
}

/// The Cedar entity with this type and id.
pub fn uid_of((type_name, id): &Named) -> Option<EntityUID> {
    let entity_type = cedar_policy_core::ast::EntityType::from_normalized_str(type_name).ok()?;
    Some(EntityUID::from_components(entity_type, cedar_policy_core::ast::Eid::new(id.as_str()), None))
}

/// A reason as it is kept.
///
/// # Errors
/// When it is empty, or too long.
pub fn check_reason(reason: &str) -> Result<(), AdminError> {
    if (1..=REASON_CHARACTERS).contains(&reason.chars().count()) && !reason.contains('\0') {
        return Ok(());
    }
    Err(AdminError::Invalid {
        field: "reason".into(),
        message: format!("must have from 1 to {REASON_CHARACTERS} characters"),
    })
}
