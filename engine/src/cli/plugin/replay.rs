//! `portcullis plugin replay`: makes the calls of plugins again that records keep, and compares.
//!
//! It reads the data folder alone, beside a running server too, and changes nothing. Promises: what can't be opened or made
//! again does not count as the same.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::audit::{Record, RecordId, RecordRef, offline};
use crate::cli::{Failure, Place, print, root_key, say, system};
use crate::clock::{Clock, Timestamp};
use crate::config::Keys;
use crate::plugin::archive::Archive;
use crate::plugin::replay::{Replayer, Verdict};
use crate::plugin::sealed::{KeptCall, KeptCalls};
use crate::plugin::{Runtime, RuntimeSettings, Services};
use crate::protect::{Key, KeyRing, Purpose};

#[cfg(test)]
mod tests;

/// How often it says how far it is.
const PROGRESS: Duration = Duration::from_secs(5);

/// `portcullis plugin replay`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    /// Decisions (`dec_…`), and events of masks and signatures (`evt_…`).
    #[arg(value_name = "ID", required_unless_present_any = ["all", "since"], conflicts_with_all = ["all", "since", "limit"])]
    ids: Vec<String>,
    /// Every record that keeps calls, the newest first.
    #[arg(long)]
    all: bool,
    /// Every record since then that keeps calls, the newest first (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// How many records at most, the newest.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// No line for what is the same.
    #[arg(long)]
    quiet: bool,
    /// One JSON object a call, in the place of a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// What of a record counts here.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    unmapped: Own<'a>,
}

#[derive(Deserialize)]
struct Own<'a> {
    #[serde(borrow)]
    plugin_calls: Option<&'a str>,
}

/// A call that was made again.
#[derive(Serialize)]
struct Line<'a> {
    record: &'a str,
    plugin: &'a str,
    digest: String,
    fuel: u64,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// How many came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    records: usize,
    same: usize,
    differing: usize,
    not_compared: usize,
    unreadable: usize,
    left_out: usize,
}

pub(in crate::cli) fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let since = args
        .since
        .as_ref()
        .map(|text| Timestamp::parse_rfc3339(text).ok_or("`--since` must be a time with offset (RFC 3339)"));
    let since = since.transpose()?.unwrap_or(Timestamp(i64::MIN));
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let folder = &config.data.folder;
    // What a key said is in the record: none is needed here.
    let keys = Arc::new(KeyRing::open(&Keys::new(), &root, rng)?);
    let services = Services { clock: clock.clone(), state: None, keys };
    let mut replaying = Replaying {
        replayer: Replayer::new(Runtime::new(RuntimeSettings::default(), services)?, Archive::of(folder)),
        key: root.derive(Purpose::PluginCalls),
        quiet: args.quiet,
        json: args.json,
        counts: Counts::default(),
    };
    if args.ids.is_empty() {
        let mut said_at = clock.monotonic();
        let wanted = |record: &RecordRef<'_>| record.time >= since && keeps_calls(record.event);
        offline::each_newest(folder, args.limit.unwrap_or(usize::MAX), wanted, |record| {
            replaying.record(&record)?;
            let now = clock.monotonic();
            if now.saturating_sub(said_at) >= PROGRESS {
                said_at = now;
                say(&format!("{} …", replaying.counts));
            }
            Ok::<_, Failure>(())
        })?;
    } else {
        for record in find(folder, &args.ids)? {
            replaying.record(&record)?;
        }
    }
    Ok(replaying.counts.conclude())
}

fn find(folder: &std::path::Path, ids: &[String]) -> Result<Vec<Record>, Failure> {
    let parse =
        |id: &String| RecordId::parse(id).ok_or_else(|| format!("`{id}` is no id of a record, as `dec_…`"));
    let ids: Vec<RecordId> = ids.iter().map(parse).collect::<Result<_, _>>()?;
    let missing =
        |id: RecordId| format!("`{}` is not in the decision log of `{}`", id.as_str(), folder.display());
    let found = offline::find(folder, &ids)?.map_err(missing)?;
    // Before any of them is made again.
    match found.iter().find(|record| sealed(&record.event).is_none()) {
        None => Ok(found),
        Some(record) => Err(format!(
            "`{}` keeps no calls: no plugin was called, or none with `record = true` in its section",
            record.id.as_str()
        )
        .into()),
    }
}

/// Told from the text first: most records keep none.
fn keeps_calls(event: &[u8]) -> bool {
    const NAME: &[u8] = b"\"plugin_calls\":";
    event.windows(NAME.len()).any(|window| window == NAME) && sealed(event).is_some()
}

fn sealed(event: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Stored<'_>>(event).ok()?.unmapped.plugin_calls
}

/// Records on their way through.
struct Replaying {
    replayer: Replayer,
    key: Key,
    quiet: bool,
    json: bool,
    counts: Counts,
}

impl Replaying {
    fn record(&mut self, record: &Record) -> Result<(), Failure> {
        let id = record.id.as_str();
        self.counts.records += 1;
        let kept = match KeptCalls::open(sealed(&record.event).unwrap_or_default(), id, &self.key) {
            Ok(kept) => kept,
            // One that was tampered with hides nothing of the others.
            Err(error) => {
                self.counts.unreadable += 1;
                say(&format!("error: {error}"));
                return Ok(());
            }
        };
        self.counts.left_out += kept.left_out;
        kept.calls.iter().try_for_each(|call| self.call(id, call))
    }

    fn call(&mut self, record: &str, call: &KeptCall) -> Result<(), Failure> {
        // What can't be made again is not the same.
        let (result, detail) = match self.replayer.replay(call) {
            Ok(Verdict::Same) => ("same", None),
            Ok(Verdict::NotCompared(why)) => ("not_compared", Some(why)),
            Ok(Verdict::Differs(difference)) => ("differs", Some(difference.to_string())),
            Err(error) => ("differs", Some(format!("can't be made again: {error}"))),
        };
        match result {
            "same" => self.counts.same += 1,
            "not_compared" => self.counts.not_compared += 1,
            _ => self.counts.differing += 1,
        }
        if self.quiet && result == "same" {
            return Ok(());
        }
        show(record, call, (result, detail), self.json)
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { records, same, differing, not_compared, .. } = self;
        write!(
            formatter,
            "{records} records: {same} calls the same, {differing} differ, {not_compared} not compared"
        )
    }
}

impl Counts {
    /// Says how it went.
    fn conclude(self) -> ExitCode {
        if self.left_out > 0 {
            let left_out = self.left_out;
            say(&format!("truncated: {left_out} calls found no room in their records, and were not kept"));
        }
        if self.unreadable > 0 {
            say(&format!("the calls of {} records do not open", self.unreadable));
        }
        say(&self.to_string());
        if self.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn is_good(self) -> bool {
        self.differing == 0 && self.unreadable == 0
    }
}

fn show(
    record: &str,
    call: &KeptCall,
    (result, detail): (&'static str, Option<String>),
    json: bool,
) -> Result<(), Failure> {
    let KeptCall { plugin, digest, fuel, .. } = call;
    if json {
        let line = Line { record, plugin, digest: digest.to_string(), fuel: *fuel, result, detail };
        print(&serde_json::to_string(&line)?);
    } else {
        let short: String = digest.to_string().chars().take(19).collect();
        let hook = call.input.hook().name();
        let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
        print(&format!(
            "{record} {plugin} ({hook}, {short}…, fuel {fuel}) {}{detail}",
            result.replace('_', " ")
        ));
    }
    Ok(())
}
