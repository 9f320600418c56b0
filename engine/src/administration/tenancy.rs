//! What a tenant has in a pack, as of one snapshot: its own rows, and over them the entities of the pack's files.
//!
//! Promises: an entity of the files wins over a row of the same name, as in decisions; what a name means is found out here
//! alone. Must never: change anything.

use std::collections::BinaryHeap;
use std::collections::HashMap;
use std::sync::Arc;

use cedar_policy_core::ast::{Eid, Entity, EntityType, EntityUID};

use crate::entity::{Kind, Named, PackData, Row, Status};
use crate::policy::{Pack, Snapshot};

/// A tenant in a pack.
#[derive(Clone, Copy, Debug)]
pub struct Tenancy<'a> {
    /// As of when.
    pub snapshot: &'a Snapshot,
    /// Whose.
    pub tenant: &'a str,
    /// In which pack.
    pub pack: &'a Arc<Pack>,
}

impl<'a> Tenancy<'a> {
    /// The rows, if there are any.
    pub fn data(&self) -> Option<&'a PackData> {
        self.snapshot.data.pack(self.tenant, self.pack.name()).map(Arc::as_ref)
    }

    /// The entity of the pack's own files.
    pub fn own(&self, uid: &EntityUID) -> Option<&'a Arc<Entity>> {
        self.pack.entities.get(uid)
    }

    /// The tenant's row.
    pub fn row(&self, uid: &EntityUID) -> Option<&'a Row> {
        let data = self.data()?;
        data.row(data.key(uid)?)
    }

    /// What an entity is to the API; none when there is no such entity.
    pub fn kind(&self, uid: &EntityUID) -> Option<Kind> {
        let row = self.row(uid);
        if row.is_none() && self.own(uid).is_none() {
            return None;
        }
        Some(kind_of(self.pack, uid.entity_type(), row.map(Row::kind)))
    }

    /// Whether a principal may do anything at all: the strictest that any pack's row says.
    pub fn status(&self, kind: Kind, id: &str) -> Status {
        self.snapshot.data.inactive(self.tenant).status(kind, id)
    }

    /// What an entity is directly in.
    pub fn parents(&self, uid: &EntityUID) -> Vec<EntityUID> {
        match (self.own(uid), self.row(uid), self.data()) {
            (Some(own), ..) => own.parents().cloned().collect(),
            (None, Some(row), Some(data)) => row.parents().filter_map(|key| data.uid(key).ok()).collect(),
            _ => Vec::new(),
        }
    }

    /// The way by which an entity with these parents would be in itself: names in order, the first is the last.
    pub fn cycle(&self, uid: &EntityUID, parents: &[EntityUID]) -> Option<Vec<String>> {
        let mut came_from: HashMap<EntityUID, Option<EntityUID>> = HashMap::new();
        let mut waiting = Vec::new();
        for parent in parents {
            if came_from.insert(parent.clone(), None).is_none() {
                waiting.push(parent.clone());
            }
        }
        while let Some(reached) = waiting.pop() {
            if reached == *uid {
                return Some(way(uid, &came_from));
            }
            for parent in self.parents(&reached) {
                if !came_from.contains_key(&parent) {
                    came_from.insert(parent.clone(), Some(reached.clone()));
                    waiting.push(parent);
                }
            }
        }
        None
    }

    /// What is directly in an entity: of these types, after this type and id, at most so many, in order. It looks at
    /// every row.
    pub fn children(&self, of: &EntityUID, types: Option<&[EntityType]>, page: Page<'_>) -> Vec<Named> {
        let wanted = |found: &EntityType| types.is_none_or(|types| types.contains(found));
        let mut least = Least::new(page);
        for own in self.pack.entities.iter() {
            let uid = own.uid();
            if wanted(uid.entity_type()) && own.is_child_of(of) {
                least.add(&uid.entity_type().to_string(), uid.eid().as_ref());
            }
        }
        let Some((data, key)) = self.data().and_then(|data| Some((data, data.key(of)?))) else {
            return least.finish();
        };
        let numbers: Option<Vec<u32>> =
            types.map(|types| types.iter().filter_map(|known| data.types().known(known)).collect());
        let mut names: HashMap<u32, Option<EntityType>> = HashMap::new();
        for row in data.rows() {
            let (number, id) = row.key();
            if numbers.as_ref().is_some_and(|numbers| !numbers.contains(&number))
                || !row.parents().any(|parent| parent == key)
            {
                continue;
            }
            let type_of = || data.uid((number, "")).ok().map(|uid| uid.entity_type().clone());
            let Some(type_name) = names.entry(number).or_insert_with(type_of) else { continue };
            let uid = EntityUID::from_components(type_name.clone(), Eid::new(id), None);
            if self.own(&uid).is_none() {
                least.add(&type_name.to_string(), id);
            }
        }
        least.finish()
    }
}

fn way(uid: &EntityUID, came_from: &HashMap<EntityUID, Option<EntityUID>>) -> Vec<String> {
    let name = |uid: &EntityUID| -> String { AsRef::<str>::as_ref(uid.eid()).to_owned() };
    let mut way = vec![name(uid)];
    let mut at = came_from.get(uid).and_then(Option::as_ref);
    while let Some(reached) = at {
        way.push(name(reached));
        at = came_from.get(reached).and_then(Option::as_ref);
    }
    way.push(name(uid));
    way.reverse();
    way
}

/// A part of a list that is ordered by type and id.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// What follows this type and id.
    pub after: (&'a str, &'a str),
    /// At most so many.
    pub limit: usize,
}

/// The first of what is added.
struct Least<'a> {
    page: Page<'a>,
    heap: BinaryHeap<Named>,
}

impl<'a> Least<'a> {
    fn new(page: Page<'a>) -> Self {
        Self { page, heap: BinaryHeap::new() }
    }

    fn add(&mut self, type_name: &str, id: &str) {
        if (type_name, id) <= self.page.after {
            return;
        }
        let full = self.heap.len() >= self.page.limit;
        let is_later =
            |last: &Named| (type_name, id) >= (last.0.as_str(), last.1.as_str()) || self.page.limit == 0;
        if full && self.heap.peek().is_none_or(is_later) {
            return;
        }
        if full {
            self.heap.pop();
        }
        self.heap.push((type_name.to_owned(), id.to_owned()));
    }

    fn finish(self) -> Vec<Named> {
        self.heap.into_sorted_vec()
    }
}

/// What an entity of this type is to the API. What its row says counts where the pack agrees; types may have been mapped
/// otherwise since, and several kinds may have one type.
pub fn kind_of(pack: &Pack, type_name: &EntityType, stored: Option<Kind>) -> Kind {
    let is_type = |kind: &Kind| pack.entity_type(kind.name()).as_ref() == Some(type_name);
    let named = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Entity);
    stored.filter(is_type).or_else(|| named.into_iter().find(is_type)).unwrap_or(Kind::Entity)
}

/// The types of these kinds in a pack, each once.
pub fn types_of(pack: &Pack, kinds: &[Kind]) -> Vec<EntityType> {
    let mut types: Vec<EntityType> = kinds
        .iter()
        .filter_map(|kind| pack.entity_type(kind.name()))
        .filter(|found| !found.is_action())
        .collect();
    types.sort();
    types.dedup();
    types
}
