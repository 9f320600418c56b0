//! The bench `reload`: how soon an edit of one policy among 10,000 decides, while others go on asking.
//!
//! The edit alternates between two policies that say opposite things of one question. It fails when any other answer is another than
//! it must be, or is none.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Settings;
use super::child::{self, Server};
use super::decision::filled;
use super::figures::{figure, median};
use crate::failure::{Failure, Outcome};
use crate::{process, programs, surroundings};

const POLICIES: usize = 10_000;
const EDITS: usize = 20;
const LIMIT: Duration = Duration::from_secs(30);
const PATH: &str = "/packs/documents/access/v1/evaluation";

/// Runs the bench.
pub(super) fn run(_settings: &Settings) -> Outcome {
    programs::provide(programs::FOR_BENCHMARKS)?;
    let mut build = process::cargo(&["build", "--release", "--workspace"]);
    process::announce_and_run(build.args(["--bin", "portcullis", "--example", "bare"]))?;
    let data = surroundings::own_folder()?.join(format!("bench-reload-{}", std::process::id()));
    let packs = data.join("packs");
    filled::write(&surroundings::root().join("policies/documents"), &packs, POLICIES - 1)?;
    let file = packs.join("documents/filled.cedar");
    let filling = std::fs::read_to_string(&file).map_err(|error| Failure::because(file.display(), error))?;
    edit(&file, &filling, "permit")?;
    let program = surroundings::build_folder(true)?.join("portcullis");
    let mut command = child::pinned(&program);
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--data"]).arg(data.join("data"));
    command.arg("--policies").arg(&packs).env("PORTCULLIS_SERVER__WORKERS", "1");
    let started = surroundings::now();
    let server = Server::start(&mut command, true)?;
    figure("reload.start_ms", millis(started), "ms");
    child::pin_load()?;
    let (done, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let (edited, others) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(&server, &done, &asked));
        let edited = edit_often(&server, &file, &filling);
        done.store(true, Ordering::Relaxed);
        (edited, asking.join().map_err(|_| Failure::Failed("the asking thread failed".into())))
    });
    let mut live = edited?;
    let longest = others??;
    live.sort_by(f64::total_cmp);
    figure("reload.live_ms", median(live.clone()), "ms");
    figure("reload.live_highest_ms", live.last().copied().unwrap_or_default(), "ms");
    figure("reload.answers_meanwhile", asked.load(Ordering::Relaxed) as f64, "answers");
    figure("reload.longest_answer_ms", longest.as_secs_f64() * 1e3, "ms");
    server.stop()?;
    std::fs::remove_dir_all(&data).map_err(|error| Failure::because(data.display(), error))
}

/// Writes the whole file, in which one policy is another.
fn edit(file: &Path, filling: &str, effect: &str) -> Outcome {
    let edited = format!(
        "@id(\"edited\")\n{effect} (principal == User::\"carol\", action == Action::\"delete\", resource == Document::\"handbook\");\n"
    );
    let half = filling.len() / 2;
    let middle = filling.get(half..).and_then(|rest| rest.find("@id")).map_or(filling.len(), |at| half + at);
    let (before, after) = filling.split_at_checked(middle).unwrap_or((filling, ""));
    let text = [before, &edited, after].concat();
    std::fs::write(file, text).map_err(|error| Failure::because(file.display(), error))
}

/// Edits, and waits each time until the decision is the new one; gives how long that took, in milliseconds.
fn edit_often(server: &Server, file: &Path, filling: &str) -> Result<Vec<f64>, Failure> {
    let question = question("carol", "delete", "handbook");
    let mut live = Vec::with_capacity(EDITS);
    for n in 0..EDITS {
        let (effect, expected) = if n % 2 == 0 { ("forbid", false) } else { ("permit", true) };
        edit(file, filling, effect)?;
        let edited = surroundings::now();
        while decision(server, &question)? != expected {
            if edited.elapsed() > LIMIT {
                return Err(Failure::Failed("an edit never decided".into()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        live.push(millis(edited));
        std::thread::sleep(Duration::from_millis(300));
    }
    Ok(live)
}

/// Asks what no edit is about; gives the longest time that an answer took.
fn ask_until(server: &Server, done: &AtomicBool, asked: &AtomicU64) -> Result<Duration, Failure> {
    let questions =
        [(question("carol", "edit", "budget-2026"), true), (question("frank", "read", "merger"), false)];
    let mut longest = Duration::ZERO;
    for (question, expected) in questions.iter().cycle() {
        if done.load(Ordering::Relaxed) {
            break;
        }
        let began = surroundings::now();
        if decision(server, question)? != *expected {
            return Err(Failure::Failed(format!("another answer than {expected} to {question}")));
        }
        longest = longest.max(began.elapsed());
        asked.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(longest)
}

fn question(user: &str, action: &str, document: &str) -> String {
    format!(
        r#"{{"subject":{{"type":"user","id":"{user}"}},"action":{{"name":"{action}"}},"resource":{{"type":"document","id":"{document}"}}}}"#
    )
}

fn decision(server: &Server, question: &str) -> Result<bool, Failure> {
    match server.call("POST", PATH, question)? {
        (200, answer) => Ok(answer == r#"{"decision":true}"#),
        (status, answer) => Err(Failure::Failed(format!("a decision was answered {status} {answer}"))),
    }
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
