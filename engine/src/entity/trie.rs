//! A set that is cheap to copy and cheap to change: a tree by the bits of a hash.
//!
//! Promises: a clone shares everything; a change copies one leaf and the path to it, and nothing when nobody
//! shares them. Items tell how they are alike by a closure, so that they can be as small as they like. The
//! hash is the owner's, who must key it: ids are chosen by outsiders.

use std::collections::HashMap;
use std::sync::Arc;

/// How many items a leaf holds before it becomes a branch.
const LEAF: usize = 64;
/// A branch has a child for each value of this many bits.
const BITS: u32 = 5;
const CHILDREN: usize = 1 << BITS;

/// A persistent set.
#[derive(Clone, Debug)]
pub struct Trie<T> {
    root: Node<T>,
    len: usize,
}

#[derive(Clone, Debug)]
enum Node<T> {
    Leaf(Arc<Leaf<T>>),
    Branch(Arc<[Node<T>; CHILDREN]>),
}

/// Items, and their hashes in the same order.
#[derive(Clone, Debug)]
struct Leaf<T> {
    hashes: Vec<u32>,
    items: Vec<T>,
}

impl<T> Default for Leaf<T> {
    fn default() -> Self {
        Self { hashes: Vec::new(), items: Vec::new() }
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Node::Leaf(Arc::default()), len: 0 }
    }
}

impl<T> Leaf<T> {
    fn place_of(&self, hash: u32, same: &dyn Fn(&T) -> bool) -> Option<usize> {
        let mut candidates = self.hashes.iter().zip(&self.items).enumerate();
        candidates.find(|(_, (known, item))| **known == hash && same(item)).map(|(place, _)| place)
    }
}

fn child_of(hash: u32, depth: u32) -> usize {
    // Below the last bit all go one way; with a keyed hash nobody gets there.
    let bits = hash.checked_shr(depth * BITS).unwrap_or(0);
    usize::try_from(bits).unwrap_or(0) % CHILDREN
}

impl<T: Clone> Trie<T> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The item with this hash that `same` knows.
    pub fn get(&self, hash: u32, same: impl Fn(&T) -> bool) -> Option<&T> {
        let mut node = &self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Branch(children) => {
                    node = children.get(child_of(hash, depth))?;
                    depth += 1;
                }
                Node::Leaf(leaf) => return leaf.items.get(leaf.place_of(hash, &same)?),
            }
        }
    }

    /// Puts an item in the place of the one that `same` knows; gives that one.
    pub fn put(&mut self, hash: u32, item: T, same: impl Fn(&T) -> bool) -> Option<T> {
        let (node, depth) = leaf_of(&mut self.root, hash)?;
        let Node::Leaf(leaf) = node else { return None };
        let leaf = Arc::make_mut(leaf);
        if let Some(old) = leaf.place_of(hash, &same).and_then(|place| leaf.items.get_mut(place)) {
            return Some(std::mem::replace(old, item));
        }
        leaf.hashes.push(hash);
        leaf.items.push(item);
        self.len += 1;
        if leaf.items.len() > LEAF && depth * BITS < u32::BITS {
            *node = split(std::mem::take(leaf), depth);
        }
        None
    }

    /// Takes the item out that `same` knows.
    pub fn remove(&mut self, hash: u32, same: impl Fn(&T) -> bool) -> Option<T> {
        self.get(hash, &same)?;
        let (Node::Leaf(leaf), _) = leaf_of(&mut self.root, hash)? else { return None };
        let leaf = Arc::make_mut(leaf);
        let place = leaf.place_of(hash, &same)?;
        leaf.hashes.swap_remove(place);
        self.len -= 1;
        Some(leaf.items.swap_remove(place))
    }

    /// All items, in no order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { waiting: vec![&self.root], items: [].iter() }
    }

    /// What only this one has, and what only the other has. What both share is not looked at.
    pub fn differences(&self, other: &Self, is: impl Fn(&T, &T) -> bool) -> (Vec<T>, Vec<T>) {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        let mut waiting = vec![(&self.root, &other.root)];
        while let Some(pair) = waiting.pop() {
            match pair {
                (Node::Leaf(one), Node::Leaf(two)) if Arc::ptr_eq(one, two) => {}
                (Node::Branch(one), Node::Branch(two)) if Arc::ptr_eq(one, two) => {}
                (Node::Branch(one), Node::Branch(two)) => waiting.extend(one.iter().zip(two.iter())),
                (one, two) => {
                    let known = by_hash(two);
                    let lacks = |among: &HashMap<u32, Vec<&T>>, (hash, item): (u32, &T)| {
                        !among.get(&hash).is_some_and(|items| items.iter().any(|known| is(known, item)))
                    };
                    here.extend(
                        hashed(one).filter(|item| lacks(&known, *item)).map(|(_, item)| item.clone()),
                    );
                    let known = by_hash(one);
                    there.extend(
                        hashed(two).filter(|item| lacks(&known, *item)).map(|(_, item)| item.clone()),
                    );
                }
            }
        }
        (here, there)
    }

    /// The bytes that it takes, without what its items hold elsewhere.
    pub fn resident_bytes(&self) -> usize {
        let mut bytes = 0;
        let mut waiting = vec![&self.root];
        while let Some(node) = waiting.pop() {
            // An allocation has two counts before it.
            bytes += 2 * size_of::<usize>();
            match node {
                Node::Branch(children) => {
                    bytes += size_of_val(&**children);
                    waiting.extend(children.iter());
                }
                Node::Leaf(leaf) => {
                    bytes += size_of::<Leaf<T>>();
                    bytes += leaf.hashes.capacity() * size_of::<u32>();
                    bytes += leaf.items.capacity() * size_of::<T>();
                }
            }
        }
        bytes
    }
}

