//! A plugin that fails again and again is not called for a while: its failures are cheap then.
//!
//! Promises: one tenant's failing calls close nobody else's way. It forgets what is older than its window, and lets one
//! call through to see whether it can close again. Must never: count what is not the plugin's fault.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::FailureKind;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerSettings {
    /// After so many failures.
    pub failures: u32,
    /// Within so many seconds.
    pub window_seconds: u32,
    /// For so many seconds.
    pub open_seconds: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures: 20, window_seconds: 10, open_seconds: 5 }
    }
}

impl BreakerSettings {
    /// # Errors
    /// What is out of bounds.
    pub fn check(&self) -> Result<(), String> {
        let Self { failures, window_seconds, open_seconds } = *self;
        if (1..=10_000).contains(&failures)
            && (1..=3_600).contains(&window_seconds)
            && (1..=3_600).contains(&open_seconds)
        {
            return Ok(());
        }
        Err("`breaker`: `failures` must be from 1 to 10000, `window_seconds` and `open_seconds` from 1 to 3600".into())
    }
}

/// Whether a call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// As ever.
    Closed,
    /// It is the one that shows whether the plugin has recovered.
    Probe,
    /// Not now.
    Open,
}

/// The breakers of one plugin on one node.
#[derive(Debug)]
pub struct Breakers {
    settings: BreakerSettings,
    /// How many tenants have one: almost always none, which is all that a call has to look at.
    troubled: AtomicUsize,
    by_tenant: Mutex<HashMap<Arc<str>, Breaker>>,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    window_from: Duration,
    /// It is open, or half open, until it closes again.
    open_until: Option<Duration>,
    /// Since when a probe is under way.
    probed_at: Option<Duration>,
}

/// A probe that was never heard of again is given up.
const PROBE_PATIENCE: Duration = Duration::from_secs(30);
/// Tenants beyond share one breaker.
const TENANTS: usize = 4_096;
/// The name of the shared one: no tenant's.
const OTHERS: &str = "";

impl Breakers {
    /// All closed.
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, troubled: AtomicUsize::new(0), by_tenant: Mutex::default() }
    }

    /// May this tenant's call go on at this monotonic time?
    pub fn pass(&self, tenant: &str, now: Duration) -> Passage {
        if self.troubled.load(Ordering::Relaxed) == 0 {
            return Passage::Closed;
        }
        let mut all = self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = find(&mut all, tenant) else { return Passage::Closed };
        match breaker.open_until {
            None if now >= breaker.window_from + self.window() => {
                all.remove(tenant);
                self.troubled.store(all.len(), Ordering::Relaxed);
                Passage::Closed
            }
            None => Passage::Closed,
            Some(until) if now < until => Passage::Open,
            Some(_) if breaker.probed_at.is_some_and(|at| now < at + PROBE_PATIENCE) => Passage::Open,
            Some(_) => {
                breaker.probed_at = Some(now);
                Passage::Probe
            }
        }
    }

    /// The probe did not come to an end, or not to one that says something: another may be made at once.
    pub fn give_back(&self, tenant: &str) {
        let mut all = self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = find(&mut all, tenant) {
            breaker.probed_at = None;
        }
    }

    /// How a call that went on went; true when that has opened the breaker.
    pub fn note(
        &self,
        (tenant, passage): (&Arc<str>, Passage),
        failure: Option<FailureKind>,
        now: Duration,
    ) -> bool {
        let faulty = failure.is_some_and(is_fault);
        // Nothing ran: that shows nothing.
        if passage == Passage::Probe && failure == Some(FailureKind::Unavailable) {
            self.give_back(tenant);
            return false;
        }
        if passage == Passage::Closed && !faulty {
            return false;
        }
        let mut all = self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = match (passage, faulty) {
            (Passage::Probe, false) => {
                let key = if all.contains_key(&**tenant) { &**tenant } else { OTHERS };
                all.remove(key);
                false
            }
            _ => self.count(&mut all, tenant, (passage, now)),
        };
        self.troubled.store(all.len(), Ordering::Relaxed);
        opened
    }

    fn count(
        &self,
        all: &mut HashMap<Arc<str>, Breaker>,
        tenant: &Arc<str>,
        (passage, now): (Passage, Duration),
    ) -> bool {
        let window = self.window();
        if !all.contains_key(tenant) && all.len() >= TENANTS {
            all.retain(|_, breaker| breaker.open_until.is_some() || now < breaker.window_from + window);
        }
        // A probe of a tenant that has no breaker of its own was the shared one's.
        let shared = !all.contains_key(tenant) && (passage == Passage::Probe || all.len() >= TENANTS);
        let key: Arc<str> = if shared { OTHERS.into() } else { Arc::clone(tenant) };
        let breaker = all.entry(key).or_default();
        if breaker.failures == 0 || now >= breaker.window_from + window {
            (breaker.failures, breaker.window_from) = (0, now);
        }
        breaker.failures = breaker.failures.saturating_add(1);
        let was_open = breaker.open_until.is_some();
        if passage == Passage::Probe || (!was_open && breaker.failures >= self.settings.failures) {
            breaker.open_until = Some(now + Duration::from_secs(self.settings.open_seconds.into()));
            (breaker.failures, breaker.probed_at) = (0, None);
            return true;
        }
        false
    }

    fn window(&self) -> Duration {
        Duration::from_secs(self.settings.window_seconds.into())
    }

    /// For how many tenants it is open.
    pub fn open(&self, now: Duration) -> usize {
        let all = self.by_tenant.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|breaker| breaker.open_until.is_some_and(|until| now < until)).count()
    }
}

