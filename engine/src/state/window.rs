//! Sliding windows as slices: 61 numbers, however many events.

use std::time::Duration;

use super::StateError;
use super::bounds::{MOST, invalid};
use crate::clock::Timestamp;

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

    /// Adds to the present slice, drops those that are over, and gives the sum: the same as `window_add.lua`.
    pub(super) fn add(self, slices: &mut Vec<(i64, u64)>, now: Timestamp, by: u32) -> u64 {
        let present = now.0.div_euclid(self.slice_us);
        slices.retain(|(slice, _)| *slice >= present - SLICES);
        let most = MOST.unsigned_abs();
        if by > 0 {
            if let Some((_, count)) = slices.iter_mut().find(|(slice, _)| *slice == present) {
                *count = most.min(*count + u64::from(by));
            } else {
                slices.push((present, by.into()));
            }
        }
        most.min(slices.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count)))
    }

    /// How long the slices are of use after the last add.
    pub(super) fn keep_millis(self) -> i64 {
        self.slice_us.saturating_mul(SLICES + 1) / 1_000 + 1
    }
}
