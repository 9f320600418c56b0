//! Rates, and what is refused before any home is asked.

use super::*;

on_each_home!(
    a_burst_passes_and_is_paid_back,
    a_rate_lets_no_more_through_than_it_says,
    a_changed_rate_is_taken_over,
    hostile_input_is_refused,
);

async fn a_burst_passes_and_is_paid_back(home: Home) {
    let rate = Rate { per_period: 7, period: HOUR, burst: 3 };
    for left in [2, 1, 0] {
        let verdict = home.state.gcra("k", rate, 1).await.unwrap();
        assert_eq!((verdict.allowed, verdict.remaining, verdict.retry_after), (true, left, None));
    }
    let verdict = home.state.gcra("k", rate, 1).await.unwrap();
    assert_eq!((verdict.allowed, verdict.remaining), (false, 0));
    let each = HOUR / 7;
    let near = |found: Duration, wanted: Duration| {
        assert!(found <= wanted + TINY && wanted < found + Duration::from_secs(30), "{found:?} {wanted:?}");
    };
    near(verdict.retry_after.unwrap(), each);
    near(verdict.reset_after, each * 3);
    // Nothing was counted, and looking counts nothing.
    for _ in 0..3 {
        let verdict = home.state.gcra("k", rate, 0).await.unwrap();
        assert_eq!((verdict.allowed, verdict.remaining), (true, 0));
        near(verdict.reset_after, each * 3);
    }
    near(home.state.gcra("k", rate, 2).await.unwrap().retry_after.unwrap(), each * 2);
    let never = home.state.gcra("k2", rate, 4).await.unwrap();
    assert_eq!((never.allowed, never.remaining, never.retry_after), (false, 3, None));
    assert_eq!(home.state.gcra("k2", rate, 3).await.unwrap().remaining, 0);
}

