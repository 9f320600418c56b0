//! What detectors are told besides requests: counts, and decisions once they are answered.
//!
//! Promises: no answer waits for a detector that looks at events; the queue is bounded, and what finds no room is counted.
//! Nothing is counted that no loaded plugin wants to see. Must never: change an answer.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::app::App;
use crate::clock::Timestamp;
use crate::evaluation::{Answer, Circumstances};
use crate::plugin::Hook;
use crate::plugin::manifest::CounterWish;
use crate::plugin::set::Installed;
use crate::policy::{Pack, Snapshot};
use crate::question::Asked;

mod counters;
mod decided;

pub use counters::{Whose, readings};

/// The kind of event that this version has.
pub const DECISION: &str = "decision";

/// So many decisions wait at most.
const WAITING: usize = 4_096;
/// An id longer than that is cut where it becomes an attribute.
const ATTRIBUTE_BYTES: usize = 512;

/// Decisions on their way to detectors.
#[derive(Debug)]
pub struct Aftermath {
    sender: Sender<Happened>,
    receiver: Mutex<Option<Receiver<Happened>>>,
    dropped: AtomicU64,
}

/// A decision that was answered.
#[derive(Debug)]
struct Happened {
    snapshot: Arc<Snapshot>,
    decision_id: String,
    time: Timestamp,
    tenant: Arc<str>,
    caller: String,
    pack: Option<String>,
    allowed: bool,
    reasons: String,
    asked: Option<Names>,
    /// `METHOD /path` of the application's own request; empty when it did not say.
    route: String,
    address: Option<std::net::IpAddr>,
}

/// Who wanted to do what to what.
#[derive(Debug)]
struct Names {
    subject: (String, String),
    action: String,
    resource: (String, String),
}

impl Default for Aftermath {
    fn default() -> Self {
        let (sender, receiver) = channel(WAITING);
        Self { sender, receiver: Mutex::new(Some(receiver)), dropped: AtomicU64::new(0) }
    }
}

impl Aftermath {
    /// Whether any plugin wants to hear of decisions, or counts of them.
    pub fn is_wanted(&self, snapshot: &Snapshot) -> bool {
        let wants = |installed: &Arc<Installed>| {
            wants_decisions(installed) || !installed.plugin().manifest().counters.is_empty()
        };
        snapshot.plugins().of(Hook::Detect).iter().any(wants)
    }

    /// Takes a decision that was answered.
    pub fn feed(
        &self,
        (snapshot, time): (&Arc<Snapshot>, Timestamp),
        by: &Circumstances<'_>,
        pack: Option<&Arc<Pack>>,
        (asked, answer): (Option<&Asked<'_>>, &Answer),
    ) {
        let Ok(place) = self.sender.try_reserve() else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let request = by.http.map(|http| &http.request);
        let reasons: Vec<&str> = answer.reasons.iter().map(AsRef::as_ref).collect();
        place.send(Happened {
            snapshot: Arc::clone(snapshot),
            decision_id: answer.decision_id.clone(),
            time,
            tenant: by.caller.tenant.as_str().into(),
            caller: by.caller.id.clone(),
            pack: pack.map(|pack| pack.name().to_owned()),
            allowed: answer.verdict == crate::decision::Verdict::Allow,
            reasons: cut(&reasons.join(",")),
            asked: asked.map(Names::of),
            route: request.map(|request| format!("{} {}", request.method, request.path)).unwrap_or_default(),
            address: by.http.and_then(|http| http.address),
        });
    }

    /// How many decisions found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl App {
    /// Tells detectors of decisions, one after another; ends with the server.
    pub async fn follow_decisions(self: Arc<Self>) {
        let receiver = self.aftermath.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut receiver) = receiver else { return };
        while let Some(happened) = receiver.recv().await {
            counters::count(&self, &happened).await;
            decided::tell(&self, &happened).await;
        }
    }
}

fn wants_decisions(installed: &Installed) -> bool {
    installed.plugin().manifest().events.iter().any(|kind| kind == DECISION)
}

/// What any loaded detector wants counted.
fn wishes(snapshot: &Snapshot) -> BTreeSet<(&str, u32)> {
    let plugins = snapshot.plugins().of(Hook::Detect).iter();
    let wishes = plugins.flat_map(|installed| &installed.plugin().manifest().counters);
    wishes.map(|CounterWish { name, window_seconds }| (name.as_str(), *window_seconds)).collect()
}

impl Names {
    fn of(asked: &Asked<'_>) -> Self {
        let party = |party: &crate::question::Party<'_>| (cut(&party.type_name), cut(&party.id));
        Self {
            subject: party(&asked.subject),
            action: cut(&asked.action.name),
            resource: party(&asked.resource),
        }
    }
}

fn cut(text: &str) -> String {
    let mut end = text.len().min(ATTRIBUTE_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}
