//! What questions of one tenant, pack and moment are judged by, besides policies.
//!
//! The pack's own entities, the tenant's data over them, whom the tenant has locked or disabled, and the instant.

use std::rc::Rc;

use cedar_policy_core::ast::{EntityType, EntityUID};

use super::EntityStore;
use super::ancestry::{Ancestry, Asked};
use super::assignment::Place;
use super::inactive::Inactive;
use super::pack_data::PackData;
use super::types::Unreadable;
use super::update::{Kind, Status};
use super::view::View;
use crate::clock::Timestamp;

/// What questions of one moment are judged by, besides policies.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The pack's own entities.
    pub files: &'a EntityStore,
    /// The pack's name.
    pub pack: &'a str,
    /// The pack's Cedar types for the kinds that have a name of their own.
    pub kinds: &'a [(Kind, EntityType)],
    /// What the tenant has in the pack.
    pub data: Option<&'a PackData>,
    /// Whom the tenant has locked or disabled.
    pub inactive: Option<&'a Inactive>,
    /// The instant.
    pub now: Timestamp,
}

impl<'a> Facts<'a> {
    /// A pack's own entities alone.
    pub fn of_files(files: &'a EntityStore) -> Self {
        Self { files, pack: "", kinds: &[], data: None, inactive: None, now: Timestamp(0) }
    }

    /// What a question about this resource sees.
    pub fn about(self, resource: &'a EntityUID) -> View<'a> {
        View::of(self, Some(resource), None)
    }

    /// What is so for every resource that no scope is about.
    pub fn everywhere(self) -> View<'a> {
        View::of(self, None, None)
    }

    /// What is so for all that is in an entity, as far as no narrower scope is about it.
    ///
    /// # Errors
    /// When the data can't be read, or is too much.
    pub fn within(self, root: &EntityUID) -> Result<View<'a>, Unreadable> {
        let tree = match self.data {
            Some(data) => {
                let within = Rc::new(Ancestry::new(self, data).tree(root)?);
                Some(Asked { place: Place::Tree(root.clone()), within, by_files: false })
            }
            None => None,
        };
        Ok(View::of(self, None, tree))
    }

    /// Whether a principal may do anything at all. It is known by its Cedar type and id, however a request named it.
    pub fn status(&self, principal: &EntityUID) -> Status {
        let Some(inactive) = self.inactive.filter(|inactive| inactive.count() > 0) else {
            return Status::Active;
        };
        let id: &str = principal.eid().as_ref();
        let mut status = Status::Active;
        for kind in Kind::PRINCIPALS {
            let is_meant =
                |(known, name): &(Kind, EntityType)| *known == kind && name == principal.entity_type();
            for mark in inactive.marks(kind, id) {
                // The row's own type counts too: the pack may have mapped the kind otherwise when it was made.
                let is_row =
                    *mark.pack == *self.pack && *mark.entity_type == *principal.entity_type().to_string();
                if is_row || self.kinds.iter().any(is_meant) {
                    status = status.max(mark.status);
                }
            }
        }
        status
    }

    /// Whether a principal is locked or disabled.
    pub fn is_inactive(&self, principal: &EntityUID) -> bool {
        self.status(principal) != Status::Active
    }

    /// A mark of the data: while it is the same, and the time within the view's window, so is what a view gives.
    pub fn stamp(&self) -> [u64; 3] {
        let data = self.data.map_or(0, |data| data.number);
        [self.files.number(), data, self.inactive.map_or(0, |inactive| inactive.number)]
    }
}
