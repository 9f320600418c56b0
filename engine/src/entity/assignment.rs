//! A role that somebody has, for a time and in a scope.
//!
//! It is an edge from its subject to its role that exists only while it is in force. It is never written into the
//! subject's parents, so that its end needs no job.

use std::sync::Arc;

use super::row::Key;
use super::types::Types;
use super::update::{AssignmentUpdate, Scope};
use crate::clock::Timestamp;

/// An entity, by the number of its type and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Held {
    /// The number of its type.
    pub number: u32,
    /// Its id.
    pub id: Box<str>,
}

impl Held {
    fn new(types: &mut Arc<Types>, name: &str, id: &str) -> Self {
        Self { number: Types::number(types, name), id: id.into() }
    }

    /// As a key.
    pub fn key(&self) -> Key<'_> {
        (self.number, &self.id)
    }
}

/// Where an assignment counts, or where somebody must have a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place<E> {
    /// Everywhere in the tenant.
    Tenant,
    /// For one entity.
    Resource(E),
    /// For one entity and all that is in it.
    Tree(E),
}

impl<E> Place<E> {
    /// The entity that it is about.
    pub fn target(&self) -> Option<&E> {
        match self {
            Self::Tenant => None,
            Self::Resource(target) | Self::Tree(target) => Some(target),
        }
    }
}

/// A role assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: Box<str>,
    /// Who has the role.
    pub subject: Held,
    /// Which role.
    pub role: Held,
    /// Where.
    pub place: Place<Held>,
    /// From when on.
    pub starts_at: Timestamp,
    /// Until when; that instant is no part of it.
    pub ends_at: Timestamp,
    /// Who passed it on.
    pub delegated_by: Option<Held>,
    /// The sequence number of the change that made it so.
    pub version: u64,
}

/// Before all others.
pub const ALWAYS: Timestamp = Timestamp(i64::MIN);
/// After all others.
pub const NEVER: Timestamp = Timestamp(i64::MAX);

impl Assignment {
    /// Makes one of the store's row; types get their numbers.
    pub fn new(update: &AssignmentUpdate, types: &mut Arc<Types>) -> Self {
        let mut held = |name: &str, id: &str| Held::new(types, name, id);
        Self {
            id: update.id.as_str().into(),
            subject: held(&update.subject.0, &update.subject.1),
            role: held(&update.role.0, &update.role.1),
            place: match &update.scope {
                Scope::Tenant => Place::Tenant,
                Scope::Resource(name, id) => Place::Resource(held(name, id)),
                Scope::ResourceTree(name, id) => Place::Tree(held(name, id)),
            },
            starts_at: update.starts_at.unwrap_or(ALWAYS),
            ends_at: update.ends_at.unwrap_or(NEVER),
            delegated_by: update.delegated_by.as_ref().map(|(name, id)| held(name, id)),
            version: update.version,
        }
    }

    /// Whether its time has come and is not over.
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}
