//! `portcullis policy diff`: which recorded decisions other policies would flip.
//!
//! It reads a data folder, beside a running server too, and changes nothing. Promises: what can't be replayed is counted and
//! said, and so is what may be replayed over other entities than it was decided on.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{load, packs_in};
use crate::app::open_store;
use crate::audit::{Record, RecordRef, offline};
use crate::cli::{Failure, Place, block_on, print, root_key, say, system};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::decision::Verdict;
use crate::entity::{Data, Update};
use crate::policy::Pack;
use crate::policy::replay::{Obstacle, Recorded, Seen, Tally, sorted};
use crate::store::StoreError;
use crate::store::writing::Changed;

/// Some decisions flip.
const FLIPS: u8 = 3;
/// None flips, but some can't be replayed, and `--strict` asks that all can.
const LEFT: u8 = 4;
/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);
/// Items of batches that wait for the record of their first, at most: it stands right before them.
const WAITING: usize = 10_000;
/// Rows that are taken over together.
const AT_ONCE: usize = 20_000;
/// Groups of flips that a person is shown.
const SHOWN: usize = 50;

/// `portcullis policy diff`.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// The policies as they were: a pack's folder, or a folder of packs.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The policies as they would be.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    #[command(flatten)]
    place: Place,
    /// A copy of a log's folder, in the place of a data folder: stored entities are not known then.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "config"])]
    log: Option<PathBuf>,
    /// Only decisions since then (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only decisions of this pack.
    #[arg(long)]
    pack: Option<String>,
    /// How many decisions at most, the newest.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// How many decisions are shown of each way to flip.
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: usize,
    /// How it is shown.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What can't be replayed fails too, with exit status 4.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// What the store holds of entities.
#[derive(Default)]
struct Stored {
    data: Data,
    /// The number of the last change of each tenant's entities and assignments in each pack.
    changed: HashMap<(String, String), u64>,
}

struct Diffing<'a> {
    old: BTreeMap<String, Pack>,
    new: BTreeMap<String, Pack>,
    stored: Stored,
    pack: Option<&'a str>,
    tally: Tally,
    /// Items of batches, until the record of their first is met: it is older.
    waiting: Vec<Record>,
    clock: Arc<SystemClock>,
    said_at: Duration,
}

/// The whole of it as JSON.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    tally: &'a Tally,
    entities_from: &'static str,
}

pub(in crate::cli) fn diff(args: &DiffArgs) -> Result<ExitCode, Failure> {
    let since = args
        .since
        .as_ref()
        .map(|text| Timestamp::parse_rfc3339(text).ok_or("`--since` must be a time with offset (RFC 3339)"));
    let since = since.transpose()?.unwrap_or(Timestamp(i64::MIN));
    let (old, new) = (side(&args.old)?, side(&args.new)?);
    if let Some(named) = args.pack.as_deref().filter(|named| !old.contains_key(*named)) {
        return Err(format!("there is no pack `{named}` in `{}`", args.old.display()).into());
    }
    let (folder, stored) = match &args.log {
        Some(log) => (log.clone(), Stored::default()),
        None => {
            let config = args.place.read()?;
            let folder = offline::folder(&config.data.folder)?;
            (folder, block_on(Stored::read(&config))?)
        }
    };
    let clock = system().0;
    let mut diffing = Diffing {
        old,
        new,
        stored,
        pack: args.pack.as_deref(),
        tally: Tally { samples: args.samples, ..Tally::default() },
        waiting: Vec::new(),
        said_at: clock.monotonic(),
        clock,
    };
    let wanted = |record: &RecordRef<'_>| record.kind == "decision" && record.time >= since;
    offline::each_newest_in(&folder, args.limit.unwrap_or(usize::MAX), wanted, |record| {
        diffing.take(record);
        Ok::<_, Failure>(())
    })?;
    diffing.give_up_waiting();
    diffing.tally.conclude(args)
}

fn side(folder: &Path) -> Result<BTreeMap<String, Pack>, Failure> {
    let mut packs = BTreeMap::new();
    for files in packs_in(folder)? {
        let pack = load(&files).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
        })?;
        packs.insert(pack.name().to_owned(), pack);
    }
    Ok(packs)
}

impl Stored {
    async fn read(config: &crate::config::Config) -> Result<Self, Failure> {
        let store = open_store(config, &root_key(config)?).await?;
        let mut stored = Self::default();
        let mut waiting: Vec<Update> = Vec::new();
        let mut failed: Option<StoreError> = None;
        store
            .changed_since(0, |changed| {
                let update = match changed {
                    Changed::Entity(row) => {
                        stored.note(&row.tenant_id, &row.pack, row.version);
                        Update::try_from(*row)
                    }
                    Changed::Assignment(row) => {
                        stored.note(&row.tenant_id, &row.pack, row.version);
                        Update::try_from(*row)
                    }
                    Changed::Caller(_) | Changed::PluginMode(_) | Changed::Pin(_) => return,
                };
                match update {
                    Ok(update) => waiting.push(update),
                    Err(error) => failed = Some(error.into()),
                }
                if waiting.len() >= AT_ONCE {
                    stored.data = stored.data.apply(waiting.drain(..));
                }
            })
            .await?;
        store.close().await;
        stored.data = stored.data.apply(waiting);
        failed.map_or(Ok(stored), |error| Err(error.into()))
    }

    fn note(&mut self, tenant: &str, pack: &str, version: u64) {
        let last = self.changed.entry((tenant.to_owned(), pack.to_owned())).or_default();
        *last = version.max(*last);
    }
}

