//! What a tenant has in a pack before an import, and what it would have after it.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::hierarchy;
use super::rows::Rows;
use crate::administration::AdminError;
use crate::administration::duties::refuse;
use crate::administration::value::parents;
use crate::clock::Timestamp;
use crate::entity::exclusion::new_conflict;
use crate::entity::{Data, EntityUpdate, Kind, RoleSettings, Row, Status, Update};
use crate::policy::Pack;
use crate::protect::digest;
use crate::store::entities::EntityRow;
use crate::store::imports::{Imported, StagedRow};
use crate::store::writing::Changed;
use crate::store::{Store, StoreError, Writing};

/// What is known of the store.
#[derive(Clone, Debug)]
pub struct Present {
    tenant: String,
    pack: String,
    /// The entities and assignments.
    pub data: Data,
    /// The number of the last change that is in them.
    pub sequence: u64,
    /// What each entity says, by its name; both as digests.
    contents: Arc<Contents>,
}

type Contents = HashMap<u128, u128, foldhash::fast::RandomState>;

/// What rows change that has rights of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Principals.
    pub principals: bool,
    /// Groups, or who is in them: who is in a group has what it holds.
    pub groups: bool,
}

impl Present {
    /// What a running server knows already.
    pub fn known((tenant, pack): (&str, &str), data: Data, sequence: u64) -> Self {
        Self { tenant: tenant.into(), pack: pack.into(), data, sequence, contents: Arc::default() }
    }

    /// Reads what the store holds.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn read(store: &Store, (tenant, pack): (&str, &str)) -> Result<Self, StoreError> {
        let mut present = Self::known((tenant, pack), Data::default(), 0);
        let mut batch = Batch::over(&present);
        let mut contents = Contents::default();
        let sequence = store
            .changed_since(0, |changed| {
                if let Some(row) = batch.wanted(&changed) {
                    contents.insert(
                        name(&row.type_name, &row.id),
                        content(&row.attributes, &row.tags, &row.parents),
                    );
                }
                batch.add(changed);
            })
            .await?;
        present.data = batch.finish()?;
        present.contents = Arc::new(contents);
        present.sequence = sequence;
        Ok(present)
    }

    /// Takes over what others changed meanwhile. Gives whether they changed anything.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn catch_up(&mut self, writing: &mut Writing) -> Result<bool, StoreError> {
        let before = writing.sequence() - 1;
        if before == self.sequence {
            return Ok(false);
        }
        let mut batch = Batch::over(self);
        writing.changed_since(self.sequence, |changed| batch.add(changed)).await?;
        self.data = batch.finish()?;
        self.sequence = before;
        Ok(true)
    }

    /// What an import of these rows would change; only for what was read from the store.
    ///
    /// # Errors
    /// When the rows can't be read.
    pub fn count(&self, rows: &Rows) -> io::Result<Imported> {
        let mut imported = Imported::default();
        for row in rows.read() {
            let row = row?;
            match self.contents.get(&name(&row.type_name, &row.id)) {
                None => imported.created += 1,
                Some(known) if *known == content(&row.attributes, &row.tags, &row.parents) => {
                    imported.unchanged += 1;
                }
                Some(_) => imported.updated += 1,
            }
        }
        Ok(imported)
    }

    /// What kinds of things these rows would change, besides entities.
    ///
    /// # Errors
    /// When the rows can't be read.
    pub fn touched(&self, pack: &Pack, rows: &Rows) -> io::Result<Touched> {
        let group = pack.entity_type(Kind::Group.name()).map(|group| group.to_string());
        let data = self.data.pack(&self.tenant, &self.pack);
        let group_number = data.zip(group.as_deref()).and_then(|(data, group)| data.types().named(group));
        let mut touched = Touched::default();
        for row in rows.read() {
            let row = row?;
            let kind = Kind::from_name(&row.kind).unwrap_or(Kind::Entity);
            touched.principals |= kind.is_principal();
            if kind == Kind::Group || touched.groups {
                touched.groups = true;
                continue;
            }
            let new = parents(&row.parents);
            let mut new: Vec<&str> = new
                .iter()
                .filter(|(name, _)| Some(name) == group.as_ref())
                .map(|(_, id)| id.as_str())
                .collect();
            let old = data.and_then(|data| data.row((data.types().named(&row.type_name)?, &row.id)));
            let old = old.into_iter().flat_map(Row::parents);
            let mut old: Vec<&str> =
                old.filter(|(number, _)| Some(*number) == group_number).map(|(_, id)| id).collect();
            new.sort_unstable();
            old.sort_unstable();
            touched.groups |= new != old;
        }
        Ok(touched)
    }

    /// Looks at the whole as it would be with these rows: nothing may be in itself, and nobody may come to two roles that
    /// exclude each other.
    ///
    /// # Errors
    /// What would be wrong.
    pub fn check(&self, pack: &Pack, rows: &Rows, now: Timestamp) -> Result<(), CheckError> {
        let after = self.with(rows)?;
        if let Some(data) = after.pack(&self.tenant, &self.pack) {
            hierarchy::check(&pack.entities, data)?;
        }
        let facts = |data| pack.facts(data, &self.tenant, now);
        Ok(refuse(new_conflict(facts(&self.data), facts(&after), None))?)
    }

    fn with(&self, rows: &Rows) -> io::Result<Data> {
        let mut data = self.data.clone();
        for row in rows.read() {
            data.take([self.update(row?)]);
        }
        Ok(data)
    }

    /// A row as it would be. What an import does not say of an entity stays as it is.
    fn update(&self, row: StagedRow) -> Update {
        let key = (row.type_name.as_str(), row.id.as_str());
        let (status, settings) = self.kept(key).unwrap_or_default();
        Update::Entity(EntityUpdate {
            tenant: self.tenant.clone(),
            pack: self.pack.clone(),
            kind: Kind::from_name(&row.kind).unwrap_or(Kind::Entity),
            attributes: row.attributes,
            tags: row.tags,
            parents: parents(&row.parents),
            status,
            settings,
            version: self.sequence + 1,
            entity_type: row.type_name,
            id: row.id,
        })
    }

    fn kept(&self, (type_name, id): (&str, &str)) -> Option<(Status, RoleSettings)> {
        let data = self.data.pack(&self.tenant, &self.pack)?;
        let row = data.row((data.types().named(type_name)?, id))?;
        Some((row.status(), row.settings()))
    }
}

