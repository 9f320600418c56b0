//! What a plugin in the path adds to a decision: one server with `injection-guard`, one without, in turns.
//!
//! Both get the same questions, each with a request of 8 headers; and again with a body of 4 KB besides. The figure is
//! CPU time of the server an answer, with less without; medians over the rounds.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::bench::Settings;
use crate::bench::child::{self, Server};
use crate::bench::figures::{Round, figure, median};
use crate::bench::load::{self, Plan};
use crate::bench::questions::Question;
use crate::failure::{Failure, Outcome};
use crate::surroundings;

const CONNECTIONS: usize = 16;
const WARM_UP: Duration = Duration::from_millis(500);
const GUARD: &str = "[plugins.injection-guard]\ncapabilities = [\"config\"]\nconfig = { reject_at = 80 }\n";

/// Runs both servers and prints the figures.
pub(super) fn run(settings: &Settings, program: &Path) -> Outcome {
    let folder = surroundings::own_folder()?.join(format!("bench-plugin-{}", std::process::id()));
    let with = start(program, &folder.join("with"), GUARD)?;
    let without = start(program, &folder.join("without"), "")?;
    child::pin_load()?;
    for (name, body) in [("plugin.added_cpu_us", Some(rows())), ("plugin.added_cpu_without_body_us", None)] {
        compare(name, [&with, &without], body.as_deref(), settings)?;
    }
    let calls = calls(&with)?;
    with.stop()?;
    without.stop()?;
    std::fs::remove_dir_all(&folder).map_err(|error| Failure::because(folder.display(), error))?;
    figure("plugin.calls", calls, "calls");
    if calls < 1.0 {
        return Err(Failure::Failed("the plugin was never called".into()));
    }
    Ok(())
}

fn start(program: &Path, folder: &Path, sections: &str) -> Result<Server, Failure> {
    let plugins = folder.join("plugins");
    let failed = |error| Failure::because(folder.display(), error);
    std::fs::create_dir_all(&plugins).map_err(failed)?;
    let config = folder.join("portcullis.toml");
    std::fs::write(&config, format!("[server]\nworkers = 1\n\n{sections}")).map_err(failed)?;
    let mut command = child::pinned(program);
    command.args(["serve", "--dev", "--listen", "127.0.0.1:0", "--config"]).arg(&config);
    command.arg("--data").arg(folder.join("data")).arg("--plugins").arg(&plugins);
    command.arg("--policies").arg(surroundings::root().join("policies"));
    Server::start(&mut command, true)
}

fn compare(name: &str, servers: [&Server; 2], body: Option<&str>, settings: &Settings) -> Outcome {
    let mut rounds = [Vec::new(), Vec::new()];
    for round in 0..settings.rounds {
        eprintln!("{name}: round {} of {}", round + 1, settings.rounds);
        let mut turns = [0, 1];
        turns.rotate_left(round % 2);
        for turn in turns {
            if let (Some(server), Some(rounds)) = (servers.get(turn), rounds.get_mut(turn)) {
                rounds.push(measure(server, body, settings)?);
            }
        }
    }
    let [with, without] = &rounds;
    let added = with.iter().zip(without).map(|(with, without)| with.cpu_us - without.cpu_us);
    figure(&format!("{name}_with"), Round::median(with).cpu_us, "us");
    figure(&format!("{name}_without"), Round::median(without).cpu_us, "us");
    figure(name, median(added.collect()), "us");
    Ok(())
}

fn measure(server: &Server, body: Option<&str>, settings: &Settings) -> Result<Round, Failure> {
    let questions = questions(server.address, server.key.as_deref().unwrap_or_default(), body);
    let plan = Plan {
        address: server.address,
        questions: &questions,
        connections: CONNECTIONS,
        warm_up: WARM_UP,
        measured: settings.measured,
    };
    Ok(Round::of(&load::drive(&plan, || server.cpu_time())?))
}

/// About 4 KB.
fn rows() -> String {
    let row = r#"{"sku":"A-1000","name":"a thing for the house","count":3,"price":"19.99","gift":false}"#;
    format!("[{}]", vec![row; 48].join(","))
}

/// The request that the calls within a process get too, without a body.
const REQUEST: &str = include_str!("../../../../engine/examples/request.json");

fn questions(address: SocketAddr, key: &str, body: Option<&str>) -> Vec<Question> {
    ["budget-2026", "payroll-2026", "merger", "draft"].map(|id| question(address, key, id, body)).into()
}

fn question(address: SocketAddr, key: &str, id: &str, body: Option<&str>) -> Question {
    let http = match body {
        Some(body) => format!(r#"{},"body":{body}}}"#, REQUEST.trim_end().trim_end_matches('}')),
        None => REQUEST.trim_end().to_owned(),
    };
    let who = r#""subject":{"type":"user","id":"alice"},"action":{"name":"read"}"#;
    let text =
        format!(r#"{{"pack":"documents",{who},"resource":{{"type":"document","id":"{id}"}},"http":{http}}}"#);
    let head = format!("POST /v1/decide HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n");
    let about = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", text.len());
    Question { bytes: [head, about, text].concat().into_bytes(), expected: None }
}

/// How often the plugin was called, by the server's own account.
fn calls(server: &Server) -> Result<f64, Failure> {
    let listed = server.get("/v1/plugins")?;
    let told = calls_in(&listed);
    told.ok_or_else(|| Failure::Failed(format!("/v1/plugins says nothing of calls: {listed}")))
}

fn calls_in(listed: &str) -> Option<f64> {
    let (_, after) = listed.split_once(r#""calls":"#)?;
    let after = after.trim_start();
    let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
    after.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_about_four_kilobytes() {
        assert!((3_800..=4_600).contains(&rows().len()), "{}", rows().len());
    }

    #[test]
    fn a_question_states_its_length_and_has_the_body_that_was_asked_for() {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        for body in [None, Some(rows())] {
            let question = question(address, "k", "draft", body.as_deref());
            let text = String::from_utf8(question.bytes).unwrap();
            let (head, asked) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", asked.len())), "{head}");
            assert_eq!(asked.contains(r#""body":["#), body.is_some());
            assert!(asked.contains("x-request-id") && asked.ends_with("}}"), "{asked}");
            assert_eq!(asked.matches('{').count(), asked.matches('}').count());
        }
    }

    #[test]
    fn calls_are_read_from_the_list() {
        assert_eq!(calls_in(r#"{"items":[{"name":"a","calls": 12,"failed":{}}]}"#), Some(12.0));
        assert_eq!(calls_in("{}"), None);
    }
}
