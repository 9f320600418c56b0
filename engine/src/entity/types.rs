//! The entity types of one pack's data, numbered.
//!
//! A row names a type by its number, and Cedar's own value of it is shared by all. A name that Cedar can't say has a
//! number too, but no type: whatever names it can't be read, and is denied.

use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Eid, EntityType, EntityUID};

/// Data can't be said in Cedar's terms: a defect of whoever stored it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entity of the store can't be read")]
pub struct Unreadable;

/// All types that were named.
#[derive(Clone, Debug, Default)]
pub struct Types {
    all: Vec<Option<EntityType>>,
    by_name: HashMap<Box<str>, u32>,
    by_type: HashMap<EntityType, u32, foldhash::fast::RandomState>,
}

impl Types {
    /// The number of this type, a new one if it has none yet. Copies only what is shared and must change.
    pub fn number(types: &mut Arc<Self>, name: &str) -> u32 {
        if let Some(known) = types.by_name.get(name) {
            return *known;
        }
        let types = Arc::make_mut(types);
        let number = u32::try_from(types.all.len()).unwrap_or(u32::MAX);
        let entity_type = EntityType::from_normalized_str(name).ok();
        types.by_name.insert(name.into(), number);
        if let Some(entity_type) = &entity_type {
            types.by_type.insert(entity_type.clone(), number);
        }
        types.all.push(entity_type);
        number
    }

    /// The number of this type, if anything was named with it.
    pub fn known(&self, entity_type: &EntityType) -> Option<u32> {
        self.by_type.get(entity_type).copied()
    }

    /// Whether Cedar can say the name of the type with this number.
    pub fn can_say(&self, number: u32) -> bool {
        let place = usize::try_from(number).ok();
        place.and_then(|place| self.all.get(place)).is_some_and(Option::is_some)
    }

    /// The numbers of all of them.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        (0..self.all.len()).filter_map(|place| u32::try_from(place).ok())
    }

    /// The number of the type with this name, if anything was named with it.
    pub fn named(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    /// The entity of this type and id.
    ///
    /// # Errors
    /// When Cedar can't say the type's name.
    pub fn uid(&self, number: u32, id: &str) -> Result<EntityUID, Unreadable> {
        let place = usize::try_from(number).map_err(|_| Unreadable)?;
        let entity_type = self.all.get(place).and_then(Option::as_ref).ok_or(Unreadable)?;
        Ok(EntityUID::from_components(entity_type.clone(), Eid::new(id), None))
    }
}