/// The items under a node with their hashes.
fn hashed<T>(node: &Node<T>) -> impl Iterator<Item = (u32, &T)> {
    let mut waiting = vec![node];
    let leaves = std::iter::from_fn(move || {
        loop {
            match waiting.pop()? {
                Node::Branch(children) => waiting.extend(children.iter()),
                Node::Leaf(leaf) => return Some(leaf),
            }
        }
    });
    leaves.flat_map(|leaf| leaf.hashes.iter().copied().zip(&leaf.items))
}

fn by_hash<T>(node: &Node<T>) -> HashMap<u32, Vec<&T>> {
    let mut items: HashMap<u32, Vec<&T>> = HashMap::new();
    hashed(node).for_each(|(hash, item)| items.entry(hash).or_default().push(item));
    items
}

/// The leaf where this hash belongs, its path made ours alone.
fn leaf_of<T: Clone>(root: &mut Node<T>, hash: u32) -> Option<(&mut Node<T>, u32)> {
    let mut node = root;
    let mut depth = 0;
    while matches!(node, Node::Branch(_)) {
        let Node::Branch(children) = node else { return None };
        node = Arc::make_mut(children).get_mut(child_of(hash, depth))?;
        depth += 1;
    }
    Some((node, depth))
}

fn split<T: Clone>(leaf: Leaf<T>, depth: u32) -> Node<T> {
    let mut parts: [Leaf<T>; CHILDREN] = Default::default();
    for (hash, item) in leaf.hashes.into_iter().zip(leaf.items) {
        if let Some(part) = parts.get_mut(child_of(hash, depth)) {
            part.hashes.push(hash);
            part.items.push(item);
        }
    }
    Node::Branch(Arc::new(parts.map(|part| Node::Leaf(Arc::new(part)))))
}

/// All items of a trie.
#[derive(Debug)]
pub struct Iter<'t, T> {
    waiting: Vec<&'t Node<T>>,
    items: std::slice::Iter<'t, T>,
}

impl<'t, T> Iterator for Iter<'t, T> {
    type Item = &'t T;

    fn next(&mut self) -> Option<&'t T> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(item);
            }
            match self.waiting.pop()? {
                Node::Branch(children) => self.waiting.extend(children.iter()),
                Node::Leaf(leaf) => self.items = leaf.items.iter(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// Few hashes, so that they collide and leaves split as far as they can.
    fn hash(key: u16) -> u32 {
        u32::from(key % 300).wrapping_mul(0x0100_0193)
    }

    fn put(trie: &mut Trie<(u16, u8)>, key: u16, value: u8) -> Option<(u16, u8)> {
        trie.put(hash(key), (key, value), |item| item.0 == key)
    }

    proptest! {
        #[test]
        fn it_is_a_map_and_its_clones_never_change(
            steps in prop::collection::vec((0_u16..2_000, prop::option::of(any::<u8>())), 1..3_000),
            kept_at in 0_usize..3_000,
        ) {
            let mut trie = Trie::default();
            let mut model = BTreeMap::new();
            let mut kept = None;
            for (place, (key, value)) in steps.into_iter().enumerate() {
                if place == kept_at {
                    kept = Some((trie.clone(), model.clone()));
                }
                let (old, expected) = match value {
                    Some(value) => (put(&mut trie, key, value), model.insert(key, value)),
                    None => (trie.remove(hash(key), |item| item.0 == key), model.remove(&key)),
                };
                prop_assert_eq!(old.map(|item| item.1), expected);
            }
            if let Some((kept, before)) = &kept {
                let (gone, come) = kept.differences(&trie, |one, two| one == two);
                let lacks = |model: &BTreeMap<u16, u8>, (key, value): &(&u16, &u8)| model.get(key) != Some(value);
                let owned = |(key, value): (&u16, &u8)| (*key, *value);
                let expected = before.iter().filter(|item| lacks(&model, item)).map(owned);
                prop_assert_eq!(gone.into_iter().collect::<BTreeMap<_, _>>(), expected.collect());
                let expected = model.iter().filter(|item| lacks(before, item)).map(owned);
                prop_assert_eq!(come.into_iter().collect::<BTreeMap<_, _>>(), expected.collect());
            }
            for (trie, model) in kept.into_iter().chain([(trie, model)]) {
                prop_assert_eq!(trie.len(), model.len());
                prop_assert_eq!(trie.iter().copied().collect::<BTreeMap<_, _>>(), model.clone());
                for key in 0..2_000 {
                    let found = trie.get(hash(key), |item| item.0 == key).map(|item| item.1);
                    prop_assert_eq!(found, model.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn items_of_one_hash_are_still_told_apart() {
        let mut trie = Trie::default();
        for key in 0_u16..200 {
            trie.put(7, key, |item| *item == key);
        }
        assert_eq!(trie.len(), 200);
        assert!((0..200).all(|key| trie.get(7, |item| *item == key) == Some(&key)));
    }
}
