//! The bench `entities`: a million entities, imported beside a running server, and what decisions over them cost.
//!
//! Questions about users of the store, who have a role by an assignment, take turns with the same questions about users of
//! the pack's own files, who have it by their parents. The bench fails when a decision is another than it must be.

mod searches;
mod world;

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Settings;
use super::child::{self, Server};
use super::figures::{Round, figure, median};
use super::load::{self, Plan};
use super::questions::Question;
use crate::failure::{Failure, Outcome};
use crate::{process, programs, surroundings};
use world::PACK;

const WARM_UP: Duration = Duration::from_millis(500);
/// Changes that are made and looked for.
const CHANGES: usize = 20;
const TAKEOVER_LIMIT: Duration = Duration::from_secs(120);

/// Where everything is.
struct Place {
    program: PathBuf,
    folder: PathBuf,
}

/// Runs the bench.
pub(super) fn run(settings: &Settings) -> Outcome {
    programs::provide(programs::FOR_BENCHMARKS)?;
    let mut build = process::cargo(&["build", "--release", "--workspace"]);
    process::announce_and_run(build.args(["--bin", "portcullis", "--example", "bare"]))?;
    let folder = surroundings::own_folder()?.join(format!("bench-entities-{}", std::process::id()));
    let place = Place { program: surroundings::build_folder(true)?.join("portcullis"), folder };
    let failed = |error| Failure::because(place.folder.display(), error);
    std::fs::create_dir_all(&place.folder).map_err(failed)?;
    let raw = world::write_entities(&place.file())?;
    world::write_pack(&place.folder.join("policies"))?;
    figure("entities.raw_mb", raw as f64 / 1e6, "MB");
    import_beside_a_server(&place)?;
    let started = surroundings::now();
    let server = place.serve()?;
    figure("entities.load_seconds", started.elapsed().as_secs_f64(), "s");
    child::pin_load()?;
    let (resident, peak) = server.resident_bytes()?;
    figure("entities.resident_mb", resident as f64 / 1e6, "MB");
    figure("entities.resident_peak_mb", peak as f64 / 1e6, "MB");
    figure("entities.resident_ratio", resident as f64 / raw as f64, "ratio");
    let assignments = assign(&server)?;
    compare(&server, settings)?;
    searches::measure(&server)?;
    look_for_changes(&server, &assignments)?;
    server.stop()?;
    std::fs::remove_dir_all(&place.folder).map_err(failed)
}

