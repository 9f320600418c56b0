//! Entities that questions asked about lately, as Cedar has them.
//!
//! Promises: it holds so many bytes and no more; what was asked for lately stays longest. It never says whether what
//! it holds still stands: whoever asks compares. A cache never changes a decision.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::{Arc, Mutex, PoisonError};

use super::view::Known;

/// How many bytes of entities are remembered, about.
const BYTES: usize = 64 << 20;
const SHARDS: usize = 8;

/// What is remembered.
#[derive(Debug)]
pub struct Memory {
    shards: [Mutex<Shard>; SHARDS],
    hasher: foldhash::quality::RandomState,
    shard_bytes: usize,
}

/// Half of the room is for what is young; when it is full, the young become the old, and the old are forgotten. Who
/// is asked for while old becomes young again.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<u64, Arc<Known>, foldhash::fast::RandomState>,
    old: HashMap<u64, Arc<Known>, foldhash::fast::RandomState>,
    young_bytes: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::with_bytes(BYTES)
    }
}

impl Memory {
    /// A memory with room for so many bytes.
    pub fn with_bytes(bytes: usize) -> Self {
        Self {
            shards: Default::default(),
            hasher: foldhash::quality::RandomState::default(),
            shard_bytes: bytes / SHARDS,
        }
    }

    /// The place of a key.
    pub fn place(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// What is at a place. Two keys may share it: the entry tells which it is of.
    pub fn get(&self, place: u64) -> Option<Arc<Known>> {
        let mut shard = self.shard(place)?.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = shard.young.get(&place) {
            return Some(Arc::clone(known));
        }
        let known = shard.old.remove(&place)?;
        shard.put(place, Arc::clone(&known), self.shard_bytes);
        Some(known)
    }

    /// Remembers.
    pub fn put(&self, place: u64, known: Arc<Known>) {
        if let Some(shard) = self.shard(place) {
            shard.lock().unwrap_or_else(PoisonError::into_inner).put(place, known, self.shard_bytes);
        }
    }

    fn shard(&self, place: u64) -> Option<&Mutex<Shard>> {
        // The map within takes the lower bits.
        self.shards.get(usize::try_from(place >> 56).unwrap_or(0) % SHARDS)
    }

    /// The bytes that are held now, about.
    pub fn bytes(&self) -> usize {
        let bytes = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.young.values().chain(shard.old.values()).map(|known| known.bytes).sum::<usize>()
        };
        self.shards.iter().map(bytes).sum()
    }
}

impl Shard {
    fn put(&mut self, place: u64, known: Arc<Known>, room: usize) {
        // What would push out all others is not worth it.
        if known.bytes > room / 2 {
            return;
        }
        if self.young_bytes + known.bytes > room / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += known.bytes;
        self.old.remove(&place);
        if let Some(replaced) = self.young.insert(place, known) {
            self.young_bytes = self.young_bytes.saturating_sub(replaced.bytes);
        }
    }
}
