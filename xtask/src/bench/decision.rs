//! The bench `decision`: our server against a bare handler, in turns in the same run.
//!
//! Both are pinned whole to one core and run one worker thread; the load has the other core.
//! The decision log is in its default mode, and the bench fails unless it holds one record
//! an answer, has no gap, and verifies.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::Settings;
use super::child::{self, Server};
use super::figures::{Round, figure};
use super::load::{self, Plan};
use super::questions::{self, Question};
use crate::failure::{Failure, Outcome};
use crate::{process, programs, surroundings};

mod cerbos;
pub(super) mod filled;

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// As many as the filled pack has.
const POLICIES: usize = 10_000;
const WARM_UP: Duration = Duration::from_millis(300);
const RECORDS: &str = "portcullis_decision_log_records_total";
const GAPS: &str = "portcullis_decision_log_gaps_total";

/// A server, the questions for it, and what was measured so far.
struct Contender {
    name: &'static str,
    server: Server,
    questions: Vec<Question>,
    /// One list of rounds for each of [`CONNECTIONS`].
    rounds: [Vec<Round>; CONNECTIONS.len()],
    answers: u64,
}

/// Our server, with the pack as it is and filled up, against the bare handler and a peer.
pub(super) fn run(settings: &Settings) -> Outcome {
    prepare(&["--bin", "portcullis", "--example", "bare"])?;
    let folder = surroundings::build_folder(true)?;
    let program = folder.join("portcullis");
    let data = surroundings::own_folder()?.join(format!("bench-decision-{}", std::process::id()));
    let packs = surroundings::root().join("policies");
    filled::write(&packs.join("documents"), &data.join("packs"), POLICIES)?;
    let homes = [data.join("own"), data.join("filled")];
    let ours = start_ours("portcullis", &program, &homes[0], &packs)?;
    let filled = start_ours("10,000 policies", &program, &homes[1], &data.join("packs"))?;
    let bare = start_bare(&folder, ours.server.key.as_deref().unwrap_or_default())?;
    let before = [LogCounts::settled(&ours.server)?, LogCounts::settled(&filled.server)?];
    let mut contenders = vec![ours, filled, bare];
    contenders.extend(cerbos::start(&data)?);
    child::pin_load()?;
    for round in 0..settings.rounds {
        eprintln!("round {} of {}", round + 1, settings.rounds);
        for slot in 0..CONNECTIONS.len() {
            contenders.iter_mut().try_for_each(|contender| contender.measure(slot, settings))?;
        }
        // Who comes first changes, so that nobody gains by it.
        contenders.rotate_left(1);
    }
    let named = |name: &str| contenders.iter().find(|contender| contender.name == name);
    let all = [named("portcullis"), named("10,000 policies"), named("bare")];
    let [Some(ours), Some(filled), Some(bare)] = all else {
        return Err(Failure::Failed("a contender was lost".into()));
    };
    let logs = [(ours, &homes[0], &before[0]), (filled, &homes[1], &before[1])];
    let mut whole = Vec::new();
    for (contender, _, before) in logs {
        whole.push(before.until(LogCounts::read(&contender.server)?));
    }
    let resident = ours.server.resident_bytes()?;
    print_table(&contenders.iter().collect::<Vec<_>>());
    print_comparison(ours, bare);
    print_filled(filled, ours, bare);
    if let Some(peer) = named("cerbos") {
        print_peer(ours, peer);
    }
    figure("decision.resident_mb", megabytes(resident.0), "MB");
    figure("decision.resident_peak_mb", megabytes(resident.1), "MB");
    let answers = [ours.answers, filled.answers];
    for contender in contenders {
        contender.stop()?;
    }
    for ((home, answers), counts) in homes.iter().zip(answers).zip(whole) {
        let chain = verify(&program, home);
        print_log(&counts, answers, chain.is_ok());
        chain?;
        judge(counts.records, answers, counts.gaps)?;
    }
    std::fs::remove_dir_all(&data).map_err(|error| Failure::because(data.display(), error))
}

/// The bare handler alone.
pub(super) fn run_bare(settings: &Settings) -> Outcome {
    prepare(&["--example", "bare"])?;
    let mut bare = start_bare(&surroundings::build_folder(true)?, "pcc_none")?;
    child::pin_load()?;
    for round in 0..settings.rounds {
        eprintln!("round {} of {}", round + 1, settings.rounds);
        for slot in 0..CONNECTIONS.len() {
            bare.measure(slot, settings)?;
        }
    }
    print_table(&[&bare]);
    for (connections, rounds) in CONNECTIONS.iter().zip(&bare.rounds) {
        let median = Round::median(rounds);
        figure(&format!("bare.requests_{connections}"), median.requests_per_second, "1/s");
        figure(&format!("bare.p99_us_{connections}"), median.p99_us, "us");
    }
    bare.server.stop()
}

