//! Entities of the store by what they name: what is directly in an entity, and who has a value as an attribute.
//!
//! Made when it is first asked for; from then on it follows the data by what differs. Promises: never too few; an
//! assignment is an edge whether it is in force or not; whoever has something in it is told apart from the many who have
//! nothing. Must never: decide who is in what now.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Value, ValueKind};
use hashbrown::{Equivalent, HashMap};
use smol_str::SmolStr;

use super::assignment::{Assignment, Held};
use super::pack_data::PackData;
use super::row::{Key, Row};
use super::sorted::Sorted;
use super::trie::Trie;
use super::types::Types;

/// By what entities are put together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edges {
    /// By parents and by roles that are assigned.
    Parents,
    /// By the literals that this attribute is, or has as a set.
    Values(SmolStr),
}

/// Children by parent, or by value.
#[derive(Clone, Debug)]
pub struct Families {
    edges: Edges,
    /// What they are made of.
    rows: Trie<Row>,
    assignments: Trie<Arc<Assignment>>,
    /// The number of the data that had these.
    pub number: u64,
    all: Trie<Arc<Family>>,
    hasher: foldhash::quality::RandomState,
}

#[derive(Clone, Debug)]
struct Family {
    parent: Arc<Held>,
    children: Sorted<Child>,
    /// Those of the children that have a family of their own.
    branches: Sorted<Arc<Held>>,
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
    fn order(&self) -> (Key<'_>, Option<&str>) {
        match self {
            Self::Row(row) => (row.key(), None),
            Self::Subject(assignment) => (assignment.subject.key(), Some(&assignment.id)),
        }
    }
}

impl PartialEq for Child {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Child {}

impl PartialOrd for Child {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Child {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order().cmp(&other.order())
    }
}

/// So many changes are always followed one by one; more, unless most stayed.
const FEW: usize = 1_000;

impl Equivalent<Held> for (u32, &str) {
    fn equivalent(&self, held: &Held) -> bool {
        *self == held.key()
    }
}

type ByParent<T> = HashMap<Held, T, foldhash::quality::RandomState>;

/// A parent and something that is or was in it, of which it is to be seen whether it has a family.
type Pair = (Held, Held);

impl Families {
    /// Of all that the data has.
    pub fn of(data: &PackData, edges: Edges) -> Self {
        let mut children: ByParent<Vec<Child>> = HashMap::default();
        edges.each(data.rows(), data.assignments(), data.types(), |parent, child| {
            match children.get_mut(&parent) {
                Some(known) => known.push(child),
                None => drop(children.insert(own(parent), vec![child])),
            }
        });
        let mut parents: ByParent<Arc<Held>> = HashMap::default();
        if edges == Edges::Parents {
            parents.extend(children.keys().map(|parent| (parent.clone(), Arc::new(parent.clone()))));
        }
        // Most children are of types of which nothing has children.
        let types: HashSet<u32> = parents.keys().map(|parent| parent.number).collect();
        let mut families = Self {
            edges,
            rows: data.row_trie().clone(),
            assignments: data.assignment_trie().clone(),
            number: data.number,
            all: Trie::default(),
            hasher: foldhash::quality::RandomState::default(),
        };
        for (parent, own) in children {
            let branch = |child: &Child| parents.get(&child.key()).filter(|_| types.contains(&child.key().0));
            let branches = Sorted::of(own.iter().filter_map(branch).cloned().collect());
            let parent = parents.get(&parent).cloned().unwrap_or_else(|| Arc::new(parent));
            families.give_back(Arc::new(Family { parent, children: Sorted::of(own), branches }));
        }
        families
    }

    /// These, as they are for other data of the same beginning.
    pub fn follow(&self, data: &PackData) -> Self {
        let (gone, come) = self.rows.differences(data.row_trie(), Row::is);
        let (taken, given) = match self.edges {
            Edges::Parents => self.assignments.differences(data.assignment_trie(), Arc::ptr_eq),
            Edges::Values(_) => Default::default(),
        };
        let changes = gone.len() + come.len() + taken.len() + given.len();
        if changes > data.row_trie().len() / 4 + FEW {
            return Self::of(data, self.edges.clone());
        }
        let (mut families, types) = (self.clone(), data.types());
        let mut pairs: HashSet<Pair> = HashSet::new();
        let mut turned = HashSet::new();
        self.edges.each(&gone, &taken, types, |parent, child| {
            pairs.insert((own(parent), own(child.key())));
            families.remove(parent, &child, &mut turned);
        });
        self.edges.each(&come, &given, types, |parent, child| {
            pairs.insert((own(parent), own(child.key())));
            families.put(parent, child, &mut turned);
        });
        if self.edges == Edges::Parents {
            for held in turned {
                pairs.extend(data.parents(held.key()).map(|parent| (own(parent), held.clone())));
            }
            for (parent, child) in pairs {
                families.settle(parent.key(), child.key());
            }
        }
        (families.rows, families.assignments) = (data.row_trie().clone(), data.assignment_trie().clone());
        families.number = data.number;
        families
    }

    /// How many are directly in this entity, about.
    pub fn count(&self, parent: Key<'_>) -> usize {
        self.family(parent).map_or(0, |family| family.children.len())
    }