fn find<'a>(all: &'a mut HashMap<Arc<str>, Breaker>, tenant: &str) -> Option<&'a mut Breaker> {
    let key = if all.contains_key(tenant) { tenant } else { OTHERS };
    all.get_mut(key)
}

/// What a plugin does itself; a full pool or a state that is away would fail any.
fn is_fault(kind: FailureKind) -> bool {
    match kind {
        FailureKind::Trap
        | FailureKind::Fuel
        | FailureKind::Deadline
        | FailureKind::Memory
        | FailureKind::HostBytes
        | FailureKind::OutputSize
        | FailureKind::BadAnswer
        | FailureKind::Capability => true,
        FailureKind::Failed | FailureKind::Unavailable | FailureKind::CircuitOpen => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings { failures: 3, window_seconds: 10, open_seconds: 5 };

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn fail(breakers: &Breakers, tenant: &str, now: Duration) -> Passage {
        let passage = breakers.pass(tenant, now);
        if passage != Passage::Open {
            breakers.note((&tenant.into(), passage), Some(FailureKind::Trap), now);
        }
        passage
    }

    #[test]
    fn it_opens_after_failures_and_closes_after_a_probe_that_went_well() {
        let breakers = Breakers::new(SETTINGS);
        for time in [0, 1, 2] {
            assert_eq!(fail(&breakers, "a", at(time)), Passage::Closed);
        }
        assert_eq!(breakers.pass("a", at(3)), Passage::Open);
        assert_eq!(breakers.open(at(3)), 1);
        assert_eq!(breakers.pass("a", at(5_001)), Passage::Open);
        assert_eq!(breakers.pass("a", at(5_002)), Passage::Probe);
        assert_eq!(breakers.pass("a", at(5_003)), Passage::Open, "one probe at a time");
        assert!(breakers.note((&"a".into(), Passage::Probe), Some(FailureKind::Fuel), at(5_004)));
        assert_eq!(breakers.pass("a", at(10_003)), Passage::Open);
        assert_eq!(breakers.pass("a", at(10_004)), Passage::Probe);
        breakers.note((&"a".into(), Passage::Probe), None, at(10_005));
        assert_eq!(breakers.pass("a", at(10_006)), Passage::Closed);
        assert_eq!(breakers.troubled.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn failures_that_are_far_apart_do_not_open_it() {
        let breakers = Breakers::new(SETTINGS);
        for time in [0, 9_000, 10_000, 19_000, 20_000, 29_000] {
            assert_eq!(fail(&breakers, "a", at(time)), Passage::Closed, "{time}");
        }
    }

    #[test]
    fn one_tenant_closes_nobody_elses_way() {
        let breakers = Breakers::new(SETTINGS);
        for time in [0, 1, 2] {
            fail(&breakers, "a", at(time));
        }
        assert_eq!(breakers.pass("a", at(3)), Passage::Open);
        assert_eq!(breakers.pass("b", at(3)), Passage::Closed);
    }

    #[test]
    fn what_is_not_the_plugins_fault_does_not_count() {
        let breakers = Breakers::new(SETTINGS);
        for kind in [FailureKind::Unavailable, FailureKind::Failed, FailureKind::CircuitOpen] {
            for _ in 0..10 {
                breakers.note((&"a".into(), Passage::Closed), Some(kind), at(0));
            }
        }
        assert_eq!(breakers.pass("a", at(1)), Passage::Closed);
    }

    #[test]
    fn a_probe_that_is_never_heard_of_again_is_given_up() {
        let breakers = Breakers::new(SETTINGS);
        for time in [0, 1, 2] {
            fail(&breakers, "a", at(time));
        }
        assert_eq!(breakers.pass("a", at(6_000)), Passage::Probe);
        assert_eq!(breakers.pass("a", at(35_999)), Passage::Open);
        assert_eq!(breakers.pass("a", at(36_000)), Passage::Probe);
    }

    #[test]
    fn a_probe_that_was_given_back_or_could_not_run_is_made_again_at_once() {
        let breakers = Breakers::new(SETTINGS);
        for time in [0, 1, 2] {
            fail(&breakers, "a", at(time));
        }
        assert_eq!(breakers.pass("a", at(6_000)), Passage::Probe);
        breakers.give_back("a");
        assert_eq!(breakers.pass("a", at(6_001)), Passage::Probe);
        assert!(!breakers.note((&"a".into(), Passage::Probe), Some(FailureKind::Unavailable), at(6_002)));
        assert_eq!(breakers.pass("a", at(6_003)), Passage::Probe, "it is not closed by what did not run");
        assert_eq!(breakers.pass("a", at(6_004)), Passage::Open);
    }

    #[test]
    fn many_tenants_take_bounded_memory() {
        let breakers = Breakers::new(SETTINGS);
        for tenant in 0..TENANTS + 100 {
            fail(&breakers, &format!("t{tenant}"), at(0));
        }
        assert_eq!(breakers.troubled.load(Ordering::Relaxed), TENANTS + 1);
        assert_eq!(fail(&breakers, "late", at(20_000)), Passage::Probe);
        assert_eq!(fail(&breakers, "later", at(20_001)), Passage::Open);
        assert_eq!(
            breakers.troubled.load(Ordering::Relaxed),
            1,
            "the shared one is open, the others are forgotten"
        );
    }
}
