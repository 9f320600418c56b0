//! Rows of the store, as what memory holds.

use std::sync::Arc;

use super::Known;
use crate::entity::{AssignmentUpdate, Data, EntityUpdate, Kind, Named, RoleSettings, Scope, Status, Update};
use crate::plugin::Mode;
use crate::plugin::modes::{ModeRule, Overrides};
use crate::store::StoreError;
use crate::store::assignments::AssignmentRow;
use crate::store::callers::CallerRow;
use crate::store::entities::EntityRow;
use crate::store::plugin_modes::PluginModeRow;
use crate::store::writing::Changed;

/// A row says what this program can't read: nothing of its change counts.
#[derive(Debug, thiserror::Error)]
#[error("the row of `{id}` can't be read: {what}")]
pub struct UnreadableRow {
    /// Whose row.
    pub id: String,
    /// Which part.
    pub what: &'static str,
}

impl From<UnreadableRow> for StoreError {
    fn from(error: UnreadableRow) -> Self {
        Self::Corrupt { what: error.what, detail: error.id }
    }
}

/// Rows that are taken over together, one after the other: a million of them are never all in memory twice.
pub(in crate::app) struct Batch {
    data: Data,
    callers: Vec<CallerRow>,
    modes: Arc<Overrides>,
    pin: Option<Arc<str>>,
    failed: Option<UnreadableRow>,
}

impl Batch {
    pub(in crate::app) fn over(known: &Known) -> Self {
        Self {
            data: known.data.as_ref().clone(),
            callers: Vec::new(),
            modes: Arc::clone(&known.modes),
            pin: known.pin.clone(),
            failed: None,
        }
    }

    pub(in crate::app) fn add(&mut self, changed: Changed) {
        let update = match changed {
            Changed::Caller(row) => return self.callers.push(row),
            Changed::Pin(row) => {
                self.pin = row.revision_id.map(Arc::from);
                return;
            }
            Changed::PluginMode(row) => {
                return match ModeUpdate::try_from(row) {
                    Ok(update) => update.settle(Arc::make_mut(&mut self.modes)),
                    Err(error) => self.failed = Some(error),
                };
            }
            Changed::Entity(row) => Update::try_from(*row),
            Changed::Assignment(row) => Update::try_from(*row),
        };
        match update {
            Ok(update) => self.data.take([update]),
            Err(error) => self.failed = Some(error),
        }
    }

    /// What is known then, as of this change, and the rows of callers.
    pub(in crate::app) fn finish(self, sequence: u64) -> Result<(Known, Vec<CallerRow>), UnreadableRow> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let known = Known { sequence, data: Arc::new(self.data), modes: self.modes, pin: self.pin };
        Ok((known, self.callers))
    }
}

impl TryFrom<EntityRow> for Update {
    type Error = UnreadableRow;

    fn try_from(row: EntityRow) -> Result<Self, UnreadableRow> {
        let unreadable = |what| UnreadableRow { id: row.id.clone(), what };
        let kind = Kind::from_name(&row.kind).ok_or_else(|| unreadable("kind"))?;
        let status = Status::from_name(&row.status).ok_or_else(|| unreadable("status"))?;
        if row.deleted_at.is_some() {
            return Ok(Self::EntityGone {
                tenant: row.tenant_id,
                pack: row.pack,
                entity_type: row.type_name,
                id: row.id,
                kind,
                status,
                version: row.version,
            });
        }
        let parents: Vec<Named> = serde_json::from_str(&row.parents).map_err(|_| unreadable("parents"))?;
        // Only roles have any.
        let settings = match &*row.settings {
            "{}" => Ok(RoleSettings::default()),
            other => serde_json::from_str(other).map_err(|_| unreadable("settings")),
        }?;
        Ok(Self::Entity(EntityUpdate {
            tenant: row.tenant_id,
            pack: row.pack,
            entity_type: row.type_name,
            id: row.id,
            kind,
            attributes: row.attributes,
            tags: row.tags,
            parents,
            status,
            settings,
            version: row.version,
        }))
    }
}

impl TryFrom<AssignmentRow> for Update {
    type Error = UnreadableRow;

    fn try_from(row: AssignmentRow) -> Result<Self, UnreadableRow> {
        if row.status != "active" {
            return Ok(Self::AssignmentGone {
                tenant: row.tenant_id,
                pack: row.pack,
                id: row.id,
                version: row.version,
            });
        }
        let scope = match (row.scope.as_str(), row.scope_on) {
            ("tenant", None) => Scope::Tenant,
            ("resource", Some((type_name, id))) => Scope::Resource(type_name, id),
            ("resource_tree", Some((type_name, id))) => Scope::ResourceTree(type_name, id),
            _ => return Err(UnreadableRow { id: row.id, what: "scope" }),
        };
        Ok(Self::Assignment(AssignmentUpdate {
            tenant: row.tenant_id,
            pack: row.pack,
            id: row.id,
            subject: row.subject,
            role: row.role,
            scope,
            starts_at: row.starts_at,
            ends_at: row.ends_at,
            delegated_by: row.delegated_by,
            version: row.version,
        }))
    }
}

/// A plugin's mode that is new, or was taken back.
#[derive(Clone, Debug)]
pub(in crate::app) struct ModeUpdate {
    plugin: String,
    rule: ModeRule,
    is_gone: bool,
}

impl TryFrom<PluginModeRow> for ModeUpdate {
    type Error = UnreadableRow;

    fn try_from(row: PluginModeRow) -> Result<Self, UnreadableRow> {
        let unreadable = |what| UnreadableRow { id: row.plugin.clone(), what };
        let route = Some(&row.route).filter(|route| !route.is_empty()).map(|route| route.parse());
        let route = route.transpose().map_err(|_| unreadable("route"))?;
        let mode = row.mode.as_deref().map(|name| Mode::from_name(name).ok_or_else(|| unreadable("mode")));
        let mode = mode.transpose()?;
        let tenant = Some(row.tenant_id).filter(|tenant| !tenant.is_empty());
        let rule = ModeRule { tenant, route, mode: mode.unwrap_or_default() };
        Ok(Self { plugin: row.plugin, rule, is_gone: mode.is_none() })
    }
}

impl ModeUpdate {
    fn settle(self, modes: &mut Overrides) {
        let Self { plugin, rule, is_gone } = self;
        match is_gone {
            true => modes.take(&plugin, rule.tenant.as_deref(), rule.route.as_ref()),
            false => modes.put(&plugin, rule),
        }
    }
}

/// The modes with these changes in them.
pub(in crate::app) fn with_modes(modes: &Arc<Overrides>, updates: Vec<ModeUpdate>) -> Arc<Overrides> {
    let mut modes = Arc::clone(modes);
    updates.into_iter().for_each(|update| update.settle(Arc::make_mut(&mut modes)));
    modes
}
