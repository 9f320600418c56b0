//! What the state should answer, in the plainest code: maps, and a clock that is moved by hand.

use std::collections::HashMap;

use super::super::{Inserted, WhenFull};

/// The model: everything with its end, in milliseconds of its own clock.
#[derive(Debug, Default)]
pub(super) struct Model {
    now: u64,
    claims: HashMap<u8, (u8, u64)>,
    sets: HashMap<u8, Vec<(String, u64)>>,
    counts: HashMap<u8, (i64, u64)>,
    values: HashMap<u8, (Vec<u8>, u64)>,
    windows: HashMap<u8, u64>,
    spent: HashMap<u8, u64>,
}

impl Model {
    pub(super) fn pass(&mut self, millis: u64) {
        self.now += millis;
        let now = self.now;
        self.claims.retain(|_, (_, ends)| *ends > now);
        self.counts.retain(|_, (_, ends)| *ends > now);
        self.values.retain(|_, (_, ends)| *ends > now);
        for set in self.sets.values_mut() {
            set.retain(|(_, ends)| *ends > now);
        }
    }

    pub(super) fn claim(&mut self, key: u8, claimant: u8, ttl: u64) -> bool {
        let ends = self.now + ttl;
        self.claims.entry(key).or_insert((claimant, ends)).0 == claimant
    }

    pub(super) fn insert(
        &mut self,
        set: u8,
        member: &str,
        (limit, when_full): (usize, WhenFull),
        ttl: u64,
    ) -> Inserted {
        let ends = self.now + ttl;
        let members = self.sets.entry(set).or_default();
        if let Some((_, held)) = members.iter_mut().find(|(one, _)| one == member) {
            *held = ends;
            return Inserted::Already;
        }
        let mut evicted = Vec::new();
        while members.len() >= limit {
            if when_full == WhenFull::Refuse {
                return Inserted::Refused;
            }
            evicted.push(members.remove(0).0);
        }
        members.push((member.to_owned(), ends));
        if evicted.is_empty() { Inserted::New } else { Inserted::Evicted(evicted) }
    }

    pub(super) fn remove(&mut self, set: u8, member: &str) -> bool {
        let members = self.sets.entry(set).or_default();
        let before = members.len();
        members.retain(|(one, _)| one != member);
        members.len() < before
    }

    pub(super) fn members(&self, set: u8) -> Vec<String> {
        let members = self.sets.get(&set).into_iter().flatten();
        members.map(|(member, _)| member.clone()).collect()
    }

    pub(super) fn add(&mut self, key: u8, by: i64, ttl: u64) -> i64 {
        const MOST: i128 = (1 << 53) - 1;
        let ends = self.now + ttl;
        let counter = self.counts.entry(key).or_insert((0, ends));
        let sum = i128::from(counter.0) + i128::from(by).clamp(-MOST, MOST);
        counter.0 = i64::try_from(sum.clamp(-MOST, MOST)).unwrap();
        counter.0
    }

    pub(super) fn count(&self, key: u8) -> i64 {
        self.counts.get(&key).map_or(0, |(count, _)| *count)
    }

    pub(super) fn put(&mut self, key: u8, value: &[u8], ttl: u64) {
        self.values.insert(key, (value.to_vec(), self.now + ttl));
    }

    pub(super) fn get(&self, key: u8) -> Option<Vec<u8>> {
        self.values.get(&key).map(|(value, _)| value.clone())
    }

    pub(super) fn delete(&mut self, key: u8) -> bool {
        self.values.remove(&key).is_some()
    }

    /// A window that is long beside the history.
    pub(super) fn window_add(&mut self, key: u8, by: u64) -> u64 {
        *self.windows.entry(key).and_modify(|sum| *sum += by).or_insert(by)
    }

    /// A rate that pays nothing back during the history: a budget. Whether it was let through, and what is left.
    pub(super) fn spend(&mut self, key: u8, burst: u64, cost: u64) -> (bool, u64) {
        let spent = self.spent.entry(key).or_default();
        let allowed = *spent + cost <= burst;
        if allowed {
            *spent += cost;
        }
        (allowed, burst - *spent)
    }
}
