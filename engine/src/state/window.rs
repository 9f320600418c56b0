//! Sliding windows as slices: 61 numbers, however many events.

use std::time::Duration;

use super::StateError;
use super::bounds::invalid;

/// How many slices a window has, besides the one that has only begun.
pub(super) const SLICES: i64 = 60;

/// A window's slices.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// How long a slice is.
    pub(super) slice_us: i64,
}

impl Window {
    pub(super) fn new(window: Duration) -> Result<Self, StateError> {
        const MOST: Duration = Duration::from_secs(31 * 86_400);
        if window < Duration::from_millis(1) || window > MOST {
            return Err(invalid("a window must be from 1 millisecond to 31 days"));
        }
        let micros = i64::try_from(window.as_micros()).unwrap_or(i64::MAX);
        Ok(Self { slice_us: micros.saturating_add(SLICES - 1) / SLICES })
    }

    /// How long the slices are of use after the last add.
    pub(super) fn keep_millis(self) -> i64 {
        self.slice_us.saturating_mul(SLICES + 1) / 1_000 + 1
    }
}
