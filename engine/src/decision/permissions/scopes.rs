//! In which scopes a principal, or whom policies look at beside it, has roles.

use std::collections::{BTreeSet, HashSet};

use cedar_policy_core::ast::EntityUID;
use cedar_policy_core::entities::Entities;

use crate::entity::ancestry::{Ancestry, Asked, LONGEST_CHAIN};
use crate::entity::assignment::Place;
use crate::entity::{Facts, Unreadable};

/// More scopes of one principal are not worked out.
pub(super) const MOST_SCOPES: usize = 200;

/// The scopes that were met, each to be worked out once.
#[derive(Default)]
pub(super) struct Scopes {
    waiting: BTreeSet<(EntityUID, bool)>,
    met: HashSet<(EntityUID, bool)>,
    /// Whose roles were looked at.
    looked_at: HashSet<EntityUID>,
}

impl Scopes {
    /// How many wait.
    pub(super) fn left(&self) -> usize {
        self.waiting.len()
    }

    /// Notes the scopes of all whose roles count.
    pub(super) fn of(&mut self, slice: &Entities, facts: Facts<'_>) -> Result<(), Unreadable> {
        let Some(data) = facts.data else { return Ok(()) };
        for entity in slice.iter() {
            let uid = entity.uid();
            if uid.entity_type().is_action() || !self.looked_at.insert(uid.clone()) {
                continue;
            }
            let mut ancestry = Ancestry::new(facts, data);
            ancestry.reach(uid, &Asked::tenant(), LONGEST_CHAIN)?;
            ancestry.scopes.into_iter().for_each(|place| self.meet(place));
        }
        Ok(())
    }

    fn meet(&mut self, place: Place<EntityUID>) {
        let scope = match place {
            Place::Tenant => return,
            Place::Resource(uid) => (uid, false),
            Place::Tree(uid) => (uid, true),
        };
        if self.met.insert(scope.clone()) {
            self.waiting.insert(scope);
        }
    }

    /// The next to be worked out, unless enough are.
    pub(super) fn next(&mut self, worked_out: usize) -> Option<Place<EntityUID>> {
        if worked_out >= MOST_SCOPES {
            return None;
        }
        let (uid, tree) = self.waiting.pop_first()?;
        Some(if tree { Place::Tree(uid) } else { Place::Resource(uid) })
    }
}
