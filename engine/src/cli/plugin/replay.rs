//! `portcullis plugin replay`: makes the calls of plugins again that a record keeps, and compares.
//!
//! It reads the data folder alone, beside a running server too, and changes nothing.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::audit::{Record, RecordId, offline};
use crate::cli::{Failure, Place, print, root_key, say, system};
use crate::config::Keys;
use crate::plugin::archive::Archive;
use crate::plugin::replay::{Replayer, Verdict};
use crate::plugin::sealed::{KeptCall, KeptCalls};
use crate::plugin::{Runtime, RuntimeSettings, Services};
use crate::protect::{Key, KeyRing, Purpose};

/// `portcullis plugin replay`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    /// A decision (`dec_…`), or the event of a mask or signature (`evt_…`).
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Every record that keeps calls, the newest first.
    #[arg(long)]
    all: bool,
    /// With `--all`: how many records at most.
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "all")]
    limit: usize,
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
#[derive(Default)]
struct Counts {
    same: usize,
    differing: usize,
    not_compared: usize,
    left_out: usize,
}

pub(in crate::cli) fn replay(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let config = args.place.read()?;
    let root = root_key(&config)?;
    let (clock, rng) = system();
    let folder = &config.data.folder;
    let records = match &args.id {
        Some(id) => vec![find(folder, id)?],
        None => offline::newest(folder, args.limit, |record| keeps_calls(record.event))?,
    };
    // What a key said is in the record: none is needed here.
    let keys = Arc::new(KeyRing::open(&Keys::new(), &root, rng)?);
    let runtime = Runtime::new(RuntimeSettings::default(), Services { clock, state: None, keys })?;
    let mut replayer = Replayer::new(runtime, Archive::of(folder));
    let key = root.derive(Purpose::PluginCalls);
    let mut counts = Counts::default();
    for record in &records {
        replay_record(record, &key, &mut replayer, (&mut counts, args.json))?;
    }
    let Counts { same, differing, not_compared, left_out } = counts;
    if left_out > 0 {
        say(&format!("truncated: {left_out} calls found no room in their records, and were not kept"));
    }
    say(&format!(
        "{} records: {same} calls the same, {differing} differ, {not_compared} not compared",
        records.len()
    ));
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn find(folder: &std::path::Path, id: &str) -> Result<Record, Failure> {
    let parsed = RecordId::parse(id).ok_or_else(|| format!("`{id}` is no id of a record, as `dec_…`"))?;
    let record = offline::find(folder, parsed)?;
    Ok(record.ok_or_else(|| format!("`{id}` is not in the decision log of `{}`", folder.display()))?)
}

/// Told from the text first: most records keep none.
fn keeps_calls(event: &[u8]) -> bool {
    const NAME: &[u8] = b"\"plugin_calls\":";
    event.windows(NAME.len()).any(|window| window == NAME) && sealed(event).is_some()
}

fn sealed(event: &[u8]) -> Option<&str> {
    serde_json::from_slice::<Stored<'_>>(event).ok()?.unmapped.plugin_calls
}

fn replay_record(
    record: &Record,
    key: &Key,
    replayer: &mut Replayer,
    (counts, json): (&mut Counts, bool),
) -> Result<(), Failure> {
    let id = record.id.as_str();
    let Some(text) = sealed(&record.event) else {
        return Err(format!(
            "`{id}` keeps no calls: no plugin was called, or none with `record = true` in its section"
        )
        .into());
    };
    let kept = KeptCalls::open(text, id, key)?;
    counts.left_out += kept.left_out;
    for call in &kept.calls {
        // What can't be made again is not the same.
        let (result, detail) = match replayer.replay(call) {
            Ok(Verdict::Same) => ("same", None),
            Ok(Verdict::NotCompared(why)) => ("not_compared", Some(why)),
            Ok(Verdict::Differs(difference)) => ("differs", Some(difference.to_string())),
            Err(error) => ("differs", Some(format!("can't be made again: {error}"))),
        };
        match result {
            "same" => counts.same += 1,
            "not_compared" => counts.not_compared += 1,
            _ => counts.differing += 1,
        }
        show(id, call, (result, detail), json)?;
    }
    Ok(())
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
