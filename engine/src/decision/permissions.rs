//! What a principal may do, by action and resource type, as the policies themselves say.
//!
//! Policies are evaluated with the resource and the context unknown. Promises: what is allowed here, a decision about any
//! such resource allows, whatever its context; what is not listed, it denies. It goes by what is stored: what an
//! application asserts of the principal, and obligations that it does not understand, can make a decision differ.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::Schema;
use cedar_policy_core::ast::{
    Effect, EntityReference, EntityType, EntityUID, EntityUIDEntry, Literal, PartialValue,
    PrincipalOrResourceConstraint, Request, ValueKind,
};
use cedar_policy_core::entities::Entities;
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::rules::{Rule, Rules, scope_matches};
use super::slice::Slicer;
use super::{NO_SLOTS, OnPolicyError, found, obligation};
use crate::entity::assignment::Place;
use crate::entity::{Facts, Unreadable, View};

mod scopes;
#[cfg(test)]
mod tests;

use scopes::Scopes;

/// Whether something holds for every resource of the type and every context, or for some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It depends on the resource or the context.
    Conditional,
    /// For all.
    Always,
}

/// A policy that has a say.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Says {
    /// Its id.
    #[schema(value_type = String)]
    pub policy: SmolStr,
    /// When it holds.
    pub when: When,
}

/// That something may be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The action; none stands for all that no policy and no entity names.
    pub action: Option<EntityUID>,
    /// The type of the resource; none stands for all that no policy names.
    pub resource_type: Option<EntityType>,
    /// Whether every such decision allows.
    pub when: When,
    /// The policies that permit it.
    pub permits: Vec<Says>,
    /// The policies that may forbid it.
    pub forbids: Vec<Says>,
}

/// What a principal may do where a role of it counts. It is all that it may do there, not only what is more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scoped {
    /// Where: for that resource, or for all that is in it and that no narrower scope is about. (For what is in two trees,
    /// neither of which is in the other, roles of both count; that is not worked out.)
    pub place: Place<EntityUID>,
    /// What.
    pub permissions: Vec<Permission>,
}

/// What a principal may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Wherever no scope is about the resource.
    pub everywhere: Vec<Permission>,
    /// By scope.
    pub scoped: Vec<Scoped>,
    /// How many scopes there are beyond those.
    pub scopes_left_out: usize,
}

/// What permissions follow from.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The policies.
    pub rules: &'a Rules,
    /// The schema, which tells what can be asked.
    pub schema: Option<&'a Schema>,
    /// What a failed `forbid` does.
    pub on_error: OnPolicyError,
    /// Entities, and the instant.
    pub facts: Facts<'a>,
}

/// What can be asked: an action on a resource of a type.
type Pair = (Option<EntityUID>, Option<EntityType>);

/// Works out what a principal may do. One that is locked or disabled may do nothing.
///
/// # Errors
/// When stored data can't be read, or is too much.
pub fn permissions(ground: Ground<'_>, principal: &EntityUID) -> Result<Permissions, Unreadable> {
    if ground.facts.is_inactive(principal) {
        return Ok(Permissions::default());
    }
    let pairs = pairs(ground, principal);
    let mut scopes = Scopes::default();
    let everywhere = Look { ground, principal, view: ground.facts.everywhere(), resource: None };
    let mut found =
        Permissions { everywhere: everywhere.all(&pairs, &mut scopes)?, ..Permissions::default() };
    while let Some(place) = scopes.next(found.scoped.len()) {
        let permissions = match &place {
            Place::Tenant => continue,
            Place::Resource(uid) => {
                let view = ground.facts.about(uid);
                Look { ground, principal, view, resource: Some(uid) }.all(&pairs, &mut scopes)?
            }
            Place::Tree(uid) => {
                let view = ground.facts.within(uid)?;
                Look { ground, principal, view, resource: None }.all(&pairs, &mut scopes)?
            }
        };
        found.scoped.push(Scoped { place, permissions });
    }
    found.scopes_left_out = scopes.left();
    Ok(found)
}

