//! What `lookup` tells a plugin: attributes of entities, as the decision's pack has them.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::plugin::surroundings::{Lookup, Refusal};
use crate::policy::{Pack, Snapshot};

/// The entities of one tenant, pack and moment.
#[derive(Debug)]
pub(super) struct PackLookup {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) pack: Arc<Pack>,
    pub(super) tenant: Arc<str>,
    pub(super) now: Timestamp,
}

impl Lookup for PackLookup {
    fn attributes(&self, type_name: &str, id: &str) -> Result<Value, Refusal> {
        let uid = self.pack.uid(type_name, id).ok_or(Refusal::Invalid)?;
        let facts = self.pack.facts(&self.snapshot.data, &self.tenant, self.now);
        let entity =
            facts.everywhere().get(&uid).map_err(|_| Refusal::Unavailable)?.ok_or(Refusal::Unknown)?;
        let shown = cedar_policy::Entity::from((*entity).clone()).to_json_value();
        let mut shown = shown.map_err(|_| Refusal::Unavailable)?;
        Ok(shown.get_mut("attrs").map(Value::take).unwrap_or_default())
    }
}
