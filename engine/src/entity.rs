//! Entities as Cedar has them, held so that a request costs a slice and never a copy of all.
//!
//! Promises: an entity carries its ancestors, all of them; looking one up shares it. Must
//! never: change while a snapshot holds it.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID};

/// The entities of one pack.
#[derive(Clone, Debug, Default)]
pub struct EntityStore {
    by_uid: HashMap<EntityUID, Arc<Entity>, foldhash::fast::RandomState>,
}

impl EntityStore {
    /// Takes entities whose ancestors have been computed.
    pub fn new(entities: impl IntoIterator<Item = Arc<Entity>>) -> Self {
        let by_uid = entities.into_iter().map(|entity| (entity.uid().clone(), entity)).collect();
        Self { by_uid }
    }

    /// The entity with this id.
    pub fn get(&self, uid: &EntityUID) -> Option<&Arc<Entity>> {
        self.by_uid.get(uid)
    }

    /// How many there are, the schema's actions apart.
    pub fn count(&self) -> usize {
        self.by_uid.keys().filter(|uid| !uid.entity_type().is_action()).count()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entity>> {
        self.by_uid.values()
    }
}