/// Why the whole would be wrong.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// By a rule.
    #[error(transparent)]
    Refused(#[from] AdminError),
    /// The rows can't be read.
    #[error("the checked rows can't be read again: {0}")]
    Rows(#[from] io::Error),
}

/// Rows of the store that are taken over, those of other tenants and packs left out.
struct Batch {
    of: (String, String),
    data: Data,
    failed: Option<StoreError>,
}

impl Batch {
    fn over(present: &Present) -> Self {
        let of = (present.tenant.clone(), present.pack.clone());
        Self { of, data: present.data.clone(), failed: None }
    }

    fn is_of(&self, tenant: &str, pack: &str) -> bool {
        tenant == self.of.0 && pack == self.of.1
    }

    fn wanted<'c>(&self, changed: &'c Changed) -> Option<&'c EntityRow> {
        match changed {
            Changed::Entity(row) if self.is_of(&row.tenant_id, &row.pack) && row.deleted_at.is_none() => {
                Some(row)
            }
            _ => None,
        }
    }

    fn add(&mut self, changed: Changed) {
        let update: Result<Update, StoreError> = match changed {
            Changed::Entity(row) if self.is_of(&row.tenant_id, &row.pack) => {
                Update::try_from(*row).map_err(StoreError::from)
            }
            Changed::Assignment(row) if self.is_of(&row.tenant_id, &row.pack) => {
                Update::try_from(*row).map_err(StoreError::from)
            }
            _ => return,
        };
        match update {
            Ok(update) => self.data.take([update]),
            Err(error) => self.failed = Some(error),
        }
    }

    fn finish(self) -> Result<Data, StoreError> {
        self.failed.map_or(Ok(self.data), Err)
    }
}

/// The digest of an entity's name: two names with one digest can't be found.
pub(super) fn name(type_name: &str, id: &str) -> u128 {
    first_half(digest(&[type_name, id]))
}

fn content(attributes: &str, tags: &str, parents: &str) -> u128 {
    first_half(digest(&[attributes, tags, parents]))
}

fn first_half(digest: [u8; 32]) -> u128 {
    let mut half = [0; 16];
    half.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    u128::from_le_bytes(half)
}
