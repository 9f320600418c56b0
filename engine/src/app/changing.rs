//! A change that an administrator makes, from what is known to what is served.
//!
//! Promises: whoever makes one knows all that was committed before, on whichever node, and no other is made meanwhile; so
//! what was checked still holds when it is committed. When it is answered, the next decision of this node sees it.

use std::sync::Arc;

use super::App;
use super::replica::{Batch, Known, ModeUpdate, Turn, UnreadableRow, with_modes};
use crate::clock::Timestamp;
use crate::entity::{Data, Update};
use crate::policy::Snapshot;
use crate::store::assignments::AssignmentRow;
use crate::store::changes::Change;
use crate::store::elevations::ElevationRow;
use crate::store::entities::EntityRow;
use crate::store::idempotency::{Earlier, Idempotent};
use crate::store::plugin_modes::PluginModeRow;
use crate::store::revisions::PinRow;
use crate::store::writing::Changed;
use crate::store::{StoreError, Writing};

/// Who makes a change.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Whose data it is.
    pub tenant: String,
    /// Which caller; none for the command line.
    pub caller_id: Option<String>,
}

/// Why a change was not made, or not told to all.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The change is made, but other nodes can't be told: they may not honour it yet.
    #[error("the change number {sequence} is made, but not yet announced to all nodes")]
    Pending {
        /// Its number.
        sequence: u64,
    },
}

impl From<UnreadableRow> for ChangeError {
    fn from(error: UnreadableRow) -> Self {
        Self::Store(error.into())
    }
}

/// A change that was made.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Its number: usable as `at_least_revision`.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
}

/// A change that is being made.
#[derive(Debug)]
pub struct Changing<'a> {
    app: &'a App,
    actor: Actor,
    turn: Turn<'a>,
    writing: Writing,
    snapshot: Arc<Snapshot>,
    updates: Vec<Update>,
    modes: Vec<ModeUpdate>,
    pin: Option<PinRow>,
    now: Timestamp,
}

impl App {
    /// Begins a change: waits until no other is under way, and takes over all before it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin_change(&self, actor: Actor) -> Result<Changing<'_>, ChangeError> {
        let mut turn = self.replica.turn().await;
        let mut writing = self.store.begin_change().await?;
        if turn.sequence + 1 < writing.sequence() {
            let mut batch = Batch::over(&turn);
            writing.changed_since(turn.sequence, |changed: Changed| batch.add(changed)).await?;
            let (known, rows) = batch.finish(writing.sequence() - 1)?;
            self.callers.apply(rows, false);
            self.replica.know(&mut turn, known);
        }
        self.serve(turn.clone());
        let now = self.clock.now();
        let snapshot = self.snapshot();
        Ok(Changing {
            app: self,
            actor,
            turn,
            writing,
            snapshot,
            updates: Vec::new(),
            modes: Vec::new(),
            pin: None,
            now,
        })
    }

    /// Makes sure that every node has heard of all that this one knows: a change that was answered with
    /// [`ChangeError::Pending`], and is asked for again, is only done then.
    ///
    /// # Errors
    /// When they can't be told.
    pub async fn announce(&self) -> Result<u64, ChangeError> {
        let sequence = self.replica.sequence();
        self.tell_nodes(sequence).await?;
        Ok(sequence)
    }
}