fn prepare(targets: &[&str]) -> Outcome {
    programs::provide(programs::FOR_BENCHMARKS)?;
    // One set of packages for both programs, so that nothing is built twice.
    let mut build = process::cargo(&["build", "--release", "--workspace"]);
    process::announce_and_run(build.args(targets))
}

fn start_ours(name: &'static str, program: &Path, data: &Path, packs: &Path) -> Result<Contender, Failure> {
    let mut command = child::pinned(program);
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(data);
    command.arg("--policies").arg(packs);
    command.env("PORTCULLIS_SERVER__WORKERS", "1");
    let server = Server::start(&mut command, true)?;
    let questions = questions::for_server(server.address, server.key.as_deref().unwrap_or_default())?;
    Ok(Contender::new(name, server, questions))
}

fn start_bare(folder: &Path, key: &str) -> Result<Contender, Failure> {
    let program: PathBuf = folder.join("examples").join("bare");
    let server = Server::start(&mut child::pinned(&program), false)?;
    let questions = questions::for_bare(server.address, key)?;
    Ok(Contender::new("bare", server, questions))
}

impl Contender {
    fn new(name: &'static str, server: Server, questions: Vec<Question>) -> Self {
        Self { name, server, questions, rounds: Default::default(), answers: 0 }
    }

    fn measure(&mut self, slot: usize, settings: &Settings) -> Outcome {
        let (Some(connections), Some(rounds)) = (CONNECTIONS.get(slot), self.rounds.get_mut(slot)) else {
            return Err(Failure::Failed(format!("no slot {slot}")));
        };
        let plan = Plan {
            address: self.server.address,
            questions: &self.questions,
            connections: *connections,
            warm_up: WARM_UP,
            measured: settings.measured,
        };
        let load = load::drive(&plan, || self.server.cpu_time())?;
        self.answers += load.answers;
        rounds.push(Round::of(&load));
        Ok(())
    }

    fn median(&self, slot: usize) -> Round {
        Round::median(self.rounds.get(slot).map(Vec::as_slice).unwrap_or_default())
    }

    fn stop(self) -> Outcome {
        self.server.stop()
    }
}

/// What the server says of its decision log.
struct LogCounts {
    records: f64,
    gaps: f64,
}

impl LogCounts {
    fn read(server: &Server) -> Result<Self, Failure> {
        let page = server.get("/metrics")?;
        let sum =
            |name| sum_of(&page, name).ok_or_else(|| Failure::Failed(format!("/metrics lacks `{name}`")));
        Ok(Self { records: sum(RECORDS)?, gaps: sum(GAPS)? })
    }

    /// What stands there before a load, the reading of it included.
    fn settled(server: &Server) -> Result<Self, Failure> {
        let before = Self::read(server)?;
        // What one reading of the counts itself adds to them.
        let own = Self::read(server)?.records - before.records;
        Ok(Self { records: before.records + 2.0 * own, gaps: before.gaps })
    }

    /// What was added until then.
    fn until(&self, after: Self) -> Self {
        Self { records: after.records - self.records, gaps: after.gaps - self.gaps }
    }
}

/// The sum of a metric's samples over its labels; `None` when there is no sample.
fn sum_of(page: &str, name: &str) -> Option<f64> {
    let samples = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        // Label values may hold spaces, so the value is what follows the labels.
        let value = rest.rsplit_once('}').map_or(rest, |(_, value)| value);
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    samples.reduce(|sum, sample| sum + sample)
}

fn verify(program: &Path, data: &Path) -> Outcome {
    let mut command = Command::new(program);
    // What it says is for a person; standard output is kept for the figures.
    command.args(["audit", "verify", "--data"]).arg(data).stdout(std::io::stderr());
    process::run(&mut command).map_err(|failure| {
        let why = failure.message().map_or_else(String::new, |message| format!(": {message}"));
        Failure::Failed(format!("the decision log in {} does not verify{why}", data.display()))
    })
}

