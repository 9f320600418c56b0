//! What `lookup` tells a plugin: attributes of entities, as the decision's pack has them.

use std::sync::Arc;

use serde_json::Value;

use crate::clock::Timestamp;
use crate::plugin::Capability;
use crate::plugin::set::Installed;
use crate::plugin::surroundings::{Lookup, Refusal};
use crate::policy::{Pack, Snapshot};

/// The entities of one tenant, pack and moment.
#[derive(Debug)]
pub(crate) struct PackLookup<'a> {
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) pack: &'a Arc<Pack>,
    pub(crate) tenant: &'a Arc<str>,
    pub(crate) now: Timestamp,
}

/// The same for a call that may look up, for as long as it takes.
#[derive(Debug)]
struct Owned {
    snapshot: Arc<Snapshot>,
    pack: Arc<Pack>,
    tenant: Arc<str>,
    now: Timestamp,
}

impl PackLookup<'_> {
    /// What this plugin is given; none without the capability.
    pub(crate) fn of(&self, installed: &Installed) -> Option<Arc<dyn Lookup>> {
        installed.plugin().grant().may(Capability::Lookup).ok()?;
        let &Self { snapshot, pack, tenant, now } = self;
        let (snapshot, pack, tenant) = (Arc::clone(snapshot), Arc::clone(pack), Arc::clone(tenant));
        Some(Arc::new(Owned { snapshot, pack, tenant, now }))
    }
}

impl Lookup for Owned {
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