impl Place {
    fn file(&self) -> PathBuf {
        self.folder.join("entities.ndjson")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn serve(&self) -> Result<Server, Failure> {
        let mut command = child::pinned(&self.program);
        command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(self.data());
        command.arg("--policies").arg(self.folder.join("policies"));
        command.env("PORTCULLIS_SERVER__WORKERS", "1");
        Server::start(&mut command, true)
    }

    /// Imports the file; what it says of its progress goes to standard error.
    fn import(&self) -> Result<String, Failure> {
        let mut command = Command::new(&self.program);
        command.args(["entity", "import"]).arg(self.file()).arg("--data").arg(self.data());
        command.arg("--policies").arg(self.folder.join("policies")).stderr(std::process::Stdio::inherit());
        let output = command.output().map_err(|error| Failure::because("the import", error))?;
        if !output.status.success() {
            return Err(Failure::Failed(format!("the import ended with {}", output.status)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Imports while a server decides, and again when all is there.
fn import_beside_a_server(place: &Place) -> Outcome {
    let server = place.serve()?;
    figure("entities.resident_empty_mb", server.resident_bytes()?.0 as f64 / 1e6, "MB");
    let done = AtomicBool::new(false);
    let (imported, longest) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(&server, &done));
        let imported = import_and_wait(place, &server);
        done.store(true, Ordering::Relaxed);
        let longest = asking.join().map_err(|_| Failure::Failed("the asking thread failed".into()));
        (imported, longest)
    });
    imported?;
    figure("entities.longest_wait_ms", longest??.as_secs_f64() * 1e3, "ms");
    figure("entities.resident_after_import_mb", server.resident_bytes()?.0 as f64 / 1e6, "MB");
    let started = surroundings::now();
    let said = place.import()?;
    let nothing = format!("created 0, updated 0, unchanged {}", world::COUNT);
    if !said.starts_with(&nothing) {
        return Err(Failure::Failed(format!("the same again was not unchanged: {said}")));
    }
    figure("entities.again_seconds", started.elapsed().as_secs_f64(), "s");
    server.stop()
}

fn import_and_wait(place: &Place, server: &Server) -> Outcome {
    let started = surroundings::now();
    let said = place.import()?;
    let took = started.elapsed().as_secs_f64();
    if !said.starts_with(&format!("created {}, updated 0, unchanged 0", world::COUNT)) {
        return Err(Failure::Failed(format!("not all was imported: {said}")));
    }
    figure("entities.import_seconds", took, "s");
    figure("entities.import_per_second", world::COUNT as f64 / took, "1/s");
    let imported = surroundings::now();
    // The owner of document 0 edits it as soon as both are there.
    while !decision(server, "u0", "edit", "d0")? {
        if imported.elapsed() > TAKEOVER_LIMIT {
            return Err(Failure::Failed("the server did not take the import over".into()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    figure("entities.takeover_seconds", imported.elapsed().as_secs_f64(), "s");
    Ok(())
}

/// Asks one question after another; gives the longest that one took.
fn ask_until(server: &Server, done: &AtomicBool) -> Result<Duration, Failure> {
    let mut longest = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        let asked = surroundings::now();
        // Nobody owns what is not there.
        if decision(server, "own-1", "edit", "nothing")? {
            return Err(Failure::Failed("a decision was opened by the import".into()));
        }
        longest = longest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(longest)
}

fn body(user: &str, action: &str, document: &str) -> String {
    format!(
        r#"{{"subject":{{"type":"user","id":"{user}"}},"action":{{"name":"{action}"}},"resource":{{"type":"Document","id":"{document}"}}}}"#
    )
}

const PATH: &str = "/packs/bench/access/v1/evaluation";

fn decision(server: &Server, user: &str, action: &str, document: &str) -> Result<bool, Failure> {
    match server.call("POST", PATH, &body(user, action, document))? {
        (200, answer) => Ok(answer == r#"{"decision":true}"#),
        (status, answer) => Err(Failure::Failed(format!("a decision was answered {status} {answer}"))),
    }
}

/// Gives as many users of the store the role as the pack's own files have users with it.
fn assign(server: &Server) -> Result<Vec<String>, Failure> {
    (0..world::OWN).map(|n| assign_one(server, n)).collect()
}

fn assign_one(server: &Server, n: usize) -> Result<String, Failure> {
    let path = format!("/v1/role-assignments?pack={PACK}");
    let body = format!(r#"{{"principal":{{"type":"user","id":"u{n}"}},"role":"editor"}}"#);
    match server.call("POST", &path, &body)? {
        (201, answer) => {
            let id = answer.split_once(r#""id":"ras_"#).and_then(|(_, rest)| rest.split('"').next());
            let id = id.ok_or_else(|| Failure::Failed(format!("no id in `{answer}`")))?;
            Ok(format!("ras_{id}"))
        }
        (status, answer) => Err(Failure::Failed(format!("an assignment was answered {status} {answer}"))),
    }
}

fn questions(server: &Server, prefix: &str) -> Vec<Question> {
    let key = server.key.as_deref().unwrap_or_default();
    let question = |n: usize| {
        // The same documents for both, all over the million.
        let document = format!("d{}", (n * 9_973) % world::DOCUMENTS);
        let body = body(&format!("{prefix}{}", n % world::OWN), "read", &document);
        let address = server.address;
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        );
        let bytes = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes();
        Question { bytes, expected: Some(true) }
    };
    (0..world::OWN * 8).map(question).collect()
}

/// Measures both kinds of users in turns.
fn compare(server: &Server, settings: &Settings) -> Outcome {
    let sets = [questions(server, "own-"), questions(server, "u")];
    let mut rounds: [Vec<Round>; 2] = Default::default();
    for round in 0..settings.rounds {
        eprintln!("round {} of {}", round + 1, settings.rounds);
        // Who comes first changes, so that neither gains by it.
        let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
        for slot in order {
            let (Some(questions), Some(rounds)) = (sets.get(slot), rounds.get_mut(slot)) else { continue };
            let plan = Plan {
                address: server.address,
                questions,
                connections: 1,
                warm_up: WARM_UP,
                measured: settings.measured,
            };
            rounds.push(Round::of(&load::drive(&plan, || server.cpu_time())?));
        }
    }
    let [own, store] = &rounds;
    let added = |figure: fn(&Round) -> f64| {
        median(own.iter().zip(store).map(|(own, store)| figure(store) - figure(own)).collect())
    };
    for (name, rounds) in [("own", own), ("store", store)] {
        let median = Round::median(rounds);
        figure(&format!("entities.{name}_p50_us"), median.p50_us, "us");
        figure(&format!("entities.{name}_p99_us"), median.p99_us, "us");
        figure(&format!("entities.{name}_cpu_us"), median.cpu_us, "us");
    }
    figure("entities.added_p50_us", added(|round| round.p50_us), "us");
    figure("entities.added_cpu_us", added(|round| round.cpu_us), "us");
    Ok(())
}

/// Takes roles away and gives them back: each time, the next decision must have it.
fn look_for_changes(server: &Server, assignments: &[String]) -> Outcome {
    let (mut seen, mut latencies) = (0, Vec::new());
    for (n, id) in assignments.iter().enumerate().take(CHANGES) {
        let user = format!("u{n}");
        let asked = surroundings::now();
        let (status, answer) = server.call("DELETE", &format!("/v1/role-assignments/{id}"), "")?;
        if status != 200 {
            return Err(Failure::Failed(format!("a revocation was answered {status} {answer}")));
        }
        seen += usize::from(!decision(server, &user, "read", "d1")?);
        latencies.push(millis(asked));
        let asked = surroundings::now();
        assign_one(server, n)?;
        seen += usize::from(decision(server, &user, "read", "d1")?);
        latencies.push(millis(asked));
    }
    figure("entities.visible", seen as f64 / (2 * CHANGES) as f64, "ratio");
    figure("entities.visible_ms", median(latencies), "ms");
    if seen != 2 * CHANGES {
        return Err(Failure::Failed("a change was not seen by the next decision".into()));
    }
    Ok(())
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_json_about_one_document() {
        let text = body("u1", "read", "d2");
        assert!(text.contains(r#""id":"u1""#) && text.contains(r#""id":"d2""#), "{text}");
        assert_eq!(text.matches('{').count(), text.matches('}').count());
    }
}
