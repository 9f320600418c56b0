//! Scopes: which covers which, whatever the entities are.

use std::sync::Arc;

use cedar_policy_core::ast::{
    ActionConstraint, EntityReference, EntityType, EntityUID, Policy, PrincipalOrResourceConstraint,
};

use crate::entity::EntityStore;

/// What a principal or a resource must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Any,
    Eq(Arc<EntityUID>),
    In(Arc<EntityUID>),
    Is(Arc<EntityType>),
    IsIn(Arc<EntityType>, Arc<EntityUID>),
}

/// The scope of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub(super) principal: Target,
    /// None is any action.
    pub(super) actions: Option<Actions>,
    pub(super) resource: Target,
}

/// One action, or all that are or are in one of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Actions {
    Eq(Arc<EntityUID>),
    In(Vec<Arc<EntityUID>>),
}

impl Target {
    fn of(constraint: &PrincipalOrResourceConstraint) -> Self {
        use PrincipalOrResourceConstraint as Constraint;
        let uid = |reference: &EntityReference| match reference {
            EntityReference::EUID(uid) => Some(Arc::clone(uid)),
            // Templates are refused before.
            EntityReference::Slot(_) => None,
        };
        let target = match constraint {
            Constraint::Any => None,
            Constraint::Eq(reference) => uid(reference).map(Self::Eq),
            Constraint::In(reference) => uid(reference).map(Self::In),
            Constraint::Is(kind) => Some(Self::Is(Arc::clone(kind))),
            Constraint::IsIn(kind, reference) => uid(reference).map(|uid| Self::IsIn(Arc::clone(kind), uid)),
        };
        target.unwrap_or(Self::Any)
    }

    /// The type that it must have, if that is said.
    pub(super) fn entity_type(&self) -> Option<&EntityType> {
        match self {
            Self::Eq(uid) => Some(uid.entity_type()),
            Self::Is(kind) | Self::IsIn(kind, _) => Some(kind),
            Self::Any | Self::In(_) => None,
        }
    }

    /// The entity that it names.
    pub(super) fn uid(&self) -> Option<&Arc<EntityUID>> {
        match self {
            Self::Eq(uid) | Self::In(uid) | Self::IsIn(_, uid) => Some(uid),
            Self::Any | Self::Is(_) => None,
        }
    }

    /// Itself, and all that cover it by their form alone.
    pub(super) fn covers(&self) -> Vec<Self> {
        let mut covers = vec![Self::Any];
        match self {
            Self::Any => {}
            Self::Eq(uid) => {
                let kind = Arc::new(uid.entity_type().clone());
                covers.extend([Self::Eq(Arc::clone(uid)), Self::In(Arc::clone(uid))]);
                covers.extend([Self::Is(Arc::clone(&kind)), Self::IsIn(kind, Arc::clone(uid))]);
            }
            Self::In(uid) => covers.push(Self::In(Arc::clone(uid))),
            Self::Is(kind) => covers.push(Self::Is(Arc::clone(kind))),
            Self::IsIn(kind, uid) => {
                covers.extend([Self::Is(Arc::clone(kind)), Self::In(Arc::clone(uid)), self.clone()]);
            }
        }
        covers
    }
}

impl Scope {
    pub(super) fn of(policy: &Policy) -> Self {
        let actions = match policy.action_constraint() {
            ActionConstraint::Eq(uid) => Some(Actions::Eq(Arc::clone(uid))),
            ActionConstraint::In(uids) => {
                let mut uids = uids.clone();
                uids.sort();
                uids.dedup();
                Some(Actions::In(uids))
            }
            // Nothing else is left of an action's scope.
            _ => None,
        };
        Self {
            principal: Target::of(policy.principal_constraint().as_inner()),
            actions,
            resource: Target::of(policy.resource_constraint().as_inner()),
        }
    }

    /// The entities that it names.
    pub(super) fn uids(&self) -> impl Iterator<Item = &Arc<EntityUID>> {
        let actions: &[Arc<EntityUID>] = match &self.actions {
            Some(Actions::Eq(uid)) => std::slice::from_ref(uid),
            Some(Actions::In(uids)) => uids,
            None => &[],
        };
        self.principal.uid().into_iter().chain(actions).chain(self.resource.uid())
    }
}

/// Whether every action of `narrow` is one of `wide`, with the groups that actions are in.
pub(super) fn covers_actions(
    wide: Option<&Actions>,
    narrow: Option<&Actions>,
    entities: &EntityStore,
) -> bool {
    let (Some(wide), narrow) = (wide, narrow) else { return true };
    let is_in = |uid: &EntityUID, wide: &[Arc<EntityUID>]| {
        wide.iter().any(|one| **one == *uid)
            || entities.get(uid).is_some_and(|entity| wide.iter().any(|one| entity.is_descendant_of(one)))
    };
    match (wide, narrow) {
        (_, None) => false,
        (Actions::Eq(wide), Some(Actions::Eq(narrow))) => wide == narrow,
        // What is in an action besides itself can't be told here.
        (Actions::Eq(_), Some(Actions::In(narrow))) => narrow.is_empty(),
        (Actions::In(wide), Some(Actions::Eq(narrow))) => is_in(narrow, wide),
        (Actions::In(wide), Some(Actions::In(narrow))) => narrow.iter().all(|uid| is_in(uid, wide)),
    }
}
