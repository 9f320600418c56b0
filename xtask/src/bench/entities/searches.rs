//! First pages of searches over the million: which documents may a user comment on?
//!
//! Policies say so by team and folder, so that an index answers; the answer itself tells that it was so. A page is right if
//! what it found can be commented on.

use super::{PACK, Server, millis};
use crate::bench::figures::figure;
use crate::failure::{Failure, Outcome};
use crate::surroundings;

/// How many first pages are asked for.
const SEARCHES: usize = 1_000;
const LIMIT: usize = 50;

/// Asks for first pages, one after another, each for another user.
pub(super) fn measure(server: &Server) -> Outcome {
    // The first one makes what is made once.
    let first = surroundings::now();
    search(server, 0)?;
    figure("entities.search_first_ms", millis(first), "ms");
    let mut latencies = Vec::with_capacity(SEARCHES);
    for n in 0..SEARCHES {
        let asked = surroundings::now();
        let answer = search(server, n)?;
        latencies.push(millis(asked));
        check(server, n, &answer)?;
    }
    latencies.sort_by(f64::total_cmp);
    let at = |percent: usize| latencies.get(SEARCHES * percent / 100).copied().unwrap_or_default();
    figure("entities.search_p50_ms", at(50), "ms");
    figure("entities.search_p99_ms", at(99), "ms");
    Ok(())
}

/// The `n`th user of those whose teams may comment.
fn user(n: usize) -> String {
    format!("u{}", n % super::world::COMMENTING + (n / super::world::COMMENTING) * super::world::TEAMS)
}

fn search(server: &Server, n: usize) -> Result<String, Failure> {
    let path = format!("/packs/{PACK}/access/v1/search/resource");
    let body = format!(
        r#"{{"subject":{{"type":"user","id":"{}"}},"action":{{"name":"comment"}},"resource":{{"type":"Document"}},"page":{{"limit":{LIMIT}}},"explain":true}}"#,
        user(n)
    );
    match server.call("POST", &path, &body)? {
        (200, answer) => Ok(answer),
        (status, answer) => Err(Failure::Failed(format!("a search was answered {status} {answer}"))),
    }
}

fn check(server: &Server, n: usize, answer: &str) -> Outcome {
    let wrong = |why: &str| Failure::Failed(format!("a search {why}: {answer}"));
    if !answer.contains(r#""by":"index""#) {
        return Err(wrong("was not by index"));
    }
    let found: Vec<&str> =
        answer.split(r#""id":""#).skip(1).filter_map(|rest| rest.split('"').next()).collect();
    if found.len() != LIMIT {
        return Err(wrong("has another number of results"));
    }
    for document in found.iter().step_by(LIMIT / 2) {
        if !super::decision(server, &user(n), "comment", document)? {
            return Err(wrong("found what may not be done"));
        }
    }
    Ok(())
}