/// All that can be asked about this principal: what the schema has, or without one what policies name.
fn pairs(ground: Ground<'_>, principal: &EntityUID) -> Vec<Pair> {
    let mut pairs = BTreeSet::new();
    if let Some(schema) = ground.schema {
        for env in schema.request_envs() {
            let asks: &EntityType = env.principal().as_ref();
            let resource: &EntityType = env.resource().as_ref();
            let action: &EntityUID = env.action().as_ref();
            if asks == principal.entity_type() {
                pairs.insert((Some(action.clone()), Some(resource.clone())));
            }
        }
        return pairs.into_iter().collect();
    }
    let named = ground.rules.all.iter().filter_map(|rule| type_named(&rule.resource));
    let types: BTreeSet<_> = named.cloned().map(Some).chain([None]).collect();
    for action in ground.rules.actions().cloned().map(Some).chain([None]) {
        pairs.extend(types.iter().map(|resource| (action.clone(), resource.clone())));
    }
    pairs.into_iter().collect()
}

/// The one type that a scope allows, if it names one.
fn type_named(constraint: &PrincipalOrResourceConstraint) -> Option<&EntityType> {
    use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
    match constraint {
        Eq(EntityReference::EUID(uid)) => Some(uid.entity_type()),
        Is(entity_type) | IsIn(entity_type, _) => Some(entity_type),
        Any | In(_) | Eq(EntityReference::Slot(_)) => None,
    }
}

/// Whether a policy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    No,
    Fails,
    Maybe,
    Yes,
}

/// A look at what may be done in one place.
struct Look<'a> {
    ground: Ground<'a>,
    principal: &'a EntityUID,
    view: View<'a>,
    /// The one resource that it is about; else it is unknown.
    resource: Option<&'a EntityUID>,
}

