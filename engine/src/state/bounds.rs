//! What the state takes: lengths, times, and numbers that both homes can hold exactly.

use std::time::Duration;

use super::StateError;

/// The longest key, in bytes, without the prefix that Redis adds.
pub const MAX_KEY_BYTES: usize = 512;
/// The longest value, in bytes.
pub const MAX_VALUE_BYTES: usize = 64 << 10;
/// The longest time that anything is kept: ten years.
pub const MAX_TTL: Duration = Duration::from_secs(3_653 * 86_400);
/// The largest count: Lua's numbers hold integers up to here exactly.
pub(super) const MOST: i64 = (1 << 53) - 1;

const MAX_MEMBERS: u32 = 10_000;

/// How long something is kept: whole milliseconds, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ttl(i64);

impl Ttl {
    pub(super) fn new(ttl: Duration) -> Result<Self, StateError> {
        if ttl.is_zero() || ttl > MAX_TTL {
            return Err(invalid("a time to keep something must be above zero and at most ten years"));
        }
        let millis = ttl.as_nanos().div_ceil(1_000_000);
        Ok(Self(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    pub(super) fn millis(self) -> i64 {
        self.0
    }

    pub(super) fn micros(self) -> i64 {
        self.0.saturating_mul(1_000)
    }
}

pub(super) fn check_key(key: &str) -> Result<(), StateError> {
    check_text("key", key)
}

pub(super) fn check_text(what: &str, text: &str) -> Result<(), StateError> {
    if text.is_empty() || text.len() > MAX_KEY_BYTES {
        return Err(StateError::Invalid(format!("a {what} must have 1 to {MAX_KEY_BYTES} bytes")));
    }
    if text.contains('\0') {
        return Err(StateError::Invalid(format!("a {what} must have no NUL character")));
    }
    Ok(())
}

pub(super) fn check_value(value: &[u8]) -> Result<(), StateError> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(StateError::Invalid(format!("a value must have at most {MAX_VALUE_BYTES} bytes")));
    }
    Ok(())
}

pub(super) fn check_limit(limit: u32) -> Result<u32, StateError> {
    if (1..=MAX_MEMBERS).contains(&limit) {
        return Ok(limit);
    }
    Err(StateError::Invalid(format!("a set's limit must be from 1 to {MAX_MEMBERS}")))
}

/// Bounds a count to what both homes hold exactly.
pub(super) fn clamp(count: i64) -> i64 {
    count.clamp(-MOST, MOST)
}

pub(super) fn invalid(why: &str) -> StateError {
    StateError::Invalid(why.to_owned())
}
