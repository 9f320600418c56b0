//! The state on Redis or Valkey: every change is one script, and the time is the server's.
//!
//! Promises: no operation takes much longer than a second, also when the server is away; a step that is not known to
//! have happened is an error. All keys of one operation lie in one slot of a cluster. Wants Redis 6.2 or later.

use std::sync::Arc;

use ::redis::{Cmd, Script, ScriptInvocation, cmd};
use secrecy::SecretString;

use super::bounds::{MOST, Ttl};
use super::rate::{CheckedRate, Fine, Step};
use super::window::{SLICES, Window};
use super::{Claim, Inserted, StateError, Swap, Version, WhenFull};
use crate::clock::{Clock, Timestamp};
use crate::random::Rng;

mod address;
mod follow;
mod wire;

use wire::{Again, Call, Wire};

/// The state on one server or cluster.
#[derive(Debug)]
pub struct RedisState {
    wire: Wire,
    prefix: String,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    scripts: Scripts,
    time: super::stream::SharedTime,
}

#[derive(Debug)]
struct Scripts {
    claim: Script,
    rate: Script,
    set_insert: Script,
    set_remove: Script,
    set_members: Script,
    count_add: Script,
    window_add: Script,
    value_swap: Script,
    announce: Script,
    tip: Script,
}

impl Scripts {
    fn new() -> Self {
        Self {
            claim: Script::new(include_str!("redis/lua/claim.lua")),
            rate: Script::new(include_str!("redis/lua/rate.lua")),
            set_insert: Script::new(include_str!("redis/lua/set_insert.lua")),
            set_remove: Script::new(include_str!("redis/lua/set_remove.lua")),
            set_members: Script::new(include_str!("redis/lua/set_members.lua")),
            count_add: Script::new(include_str!("redis/lua/count_add.lua")),
            window_add: Script::new(include_str!("redis/lua/window_add.lua")),
            value_swap: Script::new(include_str!("redis/lua/value_swap.lua")),
            announce: Script::new(include_str!("redis/lua/announce.lua")),
            tip: Script::new(include_str!("redis/lua/tip.lua")),
        }
    }
}

