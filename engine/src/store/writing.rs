//! One change, from its beginning to its commit, and what others changed before it.
//!
//! Promises: whoever holds a [`Writing`] is the only one, on any node, and knows all that was committed before; so what
//! it checked still holds when it commits. Dropped without a commit, it never was.

use super::assignments::{self, AssignmentRow};
use super::callers::{self, CallerRow};
use super::changes::{self, Change};
use super::entities::{self, EntityRow, select_entities};
use super::plugin_modes::{self, PluginModeRow};
use super::pool::{Tx, args};
use super::revisions::{self, PinRow};
use super::{Store, StoreError, meta};
use crate::clock::Timestamp;

/// A change that is being made.
#[derive(Debug)]
pub struct Writing {
    pub(super) tx: Tx,
    sequence: u64,
}

/// A row that is newer than what a node knows.
#[derive(Debug)]
pub enum Changed {
    /// A caller, perhaps one whose key has ended.
    Caller(CallerRow),
    /// An entity, perhaps a deleted one.
    Entity(Box<EntityRow>),
    /// A role assignment, perhaps one that is over.
    Assignment(Box<AssignmentRow>),
    /// How much a plugin counts, perhaps one that was taken back.
    PluginMode(PluginModeRow),
    /// Which set of packs is served whatever the folder holds, perhaps none.
    Pin(PinRow),
}

impl Store {
    /// Begins a change: waits until no other is under way.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin_change(&self) -> Result<Writing, StoreError> {
        let mut tx = self.pool.begin_write().await?;
        let sequence = meta::advance_sequence(&mut tx).await?;
        Ok(Writing { tx, sequence })
    }

    /// Shows all rows that are newer than `known`, as of one moment; gives that moment's sequence number.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changed_since(
        &self,
        known: u64,
        see: impl FnMut(Changed) + Send,
    ) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin_read().await?;
        let sequence = meta::sequence_of(&mut tx).await?;
        if sequence > known {
            show(&mut tx, known, see).await?;
        }
        tx.commit().await?;
        Ok(sequence)
    }
}

impl Writing {
    /// The number of this change: the `version` of every row that it writes.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Shows all rows that others changed and a node that knows `known` does not have.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changed_since(
        &mut self,
        known: u64,
        see: impl FnMut(Changed) + Send,
    ) -> Result<(), StoreError> {
        if known + 1 >= self.sequence {
            return Ok(());
        }
        show(&mut self.tx, known, see).await
    }

    /// Makes a tenant known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ensure_tenant(&mut self, tenant_id: &str, now: Timestamp) -> Result<(), StoreError> {
        let insert = "INSERT INTO tenants (id, created_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        self.tx.execute(insert, args![tenant_id, now]).await.map(drop)
    }

    /// Commits; gives the sequence number.
    ///
    /// # Errors
    /// When the database fails: whether the change was made is not known then, and the node must look.
    pub async fn commit(mut self, change: &Change) -> Result<u64, StoreError> {
        changes::insert(&mut self.tx, change).await?;
        self.tx.commit().await?;
        Ok(self.sequence)
    }
}

async fn show(tx: &mut Tx, known: u64, mut see: impl FnMut(Changed) + Send) -> Result<(), StoreError> {
    tx.each("SELECT * FROM callers WHERE version > $1 OR $1 = 0", args![known], |row| {
        see(Changed::Caller(callers::from_row(&row)?));
        Ok(())
    })
    .await?;
    tx.each("SELECT * FROM revision_pins WHERE version > $1", args![known], |row| {
        see(Changed::Pin(revisions::pin_from_row(&row)?));
        Ok(())
    })
    .await?;
    // A node that knows nothing needs all that is left, and reads the table from its beginning to its end.
    let (modes, entities, assignments) = match known {
        0 => (
            "SELECT * FROM plugin_modes WHERE mode IS NOT NULL AND $1 = 0",
            select_entities!(" WHERE (deleted_at IS NULL OR status <> 'active') AND $1 = 0"),
            "SELECT * FROM role_assignments WHERE status = 'active' AND $1 = 0",
        ),
        _ => (
            "SELECT * FROM plugin_modes WHERE version > $1 ORDER BY version",
            select_entities!(" WHERE version > $1 ORDER BY version"),
            "SELECT * FROM role_assignments WHERE version > $1 ORDER BY version",
        ),
    };
    tx.each(modes, args![known], |row| {
        see(Changed::PluginMode(plugin_modes::from_row(&row)?));
        Ok(())
    })
    .await?;
    tx.each(entities, args![known], |row| {
        see(Changed::Entity(Box::new(entities::from_row(&row)?)));
        Ok(())
    })
    .await?;
    tx.each(assignments, args![known], |row| {
        see(Changed::Assignment(Box::new(assignments::from_row(&row)?)));
        Ok(())
    })
    .await
}