fn judge(records: f64, answers: u64, gaps: f64) -> Outcome {
    if records != answers as f64 {
        return Err(Failure::Failed(format!("{records} records of {answers} answers")));
    }
    if gaps != 0.0 {
        return Err(Failure::Failed(format!("{gaps} gaps in the decision log")));
    }
    Ok(())
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn print_table(contenders: &[&Contender]) {
    println!("connections  server           requests/s  CPU us/request  p50 us  p99 us  core busy %");
    for (slot, connections) in CONNECTIONS.iter().enumerate() {
        for contender in contenders {
            let (median, name) = (contender.median(slot), contender.name);
            let busy = median.busy_percent();
            let Round { requests_per_second, cpu_us, p50_us, p99_us } = median;
            println!(
                "{connections:>11}  {name:<15}  {requests_per_second:>10.0}  {cpu_us:>14.2}  {p50_us:>6.0}  {p99_us:>6.0}  {busy:>11.0}"
            );
        }
    }
    println!();
    warn_if_disturbed(contenders);
}

/// A server that waits for the load leaves its core idle only when something else slows both.
fn warn_if_disturbed(contenders: &[&Contender]) {
    const FULL: f64 = 90.0;
    for contender in contenders {
        let (last, name) = (contender.median(CONNECTIONS.len() - 1), contender.name);
        let busy = last.busy_percent();
        if busy < FULL {
            eprintln!(
                "note: `{name}` had its core {busy:.0}% of the time at most connections: this machine is busy"
            );
        }
    }
}

fn print_comparison(ours: &Contender, bare: &Contender) {
    let mut ratios = (0.0, 0.0);
    for (connections, (ours, bare)) in CONNECTIONS.iter().zip(ours.rounds.iter().zip(&bare.rounds)) {
        let (ours, bare) = (Round::median(ours), Round::median(bare));
        figure(&format!("decision.requests_{connections}"), ours.requests_per_second, "1/s");
        figure(&format!("decision.bare_requests_{connections}"), bare.requests_per_second, "1/s");
        figure(&format!("decision.cpu_us_{connections}"), ours.cpu_us, "us");
        figure(&format!("decision.bare_cpu_us_{connections}"), bare.cpu_us, "us");
        figure(&format!("decision.p50_us_{connections}"), ours.p50_us, "us");
        figure(&format!("decision.bare_p50_us_{connections}"), bare.p50_us, "us");
        figure(&format!("decision.p99_us_{connections}"), ours.p99_us, "us");
        figure(&format!("decision.bare_p99_us_{connections}"), bare.p99_us, "us");
        // The last ones, at 64 connections, are those that count.
        ratios = (ours.requests_per_second / bare.requests_per_second, ours.p99_us / bare.p99_us);
    }
    figure("decision.ratio_to_bare", ratios.0, "ratio");
    figure("decision.p99_ratio_to_bare", ratios.1, "ratio");
}

/// With 10,000 policies, at most connections.
fn print_filled(filled: &Contender, ours: &Contender, bare: &Contender) {
    let last = CONNECTIONS.len() - 1;
    let [filled, ours, bare] = [filled, ours, bare].map(|contender| contender.median(last));
    figure("decision.requests_10000", filled.requests_per_second, "1/s");
    figure("decision.cpu_us_10000", filled.cpu_us, "us");
    figure("decision.p99_us_10000", filled.p99_us, "us");
    let ratio = filled.requests_per_second / bare.requests_per_second;
    figure("decision.ratio_to_bare_10000", ratio, "ratio");
    figure("decision.ratio_10000_to_own", filled.requests_per_second / ours.requests_per_second, "ratio");
}

/// How many times the peer's rate ours is, and what part of its p99.
fn print_peer(ours: &Contender, peer: &Contender) {
    for (slot, connections) in CONNECTIONS.iter().enumerate() {
        let (ours, theirs) = (ours.median(slot), peer.median(slot));
        figure(&format!("decision.cerbos_requests_{connections}"), theirs.requests_per_second, "1/s");
        figure(&format!("decision.cerbos_p99_us_{connections}"), theirs.p99_us, "us");
        let ratio = ours.requests_per_second / theirs.requests_per_second;
        figure(&format!("decision.ratio_to_cerbos_{connections}"), ratio, "ratio");
        figure(&format!("decision.p99_ratio_to_cerbos_{connections}"), ours.p99_us / theirs.p99_us, "ratio");
    }
}

fn print_log(counts: &LogCounts, answers: u64, is_whole: bool) {
    figure("decision.records", counts.records, "records");
    figure("decision.answers", answers as f64, "answers");
    figure("decision.gaps", counts.gaps, "gaps");
    figure("decision.chain", if is_whole { 1.0 } else { 0.0 }, "ok");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_found_by_its_whole_name() {
        let page = "# HELP x\nx_total{a=\"b } c\"} 2\nx_total{a=\"d\"} 3\nx_total_other 100\ny 7\n";
        assert_eq!(sum_of(page, "x_total"), Some(5.0));
        assert_eq!(sum_of(page, "y"), Some(7.0));
        assert_eq!(sum_of(page, "z"), None);
    }

    #[test]
    fn a_missing_record_or_a_gap_fails_the_bench() {
        assert!(judge(10.0, 10, 0.0).is_ok());
        assert!(judge(9.0, 10, 0.0).is_err());
        assert!(judge(11.0, 10, 0.0).is_err());
        assert!(judge(10.0, 10, 1.0).is_err());
    }
}
