//! What is directly in an entity of the store: its children, and those who are assigned it.
//!
//! Made when it is first asked for, and from then on kept up with every change. Promises: never too few; an assignment
//! counts whether it is in force or not. Must never: decide who is in what now.

use std::hash::BuildHasher;
use std::sync::Arc;

use super::assignment::{Assignment, Held};
use super::row::{Key, Row};
use super::trie::Trie;

/// Children by parent.
#[derive(Clone, Debug, Default)]
pub struct Families {
    all: Trie<Arc<Family>>,
    hasher: foldhash::quality::RandomState,
}

#[derive(Clone, Debug)]
struct Family {
    parent: Held,
    children: Trie<Child>,
}

#[derive(Clone, Debug)]
enum Child {
    Row(Row),
    /// Who is assigned the parent.
    Subject(Arc<Assignment>),
}

impl Child {
    fn key(&self) -> Key<'_> {
        match self {
            Self::Row(row) => row.key(),
            Self::Subject(assignment) => assignment.subject.key(),
        }
    }

    /// What tells it from its siblings: somebody may be assigned the same role twice.
    fn mark(&self) -> Key<'_> {
        match self {
            Self::Row(row) => row.key(),
            Self::Subject(assignment) => (u32::MAX, &assignment.id),
        }
    }
}

impl Families {
    /// Of all these.
    pub fn of<'a>(
        rows: impl Iterator<Item = &'a Row>,
        assignments: impl Iterator<Item = &'a Arc<Assignment>>,
    ) -> Self {
        let mut families = Self::default();
        rows.for_each(|row| families.put_row(row));
        assignments.for_each(|assignment| families.put_assignment(assignment));
        families
    }

    /// What is directly in this entity, in no order; somebody may come twice.
    pub fn children<'f>(&'f self, parent: Key<'_>) -> impl Iterator<Item = Key<'f>> {
        let family = self.all.get(self.hash(parent), |family| family.parent.key() == parent);
        family.into_iter().flat_map(|family| family.children.iter()).map(Child::key)
    }

    /// Puts an entity under its parents.
    pub fn put_row(&mut self, row: &Row) {
        row.parents().for_each(|parent| self.put(parent, Child::Row(row.clone())));
    }

    /// Takes an entity from its parents.
    pub fn remove_row(&mut self, row: &Row) {
        row.parents().for_each(|parent| self.remove(parent, row.key()));
    }

    /// Puts a subject under its role.
    pub fn put_assignment(&mut self, assignment: &Arc<Assignment>) {
        self.put(assignment.role.key(), Child::Subject(Arc::clone(assignment)));
    }

    /// Takes a subject from its role.
    pub fn remove_assignment(&mut self, assignment: &Assignment) {
        self.remove(assignment.role.key(), (u32::MAX, &assignment.id));
    }

    fn put(&mut self, parent: Key<'_>, child: Child) {
        let mut family = self.take(parent).unwrap_or_else(|| {
            let (number, id) = parent;
            Arc::new(Family { parent: Held { number, id: id.into() }, children: Trie::default() })
        });
        let hasher = &self.hasher;
        let place = hash(hasher, child.mark());
        let twin = child.clone();
        let same = |known: &Child| known.mark() == twin.mark();
        Arc::make_mut(&mut family).children.insert(place, child, same, |known| hash(hasher, known.mark()));
        self.give_back(family);
    }

    fn remove(&mut self, parent: Key<'_>, mark: Key<'_>) {
        let Some(mut family) = self.take(parent) else { return };
        Arc::make_mut(&mut family).children.remove(hash(&self.hasher, mark), |known| known.mark() == mark);
        if !family.children.is_empty() {
            self.give_back(family);
        }
    }

    fn take(&mut self, parent: Key<'_>) -> Option<Arc<Family>> {
        let place = self.hash(parent);
        self.all.remove(place, |family| family.parent.key() == parent)
    }

    fn give_back(&mut self, family: Arc<Family>) {
        let Self { all, hasher } = self;
        let place = hash(hasher, family.parent.key());
        all.insert(place, family, |_| false, |family| hash(hasher, family.parent.key()));
    }

    fn hash(&self, key: Key<'_>) -> u32 {
        hash(&self.hasher, key)
    }
}

fn hash(hasher: &foldhash::quality::RandomState, key: Key<'_>) -> u32 {
    let [a, b, c, d, ..] = hasher.hash_one(key).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