async fn a_rate_lets_no_more_through_than_it_says(home: Home) {
    let rate = Rate { per_period: 1, period: HOUR, burst: 25 };
    let tasks = (0..100).map(|_| {
        let state = home.state.clone();
        tokio::spawn(async move { state.gcra("k", rate, 1).await.unwrap().allowed })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut allowed = 0;
    for task in tasks {
        allowed += usize::from(task.await.unwrap());
    }
    assert_eq!(allowed, 25);
}

async fn a_changed_rate_is_taken_over(home: Home) {
    let wide = Rate { per_period: 7, period: HOUR, burst: 100 };
    home.state.gcra("k", wide, 100).await.unwrap();
    // What is owed is bounded by the new burst, and its parts are others.
    let narrow = Rate { per_period: 3, period: HOUR, burst: 2 };
    let verdict = home.state.gcra("k", narrow, 1).await.unwrap();
    assert_eq!((verdict.allowed, verdict.remaining), (false, 0));
    assert!(verdict.retry_after.unwrap() <= HOUR / 3 + TINY);
    assert!(verdict.reset_after <= HOUR * 2 / 3 + TINY);
}

async fn hostile_input_is_refused(home: Home) {
    let state = &home.state;
    let refused = |error: StateError| assert!(matches!(error, StateError::Invalid(_)), "{error}");
    for key in ["", "a\0b", &"x".repeat(MAX_KEY_BYTES + 1)] {
        refused(state.claim_once(key, "one", HOUR).await.unwrap_err());
        refused(state.claim_once("k", key, HOUR).await.unwrap_err());
        refused(state.get(key).await.unwrap_err());
        refused(state.put(key, b"", HOUR).await.unwrap_err());
        refused(state.delete(key).await.unwrap_err());
        refused(state.count(key).await.unwrap_err());
        refused(state.add(key, 1, HOUR).await.unwrap_err());
        refused(state.window_count(key, HOUR).await.unwrap_err());
        refused(state.members(key).await.unwrap_err());
        refused(state.remove_member("k", key).await.unwrap_err());
        refused(state.bounded_insert("k", key, (1, WhenFull::Refuse), HOUR).await.unwrap_err());
        refused(state.gcra(key, Rate { per_period: 1, period: HOUR, burst: 1 }, 1).await.unwrap_err());
        refused(state.compare_and_swap(key, None, b"", HOUR).await.unwrap_err());
    }
    for ttl in [Duration::ZERO, MAX_TTL + TINY, Duration::MAX] {
        refused(state.claim_once("k", "one", ttl).await.unwrap_err());
        refused(state.add("k", 1, ttl).await.unwrap_err());
        refused(state.window_add("k", ttl, 1).await.unwrap_err());
    }
    refused(state.put("k", &[0; MAX_VALUE_BYTES + 1], HOUR).await.unwrap_err());
    state.put("k", &[0; MAX_VALUE_BYTES], MAX_TTL).await.unwrap();
    for limit in [0, 10_001, u32::MAX] {
        refused(state.bounded_insert("k", "m", (limit, WhenFull::EvictOldest), HOUR).await.unwrap_err());
    }
    for (per_period, period, burst) in [
        (0, HOUR, 1),
        (1, HOUR, 0),
        (1, Duration::ZERO, 1),
        (1, Duration::from_micros(999), 1),
        (1, Duration::MAX, 1),
        (1, HOUR * 24, 366),
        (1, HOUR, u32::MAX),
    ] {
        refused(state.gcra("k", Rate { per_period, period, burst }, 1).await.unwrap_err());
    }
}

/// A rate as a bucket of tokens, in exact fractions: what GCRA must be the same as.
struct Bucket {
    /// In parts of a token: a token is `period_us` of them, and each microsecond brings `per_period`.
    level: u128,
}

impl Bucket {
    fn take(&mut self, rate: Rate, cost: u32) -> (bool, u128) {
        let each = rate.period.as_micros();
        let taken = u128::from(cost) * each;
        let allowed = taken <= self.level;
        if allowed {
            self.level -= taken;
        }
        (allowed, self.level / each)
    }

    fn pass(&mut self, rate: Rate, micros: u64) {
        let full = u128::from(rate.burst) * rate.period.as_micros();
        self.level = full.min(self.level + u128::from(micros) * u128::from(rate.per_period));
    }
}

proptest::proptest! {
    /// Any rate, any costs, any time in between, exactly.
    #[test]
    fn a_rate_is_a_bucket_of_tokens_on_embedded(
        (per_period, period_ms, burst) in (1..10_000_u32, 1..100_000_u64, 1..50_u32),
        steps in proptest::collection::vec((0..60_u32, 0..2_000_000_u64), 1..60),
    ) {
        let rate = Rate { per_period, period: Duration::from_millis(period_ms), burst };
        let checked = rate.check().unwrap();
        let mut bucket = Bucket { level: u128::from(burst) * rate.period.as_micros() };
        let (mut now, mut held) = (1_700_000_000_000_000_u64, None);
        for (cost, pause) in steps {
            let counted = if cost > burst { 0 } else { cost };
            let (step, next) = checked.step(now, held, counted);
            held = next.or(held);
            let verdict = checked.verdict(step, cost);
            let (allowed, left) = bucket.take(rate, cost);
            proptest::prop_assert_eq!((verdict.allowed, u128::from(verdict.remaining)), (allowed, left));
            if let Some(wait) = verdict.retry_after {
                // As soon as it says, and no sooner.
                let wait = u64::try_from(wait.as_micros()).unwrap();
                proptest::prop_assert!(checked.step(now + wait, held, cost).0.allowed);
                proptest::prop_assert!(!checked.step(now + wait - 1, held, cost).0.allowed);
            }
            now += pause;
            bucket.pass(rate, pause);
        }
    }

    /// Nothing younger than the window is missed, nothing older than it and a sixtieth counts.
    #[test]
    fn a_window_is_never_short_and_hardly_long_on_embedded(
        window_ms in 1..10_000_u64,
        steps in proptest::collection::vec((0..100_u32, 0..3_000_000_u64), 1..200),
    ) {
        let window = window::Window::new(Duration::from_millis(window_ms)).unwrap();
        let (mut slices, mut log) = (Vec::new(), Vec::new());
        let mut now = 1_700_000_000_000_000_i64;
        for (by, pause) in steps {
            let sum = window.add(&mut slices, Timestamp(now), by);
            log.push((now, u64::from(by)));
            let since = |oldest: i64| -> u64 {
                log.iter().filter(|(at, _)| *at > oldest).map(|(_, by)| by).sum()
            };
            let length = i64::try_from(window_ms * 1_000).unwrap();
            proptest::prop_assert!(sum >= since(now - length));
            proptest::prop_assert!(sum <= since(now - length - length / 60 - 61), "{} {}", sum, now);
            proptest::prop_assert!(slices.len() <= 61);
            now += i64::try_from(pause).unwrap();
        }
    }
}