impl Changing<'_> {
    /// The instant of the change.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Its number, which becomes the version of all that it writes.
    pub fn sequence(&self) -> u64 {
        self.writing.sequence()
    }

    /// Whose data is changed.
    pub fn tenant(&self) -> &str {
        &self.actor.tenant
    }

    /// Policies and data as of the change before.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The data as this change will leave it.
    pub fn data_after(&self) -> Data {
        self.turn.data.apply(self.updates.iter().cloned())
    }

    /// The entity, also a deleted one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn entity(
        &mut self,
        pack: &str,
        (type_name, id): (&str, &str),
    ) -> Result<Option<EntityRow>, ChangeError> {
        Ok(self.writing.entity([&self.actor.tenant, pack, type_name, id]).await?)
    }

    /// Writes an entity whole.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_entity(&mut self, mut row: EntityRow) -> Result<(), ChangeError> {
        row.version = self.writing.sequence();
        self.writing.ensure_tenant(&row.tenant_id, self.now).await?;
        self.writing.put_entity(&row).await?;
        self.updates.push(row.try_into()?);
        Ok(())
    }

    /// The tenant's assignment with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn assignment(&mut self, id: &str) -> Result<Option<AssignmentRow>, ChangeError> {
        Ok(self.writing.assignment(&self.actor.tenant, id).await?)
    }

    /// What a subject (a Cedar type and an id) holds or has passed on, and is not over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn assignments_about(
        &mut self,
        pack: &str,
        subject: (&str, &str),
    ) -> Result<Vec<AssignmentRow>, ChangeError> {
        Ok(self.writing.assignments_about(&self.actor.tenant, pack, subject).await?)
    }

    /// The assignments of a role (a Cedar type and an id) that are not over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn assignments_of_role(
        &mut self,
        pack: &str,
        role: (&str, &str),
    ) -> Result<Vec<AssignmentRow>, ChangeError> {
        Ok(self.writing.assignments_of_role(&self.actor.tenant, pack, role).await?)
    }

    /// Writes an assignment whole.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_assignment(&mut self, mut row: AssignmentRow) -> Result<(), ChangeError> {
        row.version = self.writing.sequence();
        self.writing.ensure_tenant(&row.tenant_id, self.now).await?;
        self.writing.put_assignment(&row).await?;
        self.updates.push(row.try_into()?);
        Ok(())
    }

    /// The tenant's elevation with this id.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn elevation(&mut self, id: &str) -> Result<Option<ElevationRow>, ChangeError> {
        Ok(self.writing.elevation(&self.actor.tenant, id).await?)
    }

    /// A subject's elevations that are not over.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn elevations_of(
        &mut self,
        pack: &str,
        subject: (&str, &str),
    ) -> Result<Vec<ElevationRow>, ChangeError> {
        Ok(self.writing.elevations_of(&self.actor.tenant, pack, subject).await?)
    }

    /// Writes an elevation whole.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_elevation(&mut self, mut row: ElevationRow) -> Result<(), ChangeError> {
        row.version = self.writing.sequence();
        self.writing.ensure_tenant(&row.tenant_id, self.now).await?;
        Ok(self.writing.put_elevation(&row).await?)
    }

    /// A plugin's mode for a tenant (empty is everybody) and a route (empty is all), also one that was taken back.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn plugin_mode(&mut self, of: [&str; 3]) -> Result<Option<PluginModeRow>, ChangeError> {
        Ok(self.writing.plugin_mode(of).await?)
    }

    /// How many modes a tenant has for a plugin.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count_plugin_modes(&mut self, tenant: &str, plugin: &str) -> Result<usize, ChangeError> {
        Ok(self.writing.count_plugin_modes(tenant, plugin).await?)
    }

    /// Writes a plugin's mode whole.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_plugin_mode(&mut self, mut row: PluginModeRow) -> Result<(), ChangeError> {
        row.version = self.writing.sequence();
        self.writing.put_plugin_mode(&row).await?;
        self.modes.push(row.try_into()?);
        Ok(())
    }

    /// The set of packs that is pinned.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn pin(&mut self) -> Result<Option<PinRow>, ChangeError> {
        Ok(self.writing.pin().await?)
    }

    /// Pins a set of packs, or none; false when it is not there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn put_pin(&mut self, revision_id: Option<String>, origin: &str) -> Result<bool, ChangeError> {
        if let Some(id) = &revision_id
            && !self.writing.activate_revision(id, origin, self.now).await?
        {
            return Ok(false);
        }
        let version = self.writing.sequence();
        let row = PinRow { revision_id, origin: origin.to_owned(), updated_at: self.now, version };
        self.writing.put_pin(&row).await?;
        self.pin = Some(row);
        Ok(true)
    }

    /// What an idempotency key stands for.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn earlier_answer(&mut self, of: Idempotent<'_>) -> Result<Earlier, ChangeError> {
        Ok(self.writing.earlier_answer(of).await?)
    }

    /// Keeps what an idempotency key is answered.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn keep_answer(&mut self, of: Idempotent<'_>, answer: &str) -> Result<(), ChangeError> {
        Ok(self.writing.keep_answer(of, answer, self.now).await?)
    }

    /// Commits, serves and announces.
    ///
    /// # Errors
    /// When the store fails, or the other nodes can't be told.
    pub async fn commit(self, kind: &str, target_id: &str, detail: String) -> Result<Done, ChangeError> {
        let Self { app, actor, mut turn, writing, updates, modes, pin, now, .. } = self;
        let change = Change {
            id: app.new_id("evt_", now),
            tenant_id: actor.tenant,
            made_at: now,
            kind: kind.to_owned(),
            target_id: target_id.to_owned(),
            detail,
            caller_id: actor.caller_id,
        };
        let sequence = match writing.commit(&change).await {
            Ok(sequence) => sequence,
            Err(error) => {
                // It may have been made all the same: nobody decides before the store was asked.
                app.replica.doubt();
                return Err(error.into());
            }
        };
        let data = Arc::new(turn.data.apply(updates));
        let modes = with_modes(&turn.modes, modes);
        let pin = pin.map_or_else(|| turn.pin.clone(), |row| row.revision_id.map(Arc::from));
        let known = Known { sequence, data, modes, pin };
        app.replica.know(&mut turn, known.clone());
        app.serve(known);
        drop(turn);
        app.tell_nodes(sequence).await?;
        Ok(Done { sequence, at: now })
    }
}
