//! First pages of searches over the million: which documents may a user comment on, and which may they edit?
//!
//! Policies say the one by team and folder and the other by an attribute, so that an index answers; the answer itself tells
//! that it was so. A page is right if what it found can be done.

use super::{PACK, Server, millis};
use crate::bench::figures::figure;
use crate::failure::{Failure, Outcome};
use crate::surroundings;

/// How many first pages are asked for.
const SEARCHES: usize = 1_000;
const LIMIT: usize = 50;

/// One kind of search.
struct Kind {
    /// What the figures are called.
    name: &'static str,
    action: &'static str,
    /// The `n`th user.
    user: fn(usize) -> String,
    /// Whether every page is full.
    is_full: bool,
}

const KINDS: [Kind; 2] = [
    Kind { name: "search", action: "comment", user: commenting, is_full: true },
    Kind { name: "search_value", action: "edit", user: |n| format!("u{}", n * 7), is_full: false },
];

/// Asks for first pages, one after another, each for another user.
pub(super) fn measure(server: &Server) -> Outcome {
    KINDS.iter().try_for_each(|kind| measure_kind(server, kind))
}

fn measure_kind(server: &Server, kind: &Kind) -> Outcome {
    let name = kind.name;
    // The first one makes what is made once.
    let first = surroundings::now();
    search(server, kind, 0)?;
    figure(&format!("entities.{name}_first_ms"), millis(first), "ms");
    let mut latencies = Vec::with_capacity(SEARCHES);
    for n in 0..SEARCHES {
        let asked = surroundings::now();
        let answer = search(server, kind, n)?;
        latencies.push(millis(asked));
        check(server, kind, n, &answer)?;
    }
    latencies.sort_by(f64::total_cmp);
    let at = |percent: usize| latencies.get(SEARCHES * percent / 100).copied().unwrap_or_default();
    figure(&format!("entities.{name}_p50_ms"), at(50), "ms");
    figure(&format!("entities.{name}_p99_ms"), at(99), "ms");
    figure(&format!("entities.{name}_longest_ms"), latencies.last().copied().unwrap_or_default(), "ms");
    Ok(())
}

/// One of those whose teams may comment.
fn commenting(n: usize) -> String {
    format!("u{}", n % super::world::COMMENTING + (n / super::world::COMMENTING) * super::world::TEAMS)
}

fn search(server: &Server, kind: &Kind, n: usize) -> Result<String, Failure> {
    let path = format!("/packs/{PACK}/access/v1/search/resource");
    let (action, user) = (kind.action, (kind.user)(n));
    let body = format!(
        r#"{{"subject":{{"type":"user","id":"{user}"}},"action":{{"name":"{action}"}},"resource":{{"type":"Document"}},"page":{{"limit":{LIMIT}}},"explain":true}}"#
    );
    match server.call("POST", &path, &body)? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(Failure::Failed(format!("a search was answered {status} {answer}"))),
    }
}

fn check(server: &Server, kind: &Kind, n: usize, answer: &str) -> Outcome {
    let wrong = |why: &str| Failure::Failed(format!("a search {why}: {answer}"));
    if !answer.contains(r#""by":"index""#) {
        return Err(wrong("was not by index"));
    }
    let found: Vec<&str> =
        answer.split(r#""id":""#).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    if found.is_empty() || (kind.is_full && found.len() != LIMIT) {
        return Err(wrong("has another number of results"));
    }
    for document in found.iter().step_by(LIMIT / 2) {
        if !super::decision(server, &(kind.user)(n), kind.action, document)? {
            return Err(wrong("found what may not be done"));
        }
    }
    Ok(())
}
