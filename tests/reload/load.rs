//! Edits while many connections ask: no error, and no answer that mixes two revisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_tests::files::replace;
use portcullis_tests::{Client, Pack, Server, soak};
use serde_json::Value;

use crate::assertions::set;
use crate::fixtures::question;

const CONNECTIONS: usize = 16;

/// Two policies in one file and one in another, all of one edit: their ids say which.
fn first_file(edit: usize) -> String {
    let one = |letter: char| format!("@id(\"{letter}-{edit}\")\npermit(principal, action, resource);\n");
    format!("{}{}", one('a'), one('b'))
}

fn second_file(edit: usize) -> String {
    format!("@id(\"c-{edit}\")\npermit(principal, action, resource);\n")
}

/// What one connection saw: the reasons that each revision gave.
#[derive(Default)]
struct Seen {
    answers: usize,
    by_revision: BTreeMap<String, BTreeSet<BTreeSet<String>>>,
}

impl Seen {
    fn take(&mut self, answer: &Value) {
        self.answers += 1;
        let revision = answer["revision"].as_str().expect("a revision").to_owned();
        self.by_revision.entry(revision).or_default().insert(set(&answer["reasons"]));
    }
}

fn ask_until(stop: &AtomicBool, client: &Client) -> Seen {
    let mut seen = Seen::default();
    let asked = question("alice", "read", "r");
    while !stop.load(Ordering::Relaxed) {
        seen.take(&client.post("/v1/decide", &asked).expect_status(200).json());
    }
    seen
}

fn edit(server: &Server, number: usize) -> Duration {
    let folder = server.policies().join("edited");
    replace(&folder.join("first.cedar"), first_file(number));
    replace(&folder.join("second.cedar"), second_file(number));
    let start = Instant::now();
    let wanted = ['a', 'b', 'c'].map(|letter| format!("{letter}-{number}")).into();
    let asked = question("alice", "read", "r");
    while start.elapsed() < Duration::from_secs(10) {
        let answer = server.post("/v1/decide", &asked).expect_status(200).json();
        if set(&answer["reasons"]) == wanted {
            return start.elapsed();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("edit {number} never came; stderr:\n{}", server.stderr());
}

#[test]
fn edits_under_load_are_whole_and_live_in_under_a_second() {
    let edits = soak(60, 1000);
    let pack = Pack::new("edited").file("first.cedar", &first_file(0)).file("second.cedar", &second_file(0));
    let server = Server::with(pack);
    let stop = AtomicBool::new(false);
    let clients: Vec<Client> =
        (0..CONNECTIONS).map(|_| Client::keeping_alive(server.base(), server.key())).collect();
    let (seen, slowest) = std::thread::scope(|scope| {
        let asking: Vec<_> = clients.iter().map(|client| scope.spawn(|| ask_until(&stop, client))).collect();
        // A failed edit must end the askers too, or the test would never end.
        let edited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (1..=edits).map(|number| edit(&server, number)).max().unwrap_or_default()
        }));
        stop.store(true, Ordering::Relaxed);
        let seen: Vec<Seen> = asking.into_iter().map(|one| one.join().expect("no error")).collect();
        (seen, edited.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    assert!(slowest < Duration::from_secs(1), "an edit took {slowest:?}");
    assert!(seen.iter().all(|one| one.answers >= edits), "a connection starved");
    is_whole(&seen, edits);
}

/// Each revision gave one answer, and no answer holds half of a file.
fn is_whole(seen: &[Seen], edits: usize) {
    let mut all: BTreeMap<&str, BTreeSet<&BTreeSet<String>>> = BTreeMap::new();
    for (revision, answers) in seen.iter().flat_map(|one| &one.by_revision) {
        all.entry(revision).or_default().extend(answers);
    }
    for (revision, answers) in &all {
        assert_eq!(answers.len(), 1, "revision {revision} gave {answers:?}");
    }
    for reasons in all.values().flatten() {
        let of = |letter: char| reasons.iter().filter_map(|id| id.strip_prefix(letter)).collect::<Vec<_>>();
        assert_eq!((of('a').len(), of('c').len()), (1, 1), "{reasons:?}");
        assert_eq!(of('a'), of('b'), "half of a file: {reasons:?}");
    }
    assert!(all.len() > edits / 2, "only {} revisions were seen", all.len());
}
