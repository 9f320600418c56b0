//! Buffers for records, used again by the thread that they were used on.
//!
//! Promises: a buffer that is taken is empty. Few are kept.

use std::cell::RefCell;

use crate::audit::Batch;

thread_local! {
    /// Buffers for records, used again.
    static BATCHES: RefCell<Vec<Batch>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn take_batch() -> Batch {
    BATCHES.with_borrow_mut(Vec::pop).unwrap_or_default()
}

pub(crate) fn give_batch_back(mut batch: Batch) {
    const KEPT: usize = 8;
    batch.clear();
    BATCHES.with_borrow_mut(|batches| {
        if batches.len() < KEPT {
            batches.push(batch);
        }
    });
}
