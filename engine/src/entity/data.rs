//! All that the store holds of entities, at hand for every question.
//!
//! Promises: it never changes; `apply` gives a new one that shares all that is the same, whether one
//! row changed or a million. The order of updates within what they change is the store's.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::inactive::{Inactive, Mark};
use super::memory::Memory;
use super::pack_data::PackData;
use super::update::{Kind, Status, Update};

/// The data of all tenants.
#[derive(Clone, Debug, Default)]
pub struct Data {
    tenants: Arc<BTreeMap<Arc<str>, Arc<TenantData>>>,
    memory: Arc<Memory>,
}

#[derive(Clone, Debug, Default)]
struct TenantData {
    packs: BTreeMap<Arc<str>, Arc<PackData>>,
    inactive: Arc<Inactive>,
}

static NOBODY: LazyLock<Arc<Inactive>> = LazyLock::new(Arc::default);

impl Data {
    /// The data with these changes.
    pub fn apply(&self, updates: impl IntoIterator<Item = Update>) -> Self {
        let mut data = self.clone();
        data.take(updates);
        data
    }

    /// Takes these changes over in place: what nobody shares is changed and not copied.
    pub fn take(&mut self, updates: impl IntoIterator<Item = Update>) {
        for update in updates {
            self.change(&update);
        }
    }

    fn change(&mut self, update: &Update) {
        match update {
            Update::Entity(row) => {
                if self.pack_mut(&row.tenant, &row.pack).put_entity(row) {
                    let status = (row.kind, row.id.as_str(), row.entity_type.as_str(), row.status);
                    self.note_status(&row.tenant, &row.pack, status);
                }
            }
            Update::EntityGone { tenant, pack, entity_type, id, kind, status, version } => {
                if self.pack_mut(tenant, pack).remove_entity(entity_type, id, *version) {
                    self.note_status(tenant, pack, (*kind, id, entity_type, *status));
                }
            }
            Update::Assignment(row) => self.pack_mut(&row.tenant, &row.pack).put_assignment(row),
            Update::AssignmentGone { tenant, pack, id, version } => {
                self.pack_mut(tenant, pack).remove_assignment(id, *version);
            }
        }
    }

    fn tenant_mut(&mut self, tenant: &str) -> &mut TenantData {
        value_mut(Arc::make_mut(&mut self.tenants), tenant, Arc::default)
    }

    fn pack_mut(&mut self, tenant: &str, pack: &str) -> &mut PackData {
        let memory = Arc::clone(&self.memory);
        value_mut(&mut self.tenant_mut(tenant).packs, pack, || Arc::new(PackData::new(memory)))
    }

    fn note_status(
        &mut self,
        tenant: &str,
        pack: &str,
        (kind, id, entity_type, status): (Kind, &str, &str, Status),
    ) {
        // Others have no status, and most of these are as if nothing had been said of them.
        let is_said = status != Status::Active || !self.inactive(tenant).marks(kind, id).is_empty();
        if kind.is_principal() && is_said {
            let mark = Mark { pack: pack.into(), entity_type: entity_type.into(), status };
            Inactive::note(&mut self.tenant_mut(tenant).inactive, kind, id, mark);
        }
    }

    /// What a tenant has in a pack, if anything.
    pub fn pack(&self, tenant: &str, pack: &str) -> Option<&Arc<PackData>> {
        self.tenants.get(tenant)?.packs.get(pack)
    }

    /// The principals of a tenant that are locked or disabled, by whichever pack's row.
    pub fn inactive(&self, tenant: &str) -> &Inactive {
        self.tenants.get(tenant).map_or(&NOBODY, |data| &data.inactive)
    }

    /// Makes what searches look up in, unless it is there.
    pub fn prepare_families(&self) {
        for (.., pack) in self.iter() {
            pack.prepare_families();
        }
    }

    /// Every tenant's data in every pack.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Arc<PackData>)> {
        self.tenants
            .iter()
            .flat_map(|(tenant, data)| data.packs.iter().map(move |(pack, data)| (&**tenant, &**pack, data)))
    }
}

/// The value under a name, made ours alone; a new one if there is none.
fn value_mut<'m, V: Clone>(
    values: &'m mut BTreeMap<Arc<str>, Arc<V>>,
    name: &str,
    new: impl FnOnce() -> Arc<V>,
) -> &'m mut V {
    // A name is copied for the first value alone, and not for every row.
    let name: Arc<str> = match values.get_key_value(name) {
        Some((known, _)) => Arc::clone(known),
        None => name.into(),
    };
    Arc::make_mut(values.entry(name).or_insert_with(new))
}