    /// The ids of those directly in this entity that are of this type, after `after`, in their order; somebody may come
    /// twice.
    pub fn children<'f>(
        &'f self,
        parent: Key<'_>,
        of: u32,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'f str> {
        let family = self.family(parent);
        let before = move |child: &Child| match after {
            None => child.key().0 < of,
            Some(after) => child.key() <= (of, after),
        };
        let children = family.into_iter().flat_map(move |family| family.children.from(before));
        children.map(Child::key).take_while(move |(number, _)| *number == of).map(|(_, id)| id)
    }

    /// Those directly in this entity that are of this type and have something in them, in the order of their ids.
    pub fn branches<'f>(&'f self, parent: Key<'_>, of: u32) -> impl Iterator<Item = &'f str> + use<'f> {
        let family = self.family(parent).into_iter();
        let branches = family.flat_map(move |family| family.branches.from(move |held| held.number < of));
        branches.take_while(move |held| held.number == of).map(|held| &*held.id)
    }

    /// The types of those directly in this entity that have something in them.
    pub fn branch_types(&self, parent: Key<'_>) -> Vec<u32> {
        let mut types = Vec::new();
        let Some(family) = self.family(parent) else { return types };
        let next = |last: Option<u32>| {
            let first = family.branches.from(|held| last.is_some_and(|last| held.number <= last)).next();
            first.map(|held| held.number)
        };
        while let Some(number) = next(types.last().copied()) {
            types.push(number);
        }
        types
    }

    fn family(&self, parent: Key<'_>) -> Option<&Arc<Family>> {
        self.all.get(self.hash(parent), |family| family.parent.key() == parent)
    }

    fn put(&mut self, parent: Key<'_>, child: Child, turned: &mut HashSet<Held>) {
        let mut family = self.take(parent).unwrap_or_else(|| {
            turned.insert(own(parent));
            let parent = Arc::new(own(parent));
            Arc::new(Family { parent, children: Sorted::default(), branches: Sorted::default() })
        });
        Arc::make_mut(&mut family).children.insert(child);
        self.give_back(family);
    }

    fn remove(&mut self, parent: Key<'_>, child: &Child, turned: &mut HashSet<Held>) {
        let Some(mut family) = self.take(parent) else { return };
        Arc::make_mut(&mut family).children.remove(child);
        if family.children.is_empty() {
            turned.insert(own(parent));
        } else {
            self.give_back(family);
        }
    }

    /// Sees whether a child has a family now.
    fn settle(&mut self, parent: Key<'_>, child: Key<'_>) {
        let held = self.family(child).map(|family| Arc::clone(&family.parent));
        let Some(mut family) = self.take(parent) else { return };
        let is_child = family.children.from(|known| known.key() < child).next();
        let is_child = is_child.is_some_and(|known| known.key() == child);
        let branches = &mut Arc::make_mut(&mut family).branches;
        match held.filter(|_| is_child) {
            Some(held) => branches.insert(held),
            None => branches.remove(&Arc::new(own(child))),
        }
        self.give_back(family);
    }

    fn take(&mut self, parent: Key<'_>) -> Option<Arc<Family>> {
        let place = self.hash(parent);
        self.all.remove(place, |family| family.parent.key() == parent)
    }

    fn give_back(&mut self, family: Arc<Family>) {
        let place = self.hash(family.parent.key());
        self.all.put(place, family, |_| false);
    }

    fn hash(&self, key: Key<'_>) -> u32 {
        hash(&self.hasher, key)
    }
}

impl Edges {
    /// Whom these put under whom.
    fn each<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a Row>,
        assignments: impl IntoIterator<Item = &'a Arc<Assignment>>,
        types: &Types,
        mut see: impl FnMut(Key<'_>, Child),
    ) {
        match self {
            Self::Parents => {
                for row in rows {
                    row.parents().for_each(|parent| see(parent, Child::Row(row.clone())));
                }
                for assignment in assignments {
                    see(assignment.role.key(), Child::Subject(Arc::clone(assignment)));
                }
            }
            Self::Values(name) => {
                for row in rows {
                    let (number, _) = row.key();
                    for literal in row.literals(name, types) {
                        see((number, &written(&literal)), Child::Row(row.clone()));
                    }
                }
            }
        }
    }
}

/// The literals that a value is or has.
pub fn literals_of(value: &Value) -> impl Iterator<Item = &Literal> {
    let (one, set) = match value.value_kind() {
        ValueKind::Lit(literal) => (Some(literal), None),
        ValueKind::Set(set) => (None, Some(set)),
        _ => (None, None),
    };
    let items = set.into_iter().flat_map(|set| set.iter());
    one.into_iter().chain(items.filter_map(|item| match item.value_kind() {
        ValueKind::Lit(literal) => Some(literal),
        _ => None,
    }))
}

/// A literal in the place of an id: another for each.
pub fn written(literal: &Literal) -> String {
    match literal {
        Literal::Bool(value) => format!("b{value}"),
        Literal::Long(value) => format!("l{value}"),
        Literal::String(value) => format!("s{value}"),
        Literal::EntityUID(uid) => format!("e{} {}", uid.entity_type(), AsRef::<str>::as_ref(uid.eid())),
    }
}

fn own((number, id): Key<'_>) -> Held {
    Held { number, id: id.into() }
}

fn hash(hasher: &foldhash::quality::RandomState, key: Key<'_>) -> u32 {
    let [a, b, c, d, ..] = hasher.hash_one(key).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
