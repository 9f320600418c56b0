//! Rows of the store, as what memory holds.

use crate::entity::{AssignmentUpdate, Data, EntityUpdate, Kind, Named, Scope, Status, Update};
use crate::store::StoreError;
use crate::store::assignments::AssignmentRow;
use crate::store::callers::CallerRow;
use crate::store::entities::EntityRow;
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

/// Rows that are taken over together, some at a time: a million of them are never all in memory twice.
pub(in crate::app) struct Batch {
    data: Data,
    callers: Vec<CallerRow>,
    waiting: Vec<Update>,
    failed: Option<UnreadableRow>,
}

const AT_ONCE: usize = 20_000;

impl Batch {
    pub(in crate::app) fn over(data: &Data) -> Self {
        Self { data: data.clone(), callers: Vec::new(), waiting: Vec::new(), failed: None }
    }

    pub(in crate::app) fn add(&mut self, changed: Changed) {
        let update = match changed {
            Changed::Caller(row) => return self.callers.push(row),
            Changed::Entity(row) => Update::try_from(*row),
            Changed::Assignment(row) => Update::try_from(*row),
        };
        match update {
            Ok(update) => self.waiting.push(update),
            Err(error) => self.failed = Some(error),
        }
        if self.waiting.len() >= AT_ONCE {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.data = self.data.apply(self.waiting.drain(..));
    }

    pub(in crate::app) fn finish(mut self) -> Result<(Data, Vec<CallerRow>), UnreadableRow> {
        self.settle();
        match self.failed {
            Some(error) => Err(error),
            None => Ok((self.data, self.callers)),
        }
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
        let settings = serde_json::from_str(&row.settings).map_err(|_| unreadable("settings"))?;
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
