//! The principals of a tenant that may not do anything.
//!
//! A principal is locked or disabled in its whole tenant: whichever pack's row says so, and by its kind and id, so
//! that naming it otherwise does not help. A deleted one stays what it was until it is made anew.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::fresh_number;
use super::trie::Trie;
use super::update::{Kind, Status};

/// One row's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The pack of the row.
    pub pack: Arc<str>,
    /// The row's Cedar type name.
    pub entity_type: Arc<str>,
    /// Never active.
    pub status: Status,
}

#[derive(Clone, Debug)]
struct Entry {
    kind: Kind,
    id: Arc<str>,
    marks: Vec<Mark>,
}

/// All that are locked or disabled.
#[derive(Clone, Debug)]
pub struct Inactive {
    entries: Trie<Entry>,
    hasher: foldhash::quality::RandomState,
    /// Differs with every change.
    pub number: u64,
}

impl Default for Inactive {
    fn default() -> Self {
        Self {
            entries: Trie::default(),
            hasher: foldhash::quality::RandomState::default(),
            number: fresh_number(),
        }
    }
}

impl Inactive {
    fn hash(hasher: &foldhash::quality::RandomState, kind: Kind, id: &str) -> u32 {
        let [a, b, c, d, ..] = hasher.hash_one((kind, id)).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// What rows say of this principal; nothing when it is active.
    pub fn marks(&self, kind: Kind, id: &str) -> &[Mark] {
        if self.entries.is_empty() {
            return &[];
        }
        let hash = Self::hash(&self.hasher, kind, id);
        let entry = self.entries.get(hash, |entry| entry.kind == kind && *entry.id == *id);
        entry.map_or(&[], |entry| &entry.marks)
    }

    /// The strictest of what rows say.
    pub fn status(&self, kind: Kind, id: &str) -> Status {
        self.marks(kind, id).iter().map(|mark| mark.status).max().unwrap_or_default()
    }

    /// Kind, id and status of each, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &str, Status)> {
        let status = |entry: &Entry| entry.marks.iter().map(|mark| mark.status).max().unwrap_or_default();
        self.entries.iter().map(move |entry| (entry.kind, &*entry.id, status(entry)))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// Takes one row's word over. Changes nothing, and copies nothing, when it is not news.
    pub fn note(this: &mut Arc<Self>, kind: Kind, id: &str, mark: Mark) {
        let known = this.marks(kind, id);
        let old = known.iter().find(|old| old.pack == mark.pack && old.entity_type == mark.entity_type);
        if old.map_or(Status::Active, |old| old.status) == mark.status {
            return;
        }
        let mut marks: Vec<Mark> = known.to_vec();
        marks.retain(|old| old.pack != mark.pack || old.entity_type != mark.entity_type);
        if mark.status != Status::Active {
            marks.push(mark);
        }
        let this = Arc::make_mut(this);
        this.number = fresh_number();
        let Self { entries, hasher, .. } = this;
        let hash = Self::hash(hasher, kind, id);
        let same = |entry: &Entry| entry.kind == kind && *entry.id == *id;
        if marks.is_empty() {
            entries.remove(hash, same);
        } else {
            let entry = Entry { kind, id: id.into(), marks };
            entries.put(hash, entry, same);
        }
    }
}
