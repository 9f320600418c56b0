//! What searches share: room, revisions that pages go on with, and lists of candidates.
//!
//! Promises: all of it is bounded, in number and in bytes; what is remembered never changes what is found.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use cedar_policy_core::ast::EntityType;
use smol_str::SmolStr;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SearchError;
use super::candidates::Beyond;
use super::token::Token;
use crate::clock::Timestamp;
use crate::config::Search;
use crate::entity::Facts;
use crate::policy::Snapshot;

/// How many revisions are held for pages to come.
const REVISIONS: usize = 16;
/// How many lists are remembered, and how many bytes of them.
const LISTS: usize = 16;
const LIST_BYTES: usize = 128 << 20;
/// A shorter list is soon made again.
const WORTHWHILE: usize = 1_000;

/// What searches share.
#[derive(Debug)]
pub struct Searches {
    room: Arc<Semaphore>,
    kept: Mutex<VecDeque<(Arc<Snapshot>, Timestamp)>>,
    lists: Lists,
    kept_us: u64,
}

/// Lists of candidates and their bytes, the latest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists(Arc<Mutex<VecDeque<(ListKey, List, usize)>>>);

type List = Arc<Vec<SmolStr>>;

/// Which list: all of a type, of files and data as they are, each of which has a number that no other has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListKey {
    files: u64,
    data: u64,
    entity_type: EntityType,
}

impl Searches {
    /// Nothing yet.
    pub fn new(settings: Search) -> Self {
        Self {
            room: Arc::new(Semaphore::new(settings.at_once)),
            kept: Mutex::default(),
            lists: Lists::default(),
            kept_us: u64::from(settings.revision_seconds) * 1_000_000,
        }
    }

    /// Room for one search, once there is some.
    pub(in crate::evaluation) async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }

    pub(super) fn lists(&self) -> Lists {
        self.lists.clone()
    }

    /// Holds what the next page is of.
    pub(super) fn keep(&self, snapshot: &Arc<Snapshot>, now: Timestamp) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(known, at)| known.revision != snapshot.revision && self.is_fresh(*at, now));
        kept.push_back((Arc::clone(snapshot), now));
        if kept.len() > REVISIONS {
            kept.pop_front();
        }
    }

    /// The snapshot that a token goes on with.
    ///
    /// # Errors
    /// When it is no longer held, or the first page is too long ago.
    pub(super) fn at(
        &self,
        current: &Arc<Snapshot>,
        token: &Token,
        now: Timestamp,
    ) -> Result<Arc<Snapshot>, SearchError> {
        if !self.is_fresh(token.at, now) {
            return Err(SearchError::RevisionDropped);
        }
        if current.revision_text == token.revision {
            return Ok(Arc::clone(current));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, at)| self.is_fresh(*at, now));
        let found = kept.iter().find(|(known, _)| known.revision_text == token.revision);
        found.map(|(known, _)| Arc::clone(known)).ok_or(SearchError::RevisionDropped)
    }

    fn is_fresh(&self, at: Timestamp, now: Timestamp) -> bool {
        // A clock may have been set back: what is from far ahead is no fresher.
        now.0.abs_diff(at.0) <= self.kept_us
    }
}

impl ListKey {
    pub(super) fn of(facts: Facts<'_>, entity_type: &EntityType) -> Self {
        let data = facts.data.map_or(0, |data| data.number);
        Self { files: facts.files.number(), data, entity_type: entity_type.clone() }
    }
}

impl Lists {
    /// The list of this key, remembered or made.
    ///
    /// # Errors
    /// When making it is too much.
    pub(super) fn get_or_make(
        &self,
        key: ListKey,
        make: impl FnOnce() -> Result<Vec<SmolStr>, Beyond>,
    ) -> Result<List, Beyond> {
        if let Some(known) = self.get(&key) {
            return Ok(known);
        }
        let made = Arc::new(make()?);
        self.put(key, &made);
        Ok(made)
    }

    fn get(&self, key: &ListKey) -> Option<List> {
        let lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.iter().find(|(known, ..)| known == key).map(|(_, list, _)| Arc::clone(list))
    }

    fn put(&self, key: ListKey, list: &List) {
        let taken = bytes(list);
        if list.len() < WORTHWHILE || taken > LIST_BYTES {
            return;
        }
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.retain(|(known, ..)| *known != key);
        lists.push_back((key, Arc::clone(list), taken));
        while lists.len() > LISTS || lists.iter().map(|(.., taken)| taken).sum::<usize>() > LIST_BYTES {
            lists.pop_front();
        }
    }
}

/// What a list takes, about.
fn bytes(list: &[SmolStr]) -> usize {
    let long = list.iter().filter(|id| id.is_heap_allocated()).map(|id| id.len() + 16).sum::<usize>();
    size_of_val(list) + long
}
