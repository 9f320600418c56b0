//! A candidate: packs that are not served, and what they would have answered.
//!
//! Promises: bounded in memory, whatever is asked; counts are of this candidate alone. The comparison is the replay's: both
//! sides judge the record of the decision. Must never: have a say in an answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::replay::{Obstacle, Recorded, Said, Sample, Side, Tally};
use super::set::PackSet;
use super::{Loaded, MANAGEMENT, Pack, Snapshot};
use crate::clock::Timestamp;
use crate::decision::obligation::Obligation;

/// So many differences are kept, the latest.
const SAMPLES: usize = 100;
/// So much of an id is shown: it may be as long as a request.
const CHARACTERS: usize = 256;
/// A sample with more than that of obligations is shown without the rest.
const OBLIGATIONS: usize = 16;

/// Packs in shadow.
#[derive(Debug)]
pub struct Candidate {
    /// Its files, to be promoted.
    pub set: PackSet,
    /// Its packs.
    pub loaded: Loaded,
    /// Since when it is in shadow.
    pub since: Timestamp,
    found: Mutex<Found>,
    dropped: BTreeMap<String, AtomicU64>,
}

#[derive(Debug, Default)]
struct Found {
    packs: BTreeMap<String, Tally>,
    samples: VecDeque<Difference>,
}

/// What came of one comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The same in all.
    Same,
    /// The same answer, for other reasons or with other obligations.
    Changed,
    /// The other answer.
    Flipped,
    /// They can't be compared.
    NotCompared,
}

/// A decision that a candidate would have made otherwise.
#[derive(Clone, Debug)]
pub struct Difference {
    /// When it was decided.
    pub time: Timestamp,
    /// The question, as far as its record shows it.
    pub sample: Arc<Sample>,
    /// What is served, and what the candidate says.
    pub sides: [Side; 2],
    /// What the caller must do, by either.
    pub obligations: [Vec<Obligation>; 2],
}

/// Counts of one pack.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The same in all.
    pub same: u64,
    /// The same answer for other reasons, or with other obligations.
    pub changed: u64,
    /// The other answer.
    pub flipped: u64,
    /// Of those, allowed by the candidate.
    pub to_allow: u64,
    /// Not compared, and why.
    pub not_compared: BTreeMap<Obstacle, u64>,
    /// Not looked at: there was no room to wait.
    pub dropped: u64,
    /// How often each policy, or code, determined an answer that flips: by what is served, by the candidate.
    pub policies: BTreeMap<String, [u64; 2]>,
}

impl Candidate {
    /// A candidate with nothing counted, beside what is served.
    pub fn new(set: PackSet, loaded: Loaded, served: &Snapshot, since: Timestamp) -> Self {
        let names = loaded.packs().chain(served.packs()).map(|pack| pack.name().to_owned());
        let dropped = names.filter(|name| name != MANAGEMENT).map(|name| (name, AtomicU64::new(0))).collect();
        Self { set, loaded, since, found: Mutex::default(), dropped }
    }

    /// Counts a decision of a pack that found no room.
    pub fn drop_one(&self, pack: &str) {
        if let Some(count) = self.dropped.get(pack) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Compares what both say of a recorded decision.
    pub fn compare(&self, event: &[u8], served: &Snapshot, at: Timestamp) -> Outcome {
        let recorded = match Recorded::read(event) {
            Ok(recorded) => recorded,
            Err(obstacle) => return self.leave(None, obstacle),
        };
        let name = recorded.pack();
        let candidate = self.loaded.packs().find(|pack| pack.name() == name && name != MANAGEMENT);
        let (Some(old), Some(new)) = (served.pack(name), candidate) else {
            return self.leave(Some(name), Obstacle::PackMissing);
        };
        match both(&recorded, [old, new], served, at) {
            Ok([before, after]) => self.count(&recorded, [before, after], at),
            Err(obstacle) => self.leave(Some(name), obstacle),
        }
    }

    fn count(&self, recorded: &Recorded<'_>, [before, after]: [Said; 2], at: Timestamp) -> Outcome {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.packs.entry(recorded.pack().to_owned()).or_default().add(recorded, &before, &after);
        if before == after {
            return Outcome::Same;
        }
        let outcome = if before.verdict == after.verdict { Outcome::Changed } else { Outcome::Flipped };
        if found.samples.len() >= SAMPLES {
            found.samples.pop_back();
        }
        let sides = [Side::of(&before), Side::of(&after)];
        let obligations =
            [before, after].map(|said| said.obligations.into_iter().take(OBLIGATIONS).collect());
        let mut sample = Sample::of(recorded);
        for text in [&mut sample.subject, &mut sample.action, &mut sample.resource] {
            shorten(text);
        }
        let sample = Arc::new(sample);
        found.samples.push_front(Difference { time: at, sample, sides, obligations });
        outcome
    }

    fn leave(&self, pack: Option<&str>, obstacle: Obstacle) -> Outcome {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // Names come from records of decisions by packs that are served: there are no more of them.
        found.packs.entry(pack.unwrap_or_default().to_owned()).or_default().leave(obstacle);
        Outcome::NotCompared
    }

    /// The counts so far, by pack. What no pack judged stands under an empty name.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: BTreeMap<String, Counts> =
            found.packs.iter().map(|(name, tally)| (name.clone(), Counts::from(tally))).collect();
        for (name, dropped) in &self.dropped {
            all.entry(name.clone()).or_default().dropped = dropped.load(Ordering::Relaxed);
        }
        all
    }

    /// The latest differences of a tenant, the latest first.
    pub fn differences(&self, tenant: &str) -> Vec<Difference> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.samples.iter().filter(|difference| difference.sample.tenant == tenant).cloned().collect()
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(CHARACTERS) {
        text.truncate(end);
        text.push('…');
        text.shrink_to_fit();
    }
}

/// What both packs say: the same, when they are one.
fn both(
    recorded: &Recorded<'_>,
    [old, new]: [&Arc<Pack>; 2],
    served: &Snapshot,
    at: Timestamp,
) -> Result<[Said; 2], Obstacle> {
    let seen = recorded.seen();
    let before = recorded.judge(old, &served.data, at, &seen)?;
    let after = match Arc::ptr_eq(old, new) {
        true => before.clone(),
        false => recorded.judge(new, &served.data, at, &seen)?,
    };
    Ok([before, after])
}

impl From<&Tally> for Counts {
    fn from(tally: &Tally) -> Self {
        let policies = tally.policies.iter().map(|(id, count)| (id.to_string(), [count.before, count.after]));
        Self {
            same: tally.same,
            changed: tally.changed_otherwise,
            flipped: tally.flipped,
            to_allow: tally.to_allow,
            not_compared: tally.not_replayed.clone(),
            dropped: 0,
            policies: policies.collect(),
        }
    }
}
