//! A filter: which rows of an application's own table a subject may do this to, as a condition on the row.
//!
//! Promises: what is selected is what an evaluation with the row's columns as the resource's properties allows, as of one
//! revision and instant, for who understands no obligation; it is recorded once. It runs off the workers, within the room
//! and the time of searches. Must never: select more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cedar_policy_core::ast::EntityType;
use serde_json::Value;

use super::{AskError, Circumstances, choose_pack, give_batch_back, take_batch, vouch};
use crate::app::App;
use crate::audit::Kind;
use crate::clock::{Clock, Timestamp};
use crate::decision::Reason;
use crate::decision::residual::{Formula, ResidualError};
use crate::policy::Pack;
use crate::question::{Asked, Assertions};
use crate::record::{Filtered, Record};
use crate::store::filter::{Dialect, Where, WhereError, render};

mod rows;
#[cfg(test)]
mod tests;

use rows::Work;

/// What a filter comes to.
#[derive(Debug)]
pub struct Filter {
    /// The condition on a row.
    pub condition: Formula,
    /// The same as SQL, when a dialect was asked for.
    pub selection: Option<Where>,
    /// The revision that it is of.
    pub revision: Arc<str>,
    /// The id of its record.
    pub id: String,
}

impl Filter {
    /// Of which rows it holds: `always`, `never` or `conditional`.
    pub fn outcome(&self) -> &'static str {
        outcome(&self.condition)
    }
}

fn outcome(condition: &Formula) -> &'static str {
    match condition {
        Formula::Always => "always",
        Formula::Never => "never",
        _ => "conditional",
    }
}

/// Why there is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Nobody said where the rows are.
    #[error(
        "the pack does not say where resources of type `{0}` are rows: `[filter.{0}]` in its `pack.toml`"
    )]
    Unmapped(String),
    /// It can't be said exactly, or is too much.
    #[error(transparent)]
    Residual(#[from] ResidualError),
    /// It is no SQL.
    #[error(transparent)]
    Where(#[from] WhereError),
    /// Others have the room.
    #[error("too many searches and filters run at once (`search.at_once`): try again")]
    Busy,
    /// It can't be recorded.
    #[error("the filter can't be recorded now: try again")]
    Unrecorded,
}

/// Works a filter out. The resource of `asked` has no id and no properties: rows have them.
///
/// # Errors
/// When the caller may not ask so, the question is none, or there is no exact filter.
pub async fn filter(
    app: &App,
    by: &Circumstances<'_>,
    asked: &Asked<'_>,
    dialect: Option<Dialect>,
) -> Result<Filter, AskError> {
    let assertions = Assertions::parse(asked)?;
    let (snapshot, now) = (app.snapshot(), app.clock.now());
    let pack = choose_pack(&snapshot, by, now);
    vouch(app, &snapshot, by, pack, now).await?;
    let type_name = asked.resource.type_name.to_string();
    let of = pack.map(|pack| (pack, pack.entity_type(&type_name)));
    let (condition, mapping) = match of {
        None | Some((_, None)) => (Formula::Never, None),
        Some((pack, Some(entity_type))) => {
            let mapping = pack.rows(&entity_type).cloned().ok_or(FilterError::Unmapped(type_name))?;
            let work = Work {
                data: Arc::clone(&snapshot.data),
                tenant: by.caller.tenant.clone(),
                pack: Arc::clone(pack),
                at: now,
                asked: super::search::bare(asked),
                assertions,
                mapping: Arc::clone(&mapping),
            };
            (run(app, work, entity_type).await?, Some(mapping))
        }
    };
    let selection = match (dialect, mapping) {
        (Some(dialect), Some(mapping)) => {
            Some(render(&condition, &mapping, dialect).map_err(FilterError::from)?)
        }
        (Some(Dialect::Postgresql), None) => Some(Where { sql: "FALSE".into(), parameters: Vec::new() }),
        (Some(Dialect::Sqlite), None) => Some(Where { sql: "0".into(), parameters: Vec::new() }),
        (None, _) => None,
    };
    let id = app.new_id("evt_", now);
    let found = Filter { condition, selection, revision: Arc::clone(&snapshot.revision_text), id };
    record(app, by, asked, &found, (now, pack)).await?;
    Ok(found)
}

/// Tells the work when nobody waits for it.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Works it out off the workers, when there is room.
async fn run(app: &App, work: Work, entity_type: EntityType) -> Result<Formula, AskError> {
    let patience = Duration::from_millis(app.config.search.deadline_milliseconds);
    let room = tokio::time::timeout(patience, app.searches.room()).await;
    let room = room.ok().flatten().ok_or(FilterError::Busy)?;
    let done = Done(Arc::new(AtomicBool::new(false)));
    let (left, clock) = (Arc::clone(&done.0), Arc::clone(&app.clock));
    let until = clock.monotonic() + patience;
    let found = tokio::task::spawn_blocking(move || {
        // Held by the work and not by who waits for it.
        let _room = room;
        let stop = || left.load(Ordering::Relaxed) || Clock::monotonic(&*clock) > until;
        work.condition(&entity_type, &stop)
    })
    .await;
    drop(done);
    match found {
        Ok(found) => Ok(found.map_err(FilterError::from)?),
        Err(_) => Err(AskError::Failed),
    }
}

/// Stage `record`: the filter, once.
async fn record(
    app: &App,
    by: &Circumstances<'_>,
    asked: &Asked<'_>,
    found: &Filter,
    (time, pack): (Timestamp, Option<&Arc<Pack>>),
) -> Result<(), FilterError> {
    let parameters: &[Value] = found.selection.as_ref().map_or(&[], |selection| &selection.parameters);
    let filtered =
        Filtered { outcome: found.outcome(), size: found.condition.size(), parameters: parameters.len() };
    let reasons = if pack.is_none() { vec![Reason::NoPack.text()] } else { Vec::new() };
    let record = Record {
        caller: Some(by.caller),
        tenant: &by.caller.tenant,
        via: by.via,
        request_id: by.request_id,
        peer: by.peer,
        pack: pack.map(|pack| pack.name()),
        allowed: pack.is_some(),
        reasons: &reasons,
        asked: Some(asked),
        filter: Some(&filtered),
        ..Record::denied(&found.id, time, &found.revision)
    };
    let mut batch = take_batch();
    let pushed = batch.push(&found.id, Kind::Event, time, |out| record.write(out));
    let appended = app.log.append(&mut batch).await;
    app.note_append(&appended);
    give_batch_back(batch);
    if pushed.is_err() || appended.is_err() { Err(FilterError::Unrecorded) } else { Ok(()) }
}
