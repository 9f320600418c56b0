//! A sorted list that is cheap to copy and cheap to change: short runs, which clones share.
//!
//! Promises: each item once, in its order; a change copies one run and the list of runs.

use std::sync::Arc;

/// How long a run becomes before it is two.
const LONGEST: usize = 512;

/// Items in their order.
#[derive(Clone, Debug)]
pub struct Sorted<T> {
    /// None is empty.
    runs: Vec<Arc<Vec<T>>>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<T: Clone + Ord> Sorted<T> {
    /// Of items in no order, some perhaps more than once.
    pub fn of(mut items: Vec<T>) -> Self {
        items.sort_unstable();
        items.dedup();
        items.shrink_to_fit();
        if items.len() <= LONGEST {
            let runs = if items.is_empty() { Vec::new() } else { vec![Arc::new(items)] };
            return Self { runs };
        }
        // With room in each, so that what comes splits none of them soon.
        Self { runs: items.chunks(LONGEST / 2).map(|run| Arc::new(run.to_vec())).collect() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// All items from the first on that is not `before`.
    pub fn from(&self, before: impl Fn(&T) -> bool) -> impl Iterator<Item = &T> {
        let first = self.runs.partition_point(|run| run.last().is_some_and(&before));
        let mut runs = self.runs.get(first..).unwrap_or_default().iter();
        let head = runs.next().map_or(&[][..], |run| {
            let start = run.partition_point(&before);
            run.get(start..).unwrap_or_default()
        });
        head.iter().chain(runs.flat_map(|run| run.iter()))
    }

    /// Puts an item in, in the place of one like it.
    pub fn insert(&mut self, item: T) {
        let place = self.runs.partition_point(|run| run.last().is_some_and(|last| *last < item));
        let place = place.min(self.runs.len().saturating_sub(1));
        let Some(run) = self.runs.get_mut(place) else {
            self.runs.push(Arc::new(vec![item]));
            return;
        };
        let run = Arc::make_mut(run);
        match run.binary_search(&item) {
            Ok(at) => drop(run.get_mut(at).map(|known| std::mem::replace(known, item))),
            Err(at) => run.insert(at, item),
        }
        if run.len() > LONGEST {
            let rest = run.split_off(LONGEST / 2);
            self.runs.insert(place + 1, Arc::new(rest));
        }
    }

    /// Takes an item out.
    pub fn remove(&mut self, item: &T) {
        let place = self.runs.partition_point(|run| run.last().is_some_and(|last| last < item));
        let Some(run) = self.runs.get_mut(place) else { return };
        let Ok(at) = run.binary_search(item) else { return };
        let run = Arc::make_mut(run);
        run.remove(at);
        if run.is_empty() {
            self.runs.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_in_order_and_its_clones_never_change(
            first in prop::collection::vec(0_u16..3_000, 0..2_000),
            steps in prop::collection::vec((0_u16..3_000, prop::bool::weighted(0.6)), 0..2_000),
            from in 0_u16..3_100,
        ) {
            let mut model: BTreeSet<u16> = first.iter().copied().collect();
            let mut sorted = Sorted::of(first);
            let kept = (sorted.clone(), model.clone());
            for (item, comes) in steps {
                if comes {
                    sorted.insert(item);
                    model.insert(item);
                } else {
                    sorted.remove(&item);
                    model.remove(&item);
                }
            }
            for (sorted, model) in [kept, (sorted, model)] {
                prop_assert_eq!((sorted.len(), sorted.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(sorted.from(|_| false).eq(model.iter()));
                prop_assert!(sorted.from(|item| *item < from).eq(model.range(from..)));
            }
        }
    }
}
