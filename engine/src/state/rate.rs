//! The arithmetic of the generic cell rate algorithm (GCRA), in integers alone.
//!
//! Time is in microseconds and parts of one, `1/per_period` each: so a rate of seven a second is exact. What is kept
//! is one instant: when all that was let through is paid back. Redis does the same sums in `rate.lua`.

use std::time::Duration;

use super::StateError;
use super::bounds::invalid;

/// How much may pass: `per_period` a period in the long run, and `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a period, at least 1.
    pub per_period: u32,
    /// The period, 1 ms to 31 days, in whole microseconds.
    pub period: Duration,
    /// Requests at once, at least 1. What they take to be paid back must be less than a year.
    pub burst: u32,
}

/// Whether a request may pass, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may.
    pub allowed: bool,
    /// How many more may pass at once.
    pub remaining: u32,
    /// How long until as much could pass; `None` when it may pass now, or never will.
    pub retry_after: Option<Duration>,
    /// How long until the whole burst is free again.
    pub reset_after: Duration,
}

const DAY: Duration = Duration::from_secs(86_400);
const MIN_PERIOD: Duration = Duration::from_millis(1);

/// A rate that makes sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedRate {
    /// Parts in a microsecond.
    pub(super) parts: u64,
    pub(super) burst: u32,
    period_us: u64,
}

/// An instant: microseconds since the epoch, and parts of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fine {
    pub(super) us: u64,
    pub(super) part: u64,
}

/// What is kept of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldRate {
    pub(super) paid_back: Fine,
    /// Parts in a microsecond, when it was kept.
    pub(super) parts: u64,
}

/// What one request did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) allowed: bool,
    pub(super) now_us: u64,
    /// When all is paid back, at `now_us` or later.
    pub(super) paid_back: Fine,
}

impl Rate {
    pub(super) fn check(self) -> Result<CheckedRate, StateError> {
        let Self { per_period, period, burst } = self;
        if per_period == 0 || burst == 0 {
            return Err(invalid("a rate and its burst must be at least 1"));
        }
        if period < MIN_PERIOD || period > 31 * DAY {
            return Err(invalid("a rate's period must be from 1 millisecond to 31 days"));
        }
        let period_us = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        let rate = CheckedRate { parts: per_period.into(), burst, period_us };
        // So that sums of an instant and this stay below 2^53.
        if u128::from(rate.span(burst).us) > (365 * DAY).as_micros() {
            return Err(invalid("a rate's burst must be paid back in a year"));
        }
        Ok(rate)
    }
}

impl CheckedRate {
    /// How long that many requests take to be paid back.
    pub(super) fn span(&self, requests: u32) -> Fine {
        let all = u128::from(requests) * u128::from(self.period_us);
        let parts = u128::from(self.parts);
        let narrow = |number: u128| u64::try_from(number).unwrap_or(u64::MAX);
        Fine { us: narrow(all / parts), part: narrow(all % parts) }
    }

    /// What a request does to what is kept: the same as `rate.lua`. `None`: nothing.
    pub(super) fn step(&self, now_us: u64, held: Option<HeldRate>, cost: u32) -> (Step, Option<HeldRate>) {
        let now = Fine { us: now_us, part: 0 };
        // Parts of another size are rounded up.
        let same = |held: HeldRate| match held.paid_back {
            Fine { us, part } if part > 0 && held.parts != self.parts => {
                Fine { us: us.saturating_add(1), part: 0 }
            }
            same => same,
        };
        // More can't be owed than the burst, unless the clock went back or the limit was lowered.
        let most = self.sum(now, self.span(self.burst));
        let paid_back = held.map_or(now, same).clamp(now, most);
        let next = self.sum(paid_back, self.span(cost));
        let allowed = next <= most;
        if !allowed || cost == 0 {
            return (Step { allowed, now_us, paid_back }, None);
        }
        (Step { allowed, now_us, paid_back: next }, Some(HeldRate { paid_back: next, parts: self.parts }))
    }

    fn sum(&self, one: Fine, other: Fine) -> Fine {
        let part = one.part + other.part;
        let carry = u64::from(part >= self.parts);
        Fine { us: one.us + other.us + carry, part: part - carry * self.parts }
    }

    /// What to tell of a step.
    pub(super) fn verdict(&self, step: Step, cost: u32) -> Verdict {
        let parts = u128::from(self.parts);
        let each = u128::from(self.period_us);
        let burst = u128::from(self.burst) * each;
        let Step { now_us, paid_back, .. } = step;
        let owed = u128::from(paid_back.us.saturating_sub(now_us)) * parts + u128::from(paid_back.part);
        let free = burst.saturating_sub(owed);
        let allowed = step.allowed && cost <= self.burst;
        let wait = (owed + u128::from(cost) * each).saturating_sub(burst).div_ceil(parts);
        Verdict {
            allowed,
            remaining: u32::try_from(free / each).unwrap_or(u32::MAX),
            retry_after: (!allowed && cost <= self.burst).then(|| micros(wait)),
            reset_after: micros(owed.div_ceil(parts)),
        }
    }
}

fn micros(micros: u128) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}