impl Diffing<'_> {
    fn take(&mut self, record: Record) {
        let now = self.clock.monotonic();
        if now.saturating_sub(self.said_at) >= PROGRESS {
            self.said_at = now;
            say(&format!("{} decisions, {} flip …", self.tally.decisions, self.tally.flipped));
        }
        let recorded = match Recorded::read(&record.event) {
            Ok(recorded) => recorded,
            // With one pack named, what no pack judged is not asked about.
            Err(_) if self.pack.is_some() => return,
            Err(obstacle) => return self.tally.leave(obstacle),
        };
        if recorded.inspected_with().is_some() {
            if self.waiting.len() >= WAITING {
                self.give_up_waiting();
            }
            self.waiting.push(record);
            return;
        }
        let seen = recorded.seen();
        self.judge(&recorded, record.time, &seen);
        let is_its = |one: &mut Record| {
            Recorded::read(&one.event).is_ok_and(|item| item.inspected_with() == Some(recorded.id()))
        };
        let items: Vec<Record> = self.waiting.extract_if(.., is_its).collect();
        for item in &items {
            if let Ok(of_batch) = Recorded::read(&item.event) {
                self.judge(&of_batch, item.time, &seen);
            }
        }
    }

    fn give_up_waiting(&mut self) {
        for record in std::mem::take(&mut self.waiting) {
            let is_meant = Recorded::read(&record.event)
                .is_ok_and(|recorded| self.pack.is_none_or(|pack| pack == recorded.pack()));
            if is_meant {
                self.tally.leave(Obstacle::FindingsMissing);
            }
        }
    }

    fn judge(&mut self, recorded: &Recorded<'_>, at: Timestamp, seen: &Seen) {
        if self.pack.is_some_and(|pack| pack != recorded.pack()) {
            return;
        }
        let (Some(old), Some(new)) = (self.old.get(recorded.pack()), self.new.get(recorded.pack())) else {
            return self.tally.leave(Obstacle::PackMissing);
        };
        let data = &self.stored.data;
        let both = recorded
            .judge(old, data, at, seen)
            .and_then(|before| Ok((before, recorded.judge(new, data, at, seen)?)));
        match both {
            Err(obstacle) => self.tally.leave(obstacle),
            Ok((before, after)) => {
                let whose = (recorded.tenant().to_owned(), recorded.pack().to_owned());
                let changed = self.stored.changed.get(&whose).copied().unwrap_or(0);
                self.tally.entities_changed_since += u64::from(changed > recorded.sequence());
                self.tally.add(recorded, &before, &after);
            }
        }
    }
}

impl Tally {
    fn conclude(&self, args: &DiffArgs) -> Result<ExitCode, Failure> {
        let entities_from = if args.log.is_some() { "files" } else { "store" };
        match args.format {
            Format::Json => print(&serde_json::to_string_pretty(&Report { tally: self, entities_from })?),
            Format::Text => self.show(args.log.is_some()),
        }
        if self.decisions == 0 {
            return Err("the log holds no such decision: a diff that looked at nothing says nothing".into());
        }
        Ok(match (self.flipped, self.left()) {
            (1.., _) => ExitCode::from(FLIPS),
            (0, 1..) if args.strict => ExitCode::from(LEFT),
            _ => ExitCode::SUCCESS,
        })
    }

    fn show(&self, without_store: bool) {
        let all = sorted(&self.flips);
        for ((before, after), group) in all.iter().take(SHOWN) {
            let (from, to) = (word(before.decision), word(after.decision));
            let (why, now) = (before.reasons.join(", "), after.reasons.join(", "));
            print(&format!("{from} [{why}] -> {to} [{now}]: {}", group.count));
            for sample in &group.samples {
                let differs = if sample.recorded == before.decision { "" } else { ", recorded otherwise" };
                print(&format!(
                    "    {} {} {} {} (pack {}, tenant {}{differs})",
                    sample.id, sample.subject, sample.action, sample.resource, sample.pack, sample.tenant
                ));
            }
        }
        if all.len() > SHOWN {
            print(&format!("… and {} more ways to flip: see `--format json`", all.len() - SHOWN));
        }
        if !self.policies.is_empty() {
            print("by policy, of the decisions that flip: before, after");
        }
        for (policy, count) in &self.policies {
            print(&format!("    {policy}: {}, {}", count.before, count.after));
        }
        print(&format!(
            "{} decisions: {} flip ({} to allow), {} keep their answer with other reasons or obligations, {} the same, {} not \
             replayed",
            self.decisions,
            self.flipped,
            self.to_allow,
            self.changed_otherwise,
            self.same,
            self.left()
        ));
        self.caution(without_store);
    }

    /// What the figures do not say.
    fn caution(&self, without_store: bool) {
        for (obstacle, count) in &self.not_replayed {
            say(&format!("not replayed: {count} {}", obstacle.explanation()));
        }
        if without_store {
            say("entities and roles of the store are not known here: only those of the packs' files count");
        }
        if self.entities_changed_since > 0 {
            let count = self.entities_changed_since;
            say(&format!(
                "{count} are older than a change of stored entities: they were replayed over entities as they are now"
            ));
        }
        if self.old_differs_from_record > 0 {
            let count = self.old_differs_from_record;
            say(&format!(
                "{count} were answered otherwise than the old policies answer now: entities changed since, or other \
                 policies were served"
            ));
        }
    }
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Allow => "allow",
        Verdict::Deny => "deny",
    }
}
