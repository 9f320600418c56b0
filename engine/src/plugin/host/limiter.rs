//! Memory and tables of one call.

use wasmtime::ResourceLimiter;

use super::Ended;
use crate::plugin::FailureKind;

/// A plugin made by a compiler has one table of a few hundred functions.
const TABLE_ELEMENTS: usize = 20_000;

/// Refuses what is more than the budget, and remembers how much there was.
#[derive(Debug)]
pub(in crate::plugin) struct Limiter {
    memory_bytes: u64,
    /// The largest that the memory was, in bytes.
    pub(in crate::plugin) peak_bytes: u64,
}

impl Limiter {
    pub(in crate::plugin) fn new(memory_bytes: u64) -> Self {
        Self { memory_bytes, peak_bytes: 0 }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        if desired > self.memory_bytes {
            let message = format!("it wanted {desired} bytes of memory and may have {}", self.memory_bytes);
            return Err(Ended::new(FailureKind::Memory, message).into());
        }
        self.peak_bytes = self.peak_bytes.max(desired);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired > TABLE_ELEMENTS {
            let message = format!("it wanted a table of {desired} elements and may have {TABLE_ELEMENTS}");
            return Err(Ended::new(FailureKind::Memory, message).into());
        }
        Ok(true)
    }
}