impl Look<'_> {
    fn all(&self, pairs: &[Pair], scopes: &mut Scopes) -> Result<Vec<Permission>, Unreadable> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for (action, resource_type) in pairs {
            let resource_type = match self.resource {
                None => resource_type.clone(),
                // One resource has one type, which may be one that no policy names.
                Some(uid) if self.ground.schema.is_none() => Some(uid.entity_type().clone()),
                Some(uid) if resource_type.as_ref() == Some(uid.entity_type()) => resource_type.clone(),
                Some(_) => continue,
            };
            if seen.insert((action.clone(), resource_type.clone())) {
                found.extend(self.one((action.clone(), resource_type), scopes)?);
            }
        }
        Ok(found)
    }

    fn one(
        &self,
        (action, resource_type): Pair,
        scopes: &mut Scopes,
    ) -> Result<Option<Permission>, Unreadable> {
        let plan = match &action {
            Some(action) => self.ground.rules.plan(action),
            None => self.ground.rules.rest(),
        };
        // The principal stands in for what is unknown: a slice may hold more than is read.
        let roots = [
            self.principal,
            action.as_ref().unwrap_or(self.principal),
            self.resource.unwrap_or(self.principal),
        ];
        let nothing = super::value::Record::new();
        let slice = Slicer::new(&self.view, &[])
            .collect(self.ground.rules.reach(plan), roots, &nothing)
            .ok_or(Unreadable)?;
        scopes.of(&slice, *self.view.facts())?;
        let evaluator =
            Evaluator::new(self.request(&action, &resource_type), &slice, Extensions::all_available());
        let (mut permits, mut forbids) = (Vec::new(), Vec::new());
        for rule in plan.rules.iter().filter_map(|place| self.ground.rules.all.get(*place)) {
            let holds = self.holds(rule, resource_type.as_ref(), &slice, &evaluator);
            let denies_by_failing =
                rule.effect == Effect::Forbid && self.ground.on_error == OnPolicyError::Deny;
            let when = match holds {
                Holds::Fails if denies_by_failing => When::Always,
                Holds::No | Holds::Fails => continue,
                Holds::Maybe => When::Conditional,
                Holds::Yes => When::Always,
            };
            let list = if rule.effect == Effect::Permit { &mut permits } else { &mut forbids };
            list.push((rule, when));
        }
        let Some(when) = combined(&permits, &forbids) else { return Ok(None) };
        let says = |list: Vec<(&Rule, When)>| {
            list.into_iter().map(|(rule, when)| Says { policy: rule.id.clone(), when }).collect()
        };
        let (permits, forbids) = (says(permits), says(forbids));
        Ok(Some(Permission { action, resource_type, when, permits, forbids }))
    }

    fn request(&self, action: &Option<EntityUID>, resource_type: &Option<EntityType>) -> Request {
        let known = |uid: &EntityUID| EntityUIDEntry::known(uid.clone(), None);
        let unknown = || match resource_type {
            Some(entity_type) => EntityUIDEntry::unknown_with_type(entity_type.clone(), None),
            None => EntityUIDEntry::unknown(),
        };
        Request::new_unchecked(
            known(self.principal),
            action.as_ref().map_or_else(EntityUIDEntry::unknown, known),
            self.resource.map_or_else(unknown, known),
            None,
        )
    }

    fn holds(
        &self,
        rule: &Rule,
        resource_type: Option<&EntityType>,
        slice: &Entities,
        evaluator: &Evaluator<'_>,
    ) -> Holds {
        if !scope_matches(&rule.principal, self.principal, found(slice.entity(self.principal))) {
            return Holds::No;
        }
        let fits = match self.resource {
            Some(uid) if scope_matches(&rule.resource, uid, found(slice.entity(uid))) => Holds::Yes,
            Some(_) => Holds::No,
            None => fits(&rule.resource, resource_type),
        };
        let Some(condition) = rule.condition.as_ref().filter(|_| fits != Holds::No) else { return fits };
        let verdict = match evaluator.partial_interpret(condition, &NO_SLOTS) {
            Ok(PartialValue::Residual(_)) => Holds::Maybe,
            Ok(PartialValue::Value(value)) => match value.value {
                ValueKind::Lit(Literal::Bool(true)) => Holds::Yes,
                ValueKind::Lit(Literal::Bool(false)) => Holds::No,
                _ => Holds::Fails,
            },
            Err(_) => Holds::Fails,
        };
        match (fits, verdict) {
            (Holds::Yes, verdict) => verdict,
            (_, Holds::No) => Holds::No,
            // A permit that can only fail permits nothing, wherever.
            (_, Holds::Fails)
                if rule.effect == Effect::Permit || self.ground.on_error == OnPolicyError::Skip =>
            {
                Holds::No
            }
            _ => Holds::Maybe,
        }
    }
}

/// Whether a resource of this type, which is unknown, is in a policy's scope.
fn fits(constraint: &PrincipalOrResourceConstraint, resource_type: Option<&EntityType>) -> Holds {
    use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
    let named = type_named(constraint);
    if named.is_some() && named != resource_type {
        return Holds::No;
    }
    match constraint {
        Any | Is(_) => Holds::Yes,
        Eq(EntityReference::EUID(_)) | In(_) | IsIn(..) => Holds::Maybe,
        Eq(EntityReference::Slot(_)) => Holds::No,
    }
}

/// What follows from all that have a say; nothing, when no decision can allow.
fn combined(permits: &[(&Rule, When)], forbids: &[(&Rule, When)]) -> Option<When> {
    if permits.is_empty() || forbids.iter().any(|(_, when)| *when == When::Always) {
        return None;
    }
    let conflict = |least: When| {
        let determining = permits.iter().filter(|(_, when)| *when >= least);
        obligation::merge(determining.flat_map(|(rule, _)| &rule.obligations)).is_err()
    };
    if conflict(When::Always) {
        return None;
    }
    let sure = permits.iter().any(|(_, when)| *when == When::Always);
    let whole = sure && forbids.is_empty() && !conflict(When::Conditional);
    Some(if whole { When::Always } else { When::Conditional })
}