impl RedisState {
    pub(super) fn new(
        url: &SecretString,
        prefix: &str,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, StateError> {
        address::check_prefix(prefix)?;
        let wire = Wire::new(address::parse(url)?, Arc::clone(&clock));
        let time = super::stream::SharedTime::default();
        Ok(Self { wire, prefix: prefix.to_owned(), clock, rng, scripts: Scripts::new(), time })
    }

    /// `kind` keeps the operations' keys apart. The dot keeps the hash tag from being empty, whatever the key is.
    fn key(&self, kind: &str, key: &str) -> String {
        format!("{}:{kind}:{{.{key}}}", self.prefix)
    }

    async fn script<T: ::redis::FromRedisValue>(
        &self,
        script: &ScriptInvocation<'_>,
        again: Again,
    ) -> Result<T, StateError> {
        self.wire.ask(Call::Script(script), again).await
    }

    async fn command<T: ::redis::FromRedisValue>(&self, command: &Cmd) -> Result<T, StateError> {
        self.wire.ask(Call::Command(command), Again::Yes).await
    }

    pub(super) async fn claim_once(&self, key: &str, claimant: &str, ttl: Ttl) -> Result<Claim, StateError> {
        let mut script = self.scripts.claim.key(self.key("claim", key));
        script.arg(claimant).arg(ttl.millis());
        let (won, until): (bool, String) = self.script(&script, Again::Yes).await?;
        if !won {
            return Ok(Claim::Lost);
        }
        let until: i64 = number(&until)?;
        Ok(Claim::Won { until: Timestamp(until.saturating_mul(1_000)) })
    }

    pub(super) async fn gcra(&self, key: &str, rate: CheckedRate, cost: u32) -> Result<Step, StateError> {
        let (costs, burst) = (rate.span(cost), rate.span(rate.burst));
        let mut script = self.scripts.rate.key(self.key("rate", key));
        script.arg(costs.us).arg(costs.part).arg(burst.us).arg(burst.part);
        script.arg(rate.parts).arg(u8::from(cost > 0));
        // A retry could count twice.
        let answer: (bool, String, String, String) = self.script(&script, Again::No).await?;
        let (allowed, now, us, part) = answer;
        let paid_back = Fine { us: number(&us)?, part: number(&part)? };
        Ok(Step { allowed, now_us: number(&now)?, paid_back })
    }

    fn set_keys(&self, set: &str) -> [String; 2] {
        [self.key("ends", set), self.key("ages", set)]
    }

    pub(super) async fn bounded_insert(
        &self,
        set: &str,
        member: &str,
        (limit, when_full): (u32, WhenFull),
        ttl: Ttl,
    ) -> Result<Inserted, StateError> {
        let mut script = self.scripts.set_insert.prepare_invoke();
        script.key(&self.set_keys(set)[..]).arg(member).arg(limit);
        script.arg(u8::from(when_full == WhenFull::EvictOldest)).arg(ttl.millis());
        // A retry would not know whom the first one put out.
        let answer: Vec<String> = self.script(&script, Again::No).await?;
        let mut answer = answer.into_iter();
        match answer.next().as_deref() {
            Some("already") => Ok(Inserted::Already),
            Some("refused") => Ok(Inserted::Refused),
            Some("new") if answer.len() == 0 => Ok(Inserted::New),
            Some("new") => Ok(Inserted::Evicted(answer.collect())),
            _ => Err(corrupt()),
        }
    }

    pub(super) async fn remove_member(&self, set: &str, member: &str) -> Result<bool, StateError> {
        let mut script = self.scripts.set_remove.prepare_invoke();
        script.key(&self.set_keys(set)[..]).arg(member);
        self.script(&script, Again::Yes).await
    }

    pub(super) async fn members(&self, set: &str) -> Result<Vec<String>, StateError> {
        let mut script = self.scripts.set_members.prepare_invoke();
        script.key(&self.set_keys(set)[..]);
        self.script(&script, Again::Yes).await
    }

    pub(super) async fn add(&self, key: &str, by: i64, ttl: Ttl) -> Result<i64, StateError> {
        let mut script = self.scripts.count_add.key(self.key("count", key));
        script.arg(by).arg(ttl.millis()).arg(MOST);
        let count: String = self.script(&script, Again::No).await?;
        number(&count)
    }

    pub(super) async fn count(&self, key: &str) -> Result<i64, StateError> {
        let count: Option<String> = self.command(cmd("GET").arg(self.key("count", key))).await?;
        count.map_or(Ok(0), |count| number(&count))
    }

    pub(super) async fn window_add(&self, key: &str, window: Window, by: u32) -> Result<u64, StateError> {
        // Windows of different lengths have slices of their own.
        let kind = format!("window:{}", window.slice_us);
        let mut script = self.scripts.window_add.key(self.key(&kind, key));
        script.arg(window.slice_us).arg(by).arg(window.keep_millis()).arg(SLICES).arg(MOST);
        let again = if by == 0 { Again::Yes } else { Again::No };
        let sum: String = self.script(&script, again).await?;
        number(&sum)
    }

    pub(super) async fn put(&self, key: &str, value: &[u8], ttl: Ttl) -> Result<Version, StateError> {
        let version = Version::fresh(&*self.rng)?;
        let kept = [version.to_digits().as_bytes(), value].concat();
        let mut command = cmd("SET");
        command.arg(self.key("value", key)).arg(kept).arg("PX").arg(ttl.millis());
        let () = self.command(&command).await?;
        Ok(version)
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<(Vec<u8>, Version)>, StateError> {
        let kept: Option<Vec<u8>> = self.command(cmd("GET").arg(self.key("value", key))).await?;
        let Some(kept) = kept else { return Ok(None) };
        let (digits, value) = kept.split_first_chunk::<16>().ok_or_else(corrupt)?;
        Ok(Some((value.to_vec(), Version::from_digits(digits).ok_or_else(corrupt)?)))
    }

    pub(super) async fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<Version>,
        value: &[u8],
        ttl: Ttl,
    ) -> Result<Swap, StateError> {
        let version = Version::fresh(&*self.rng)?;
        let mut script = self.scripts.value_swap.key(self.key("value", key));
        script.arg(expected.map(Version::to_digits).unwrap_or_default()).arg(version.to_digits());
        script.arg(ttl.millis()).arg(value);
        let swapped: bool = self.script(&script, Again::Yes).await?;
        Ok(if swapped { Swap::Done(version) } else { Swap::Conflict })
    }

    pub(super) async fn delete(&self, key: &str) -> Result<bool, StateError> {
        self.command(cmd("DEL").arg(self.key("value", key))).await
    }
}

impl Version {
    fn to_digits(self) -> String {
        format!("{:016x}", self.0)
    }

    fn from_digits(digits: &[u8; 16]) -> Option<Self> {
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(Self)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, StateError> {
    text.parse().map_err(|_| corrupt())
}

fn corrupt() -> StateError {
    StateError::Corrupt("an answer is not of the form that this program keeps".into())
}
