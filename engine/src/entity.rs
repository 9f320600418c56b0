//! Entities: a pack's own, from its files, and a tenant's, from the store.
//!
//! Promises: a question costs a slice and never a copy of all; data never changes while a snapshot holds it; an
//! assignment counts from its start to its end, to the instant, with no job having to run. Must never: do I/O, or read
//! a clock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cedar_policy_core::ast::{Entity, EntityType, EntityUID, Literal, PartialValue};
use smol_str::SmolStr;

pub mod ancestry;
pub mod assignment;
pub mod bytes;
pub mod data;
pub mod encoded;
pub mod exclusion;
pub mod facts;
pub mod families;
pub mod holding;
pub mod inactive;
pub mod interned;
pub mod memory;
pub mod pack_data;
pub mod row;
pub mod sorted;
#[cfg(test)]
mod tests;
pub mod trie;
pub mod types;
pub mod update;
pub mod view;

pub use ancestry::Window;
pub use data::Data;
pub use facts::Facts;
pub use inactive::{Inactive, Mark};
pub use memory::Memory;
pub use pack_data::PackData;
pub use row::Row;
pub use types::Unreadable;
pub use update::{AssignmentUpdate, EntityUpdate, Kind, Named, RoleSettings, Scope, Status, Update};
pub use view::View;

use families::literals_of;
use interned::{ByUid, Interner};

/// The entities of one pack's files. They carry their ancestors, all of them.
#[derive(Clone, Debug)]
pub struct EntityStore {
    /// Shared: a reload that leaves them as they are makes no copy.
    by_uid: Arc<ByUid<Arc<Entity>>>,
    number: u64,
    /// All that is in an entity, by it; made when it is first asked for.
    members: Arc<OnceLock<Members>>,
    /// By the name of the attribute; made when one is first asked for.
    values: Arc<Mutex<HashMap<SmolStr, Arc<ByValue>>>>,
}

/// Ids, in their order, by type and value.
pub type ByValue = HashMap<(EntityType, Literal), Vec<SmolStr>, foldhash::fast::RandomState>;

type Members = HashMap<EntityUID, Vec<EntityUID>, foldhash::fast::RandomState>;

impl Default for EntityStore {
    fn default() -> Self {
        Self::new([])
    }
}

impl EntityStore {
    /// Takes entities whose ancestors have been computed.
    pub fn new(entities: impl IntoIterator<Item = Arc<Entity>>) -> Self {
        let mut interner = Interner::default();
        let interned = entities.into_iter().map(|entity| Arc::new(interner.entity(&entity)));
        let by_uid = interned.map(|entity| (entity.uid().clone(), entity)).collect();
        Self {
            by_uid: Arc::new(by_uid),
            number: fresh_number(),
            members: Arc::default(),
            values: Arc::default(),
        }
    }

    /// The entity with this id.
    pub fn get(&self, uid: &EntityUID) -> Option<&Arc<Entity>> {
        self.by_uid.get(uid)
    }

    /// How many there are, the schema's actions apart.
    pub fn count(&self) -> usize {
        self.by_uid.iter().filter(|(uid, _)| !uid.entity_type().is_action()).count()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.by_uid.iter().map(|(_, entity)| entity)
    }

    /// All of them that are in this entity, by type and id.
    pub fn members(&self, uid: &EntityUID) -> &[EntityUID] {
        self.by_ancestor().get(uid).map_or(&[], Vec::as_slice)
    }

    /// Whatever of these is in something.
    pub fn groups(&self) -> impl Iterator<Item = &EntityUID> {
        self.by_ancestor().keys()
    }

    /// Makes what [`Self::members`] looks up in, unless it is there.
    pub fn prepare_members(&self) {
        self.by_ancestor();
    }

    fn by_ancestor(&self) -> &Members {
        self.members.get_or_init(|| {
            let mut members = Members::default();
            for entity in self.iter() {
                for ancestor in entity.ancestors() {
                    members.entry(ancestor.clone()).or_default().push(entity.uid().clone());
                }
            }
            members.values_mut().for_each(|all| all.sort_unstable());
            members
        })
    }

    /// Who has which value as this attribute, or in it.
    pub fn by_value(&self, attribute: &SmolStr) -> Arc<ByValue> {
        let mut all = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let made = all.entry(attribute.clone()).or_insert_with(|| {
            let mut values = ByValue::default();
            for entity in self.iter() {
                let Some(PartialValue::Value(value)) = entity.get(attribute) else { continue };
                for literal in literals_of(value) {
                    let key = (entity.uid().entity_type().clone(), literal.clone());
                    values
                        .entry(key)
                        .or_default()
                        .push(SmolStr::new(AsRef::<str>::as_ref(entity.uid().eid())));
                }
            }
            values.values_mut().for_each(|all| all.sort_unstable());
            Arc::new(values)
        });
        Arc::clone(made)
    }

    /// Differs from every other's.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// A number that no other has in this process. Numbers tell states apart and decide nothing.
fn fresh_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
