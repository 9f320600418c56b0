//! What came of replaying decisions against two sides, counted.
//!
//! Promises: every record that was looked at is in exactly one of: flipped, changed otherwise, the same, not replayed. Memory
//! is bounded, however many records and reasons there are.

use std::collections::BTreeMap;

use serde::Serialize;
use smol_str::SmolStr;

use super::{Obstacle, Recorded, Said};
use crate::decision::Verdict;

/// More ways in which decisions flip are one group.
const GROUPS: usize = 1_000;
/// More reasons of one answer are not told apart.
const REASONS: usize = 8;

/// Counts of what came out.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// How many decisions the log holds of those asked about.
    pub decisions: u64,
    /// How many would be answered otherwise.
    pub flipped: u64,
    /// Of those, how many would be allowed.
    pub to_allow: u64,
    /// How many keep their answer, for other reasons or with other obligations.
    pub changed_otherwise: u64,
    /// How many are the same in all.
    pub same: u64,
    /// How many could not be replayed, and why.
    pub not_replayed: BTreeMap<Obstacle, u64>,
    /// How many the old side answers otherwise than the record says.
    pub old_differs_from_record: u64,
    /// How many are older than a change of their tenant's stored entities in the pack.
    pub entities_changed_since: u64,
    /// How often each policy determined an answer that flips.
    pub policies: BTreeMap<SmolStr, PolicyCount>,
    /// The ways in which decisions flip.
    #[serde(serialize_with = "most_first")]
    pub flips: BTreeMap<(Side, Side), Group>,
    /// How many samples of a group are kept.
    #[serde(skip)]
    pub samples: usize,
}

/// How often a policy, or a code, determined an answer that flips.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PolicyCount {
    /// By the old policies.
    pub before: u64,
    /// By the new ones.
    pub after: u64,
}

/// An answer and its reasons.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Side {
    /// Allow or deny.
    pub decision: Verdict,
    /// Policies and codes.
    pub reasons: Vec<SmolStr>,
}

/// Decisions that flip in the same way.
#[derive(Debug, Default, Serialize)]
pub struct Group {
    /// How many.
    pub count: u64,
    /// Some of them, the newest.
    pub samples: Vec<Sample>,
}

/// A decision that flips.
#[derive(Debug, Serialize)]
pub struct Sample {
    /// Its id.
    pub id: String,
    /// The pack.
    pub pack: String,
    /// The tenant.
    pub tenant: String,
    /// Who, as `type:id`.
    pub subject: String,
    /// Does what.
    pub action: String,
    /// To what, as `type:id`.
    pub resource: String,
    /// What was answered.
    pub recorded: Verdict,
}

impl Tally {
    /// A record that can't be replayed.
    pub fn leave(&mut self, obstacle: Obstacle) {
        self.decisions += 1;
        *self.not_replayed.entry(obstacle).or_default() += 1;
    }

    /// How many could not be replayed.
    pub fn left(&self) -> u64 {
        self.not_replayed.values().sum()
    }

    /// A record that both sides judged.
    pub fn add(&mut self, recorded: &Recorded<'_>, before: &Said, after: &Said) {
        self.decisions += 1;
        if before.verdict != recorded.verdict() {
            self.old_differs_from_record += 1;
        }
        if before.verdict != after.verdict {
            self.flip(recorded, before, after);
        } else if before != after {
            self.changed_otherwise += 1;
        } else {
            self.same += 1;
        }
    }

    fn flip(&mut self, recorded: &Recorded<'_>, before: &Said, after: &Said) {
        self.flipped += 1;
        self.to_allow += u64::from(after.verdict == Verdict::Allow);
        for reason in &before.reasons {
            if let Some(count) = self.of_policy(reason) {
                count.before += 1;
            }
        }
        for reason in &after.reasons {
            if let Some(count) = self.of_policy(reason) {
                count.after += 1;
            }
        }
        let mut key = (Side::of(before), Side::of(after));
        if self.flips.len() >= GROUPS && !self.flips.contains_key(&key) {
            key.0.reasons = vec!["…".into()];
            key.1.reasons = vec!["…".into()];
        }
        let group = self.flips.entry(key).or_default();
        group.count += 1;
        if group.samples.len() < self.samples {
            group.samples.push(Sample::of(recorded));
        }
    }

    fn of_policy(&mut self, reason: &SmolStr) -> Option<&mut PolicyCount> {
        let is_new = !self.policies.contains_key(reason);
        let room = self.policies.len() < GROUPS * REASONS;
        (room || !is_new).then(|| self.policies.entry(reason.clone()).or_default())
    }
}

impl Side {
    /// What was said, without the reasons that are too many.
    pub fn of(said: &Said) -> Self {
        let mut reasons: Vec<SmolStr> = said.reasons.iter().take(REASONS).cloned().collect();
        if said.reasons.len() > REASONS {
            reasons.push("…".into());
        }
        Self { decision: said.verdict, reasons }
    }
}

impl Sample {
    /// What a record says of the question.
    pub fn of(recorded: &Recorded<'_>) -> Self {
        let [subject, action, resource] = recorded.asked_in_words();
        Self {
            id: recorded.id().to_owned(),
            pack: recorded.pack().to_owned(),
            tenant: recorded.tenant().to_owned(),
            subject,
            action,
            resource,
            recorded: recorded.verdict(),
        }
    }
}

/// The groups with the most first.
pub fn sorted(flips: &BTreeMap<(Side, Side), Group>) -> Vec<(&(Side, Side), &Group)> {
    let mut all: Vec<_> = flips.iter().collect();
    all.sort_by_key(|(_, group)| std::cmp::Reverse(group.count));
    all
}

fn most_first<S: serde::Serializer>(
    flips: &BTreeMap<(Side, Side), Group>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Flip<'a> {
        before: &'a Side,
        after: &'a Side,
        #[serde(flatten)]
        group: &'a Group,
    }
    serializer.collect_seq(sorted(flips).into_iter().map(|((before, after), group)| Flip {
        before,
        after,
        group,
    }))
}
