//! From checked rows to entities: staged where nobody sees them, then made visible in one change.
//!
//! Promises: rows that the store has just so are not written again; an import that changes nothing is no change; one
//! that was cut off while staging goes on where it was. What others changed meanwhile is checked with it.

use std::sync::Arc;

use super::present::{CheckError, Present, Touched};
use super::rows::Rows;
use crate::clock::{Clock, Timestamp};
use crate::policy::Pack;
use crate::random::{RandomError, Rng, new_id};
use crate::store::changes::Change;
use crate::store::imports::{ImportRow, Imported, StagedRow};
use crate::store::{Store, StoreError};

/// An import.
pub struct Work<'a> {
    /// Where it goes.
    pub store: &'a Store,
    /// The time.
    pub clock: &'a dyn Clock,
    /// For ids.
    pub rng: &'a dyn Rng,
    /// Whose entities they are.
    pub tenant: &'a str,
    /// Which pack's.
    pub pack: Arc<Pack>,
    /// Who imports; none for the command line.
    pub caller_id: Option<&'a str>,
    /// The rows.
    pub rows: Rows,
    /// Whether it may still be done, judged in the change itself by what it touches then. None for the command line.
    pub may: Option<&'a May<'a>>,
}

/// Whether somebody may touch that.
pub type May<'a> = dyn Fn(Touched) -> bool + Sync + 'a;

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Work({}, {})", self.tenant, self.pack.name())
    }
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many rows wait in the store; the first time, those that waited before.
    Staged(u64),
    /// All wait, and become entities now.
    Finishing,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// What changed.
    pub imported: Imported,
    /// The number of the change; of the last one, if nothing changed.
    pub sequence: u64,
}

/// Why it failed. Nothing of it is visible then.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The whole would be wrong.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process stages the same rows.
    #[error("the same is being imported by another process: wait until it is done, and try again")]
    Busy,
    /// Who imports may not any more, or may not touch what it touches now.
    #[error("it touches what its caller has no right to change, as things are now")]
    NotAllowed,
    /// There is no randomness for ids.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// A thread ended.
    #[error("a check ended before its end, which is a defect of this program")]
    Defect,
}

impl From<std::io::Error> for WorkError {
    fn from(error: std::io::Error) -> Self {
        Self::Check(error.into())
    }
}

/// Rows that are staged together.
const TOGETHER: usize = 5_000;
/// Imports that nobody went on with for this long are given up.
const OLD_US: i64 = 7 * 24 * 3_600 * 1_000_000;

/// Imports the rows over what is there.
///
/// # Errors
/// When the whole would be wrong, or the store fails; what was staged waits for the same import.
pub async fn carry_out(
    work: &Work<'_>,
    mut present: Present,
    mut progress: impl FnMut(Step) + Send,
) -> Result<Finished, WorkError> {
    check(work, &present).await?;
    let Work { store, clock, .. } = *work;
    store.abandon_old_imports(Timestamp(clock.now().0.saturating_sub(OLD_US))).await?;
    let import = stage(work, &mut progress).await?;
    progress(Step::Finishing);
    let mut writing = store.begin_change().await?;
    let moved = present.catch_up(&mut writing).await?;
    let checked = match (moved, judge(work, &present).await) {
        (_, Err(error)) => Err(error),
        (true, Ok(())) => check(work, &present).await,
        (false, Ok(())) => Ok(()),
    };
    if let Err(error) = checked {
        drop(writing);
        store.abandon_import(&import.id).await?;
        return Err(error);
    }
    let now = clock.now();
    let imported = writing.finish_import(&import, now).await?;
    if imported.created + imported.updated == 0 {
        drop(writing);
        store.abandon_import(&import.id).await?;
        return Ok(Finished { imported, sequence: present.sequence });
    }
    let Imported { created, updated, unchanged } = imported;
    let detail = serde_json::json!({
        "pack": work.pack.name(), "created": created, "updated": updated, "unchanged": unchanged,
        "content_hash": import.content_hash,
    });
    let change = Change {
        id: new_id("evt_", now, work.rng)?,
        tenant_id: work.tenant.to_owned(),
        made_at: now,
        kind: "entities_imported".into(),
        target_id: import.id,
        detail: detail.to_string(),
        caller_id: work.caller_id.map(str::to_owned),
    };
    let sequence = writing.commit(&change).await?;
    Ok(Finished { imported, sequence })
}

/// The check takes as long as there are entities: not where requests are answered.
async fn check(work: &Work<'_>, present: &Present) -> Result<(), WorkError> {
    let (present, pack, rows) = (present.clone(), Arc::clone(&work.pack), work.rows.clone());
    let now = work.clock.now();
    let checking = tokio::task::spawn_blocking(move || present.check(&pack, &rows, now));
    Ok(checking.await.map_err(|_| WorkError::Defect)??)
}

/// Others may have changed what it touches meanwhile, and who may touch it.
async fn judge(work: &Work<'_>, present: &Present) -> Result<(), WorkError> {
    let Some(may) = work.may else { return Ok(()) };
    let (present, pack, rows) = (present.clone(), Arc::clone(&work.pack), work.rows.clone());
    let looking = tokio::task::spawn_blocking(move || present.touched(&pack, &rows));
    let touched = looking.await.map_err(|_| WorkError::Defect)??;
    if may(touched) { Ok(()) } else { Err(WorkError::NotAllowed) }
}

async fn stage(work: &Work<'_>, progress: &mut (impl FnMut(Step) + Send)) -> Result<ImportRow, WorkError> {
    let Work { store, clock, rows, .. } = work;
    let new = ImportRow {
        id: new_id("imp_", clock.now(), work.rng)?,
        tenant_id: work.tenant.to_owned(),
        pack: work.pack.name().to_owned(),
        content_hash: rows.hash.clone(),
        staged: 0,
        status: "staging".into(),
    };
    let import = store.begin_import(&new, clock.now()).await?;
    let mut staged = import.staged;
    progress(Step::Staged(staged));
    let mut left = rows.read().skip(usize::try_from(staged).unwrap_or(usize::MAX));
    loop {
        let some: Vec<StagedRow> = left.by_ref().take(TOGETHER).collect::<Result<_, _>>()?;
        if some.is_empty() {
            return Ok(import);
        }
        if !store.stage(&import.id, staged, &some, clock.now()).await? {
            return Err(WorkError::Busy);
        }
        staged += some.len() as u64;
        progress(Step::Staged(staged));
    }
}
