//! Waiting for what happens soon, but not at once.

use std::time::{Duration, Instant};

/// Asks `check` until it gives something, and says how long that took; nothing after `limit`.
pub fn eventually<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<(T, Duration)> {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return Some((found, start.elapsed()));
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
