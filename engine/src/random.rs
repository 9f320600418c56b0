//! The one home of randomness, and of the ids that are made from it.
//!
//! [`Rng`] is passed in; the lints ban the system's generator elsewhere. Keys come
//! straight from the operating system; ids from a buffer filled by it, so that an id
//! does not cost a system call.

use std::sync::Mutex;

use crate::clock::Timestamp;

/// A source of unpredictable bytes.
pub trait Rng: Send + Sync + std::fmt::Debug {
    /// Fills `bytes`, straight from the source: for keys.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;

    /// Sixteen bytes for an id; may come from a buffer.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    fn id_bytes(&self) -> Result<[u8; 16], RandomError>;
}

/// The operating system gave no randomness.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct RandomError;

const POOL_BYTES: usize = 4096;

/// The operating system's generator.
#[derive(Debug)]
pub struct SystemRng {
    pool: Mutex<Pool>,
}

#[derive(Debug)]
struct Pool {
    bytes: [u8; POOL_BYTES],
    used: usize,
}

impl SystemRng {
    /// A generator whose buffer is still empty.
    pub fn new() -> Self {
        Self { pool: Mutex::new(Pool { bytes: [0; POOL_BYTES], used: POOL_BYTES }) }
    }
}

impl Default for SystemRng {
    fn default() -> Self {
        Self::new()
    }
}

impl Rng for SystemRng {
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the system's generator")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(bytes).map_err(|_| RandomError)
    }

    fn id_bytes(&self) -> Result<[u8; 16], RandomError> {
        let mut pool = self.pool.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if pool.used + 16 > POOL_BYTES {
            self.fill(&mut pool.bytes)?;
            pool.used = 0;
        }
        let start = pool.used;
        pool.used += 16;
        let mut id = [0; 16];
        if let Some(taken) = pool.bytes.get_mut(start..start + 16) {
            id.copy_from_slice(taken);
            taken.fill(0);
        }
        Ok(id)
    }
}

/// A UUIDv7 (RFC 9562 §5.7): 48 bits of milliseconds, 12 bits of their fraction (§6.2, method 3), then random bits.
pub fn uuid_v7(now: Timestamp, random: [u8; 16]) -> [u8; 16] {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0).to_be_bytes();
    let mut id = random;
    for (to, from) in id.iter_mut().zip(millis.iter().skip(2)) {
        *to = *from;
    }
    let fraction = now.0.rem_euclid(1_000) * 4_096 / 1_000;
    let [.., high, low] = fraction.to_be_bytes();
    id[6] = (high & 0x0f) | 0x70;
    id[7] = low;
    id[8] = (id[8] & 0x3f) | 0x80;
    id
}

/// A prefixed, sortable id: `prefix` and a UUIDv7 as 32 hex digits.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_id(prefix: &str, now: Timestamp, rng: &dyn Rng) -> Result<String, RandomError> {
    let mut digits = [0; 32];
    hex::encode_to_slice(uuid_v7(now, rng.id_bytes()?), &mut digits).map_err(|_| RandomError)?;
    let digits = std::str::from_utf8(&digits).map_err(|_| RandomError)?;
    let mut text = String::with_capacity(prefix.len() + digits.len());
    text.push_str(prefix);
    text.push_str(digits);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_carry_version_and_variant() {
        let rng = SystemRng::new();
        let early = new_id("dec_", Timestamp(1_000_000), &rng).unwrap();
        let late = new_id("dec_", Timestamp(1_000_001), &rng).unwrap();
        assert!(early < late);
        assert_eq!(early.len(), 36);
        assert_eq!(early.as_bytes()[16], b'7');
        assert!(b"89ab".contains(&early.as_bytes()[20]));
    }

    #[test]
    fn the_pool_never_gives_the_same_bytes_twice() {
        let rng = SystemRng::new();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            assert!(seen.insert(rng.id_bytes().unwrap()));
        }
    }
}
