//! What a plugin sees of the host during one call.
//!
//! Promises: every function of a capability asks [`Grant::may`] first; nothing of one call is seen by the next; what
//! passes the boundary is counted. Must never: let a plugin name another plugin's or tenant's keys in the state.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::input::Request;
use super::surroundings::{HostAnswer, Keys, LogLine, Lookup, Refusal, Transcript};
use super::{Budget, Capability, FailureKind, Grant};
use crate::state::State;

mod documents;
mod keys;
mod limiter;
mod plain;
mod requests;
mod shared;

pub(super) use limiter::Limiter;

/// A document that a plugin holds a handle of.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "generated code names it, and would re-export it")]
pub struct Document;

/// A request that a plugin holds a handle of.
#[derive(Debug)]
#[expect(unreachable_pub, reason = "generated code names it, and would re-export it")]
pub struct Asked;

/// What ends a call, with its kind.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Ended {
    pub(super) kind: FailureKind,
    pub(super) message: String,
}

impl Ended {
    pub(super) fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// What does not change between the calls of a plugin.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) name: String,
    pub(super) grant: Grant,
    pub(super) budget: Budget,
    pub(super) config: Arc<str>,
    pub(super) keys: Arc<dyn Keys>,
    pub(super) state: Option<State>,
}

/// Where answers of the host come from.
#[derive(Debug)]
pub(super) enum Tape {
    /// From the host.
    Live,
    /// From the host, and they are kept.
    Recording(Vec<HostAnswer>),
    /// From an earlier call.
    Playing(std::vec::IntoIter<HostAnswer>),
}

/// One call's own state.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) fixed: Arc<Fixed>,
    pub(super) limiter: Limiter,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(super) now: u64,
    pub(super) seed: [u8; 32],
    /// What `random` gives next, once it was asked.
    pub(super) random: Option<blake3::OutputReader>,
    pub(super) tenant: Arc<str>,
    pub(super) lookup: Option<Arc<dyn Lookup>>,
    pub(super) request: Option<Arc<Request>>,
    pub(super) documents: Vec<Arc<Value>>,
    pub(super) tape: Tape,
    /// Whether this is the plugin's initialiser.
    pub(super) initialising: bool,
    pub(super) host_bytes_left: u64,
    pub(super) log_bytes_left: u64,
    pub(super) logs: Vec<LogLine>,
    pub(super) logs_dropped: u32,
}

/// A call may hold so many documents at once.
const DOCUMENTS: usize = 1_024;

impl Sandbox {
    /// For a call that stands nowhere yet: the instant and the rest are laid in by who calls.
    pub(super) fn new(fixed: Arc<Fixed>, seed: [u8; 32], tenant: Arc<str>) -> Self {
        let budget = fixed.budget;
        Self {
            limiter: Limiter::new(budget.memory_bytes),
            now: 0,
            seed,
            random: None,
            tenant,
            lookup: None,
            request: None,
            documents: Vec::new(),
            tape: Tape::Live,
            initialising: false,
            host_bytes_left: budget.host_bytes,
            log_bytes_left: budget.log_bytes,
            logs: Vec::new(),
            logs_dropped: 0,
            fixed,
        }
    }

    /// May the plugin use this, now?
    pub(super) fn may(&self, capability: Capability) -> Result<(), Ended> {
        if self.initialising && !matches!(capability, Capability::Config | Capability::Log) {
            let message = format!("the initialiser can't use `{}`", capability.name());
            return Err(Ended::new(FailureKind::Capability, message));
        }
        let allowed = self.fixed.grant.may(capability);
        allowed.map_err(|withheld| Ended::new(FailureKind::Capability, withheld.to_string()))
    }

    /// Counts what passes between plugin and host.
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), Ended> {
        let left = self.host_bytes_left.checked_sub(bytes as u64);
        self.host_bytes_left = left.ok_or_else(|| {
            let most = self.fixed.budget.host_bytes;
            Ended::new(
                FailureKind::HostBytes,
                format!("more than {most} bytes passed between plugin and host"),
            )
        })?;
        Ok(())
    }

    /// Keeps a document; gives the number of its handle.
    pub(super) fn hold(&mut self, document: Arc<Value>) -> Result<u32, Ended> {
        if self.documents.len() >= DOCUMENTS {
            let message = format!("a call opens at most {DOCUMENTS} documents");
            return Err(Ended::new(FailureKind::HostBytes, message));
        }
        self.documents.push(document);
        Ok(u32::try_from(self.documents.len() - 1).unwrap_or(u32::MAX))
    }

    /// What an earlier call was answered, when this one plays it again.
    pub(super) fn played<T: DeserializeOwned>(
        &mut self,
        function: &str,
        asked: &[&[u8]],
    ) -> Result<Option<Result<T, Refusal>>, Ended> {
        let Tape::Playing(answers) = &mut self.tape else { return Ok(None) };
        let differs =
            |what: String| Ended::new(FailureKind::BadAnswer, format!("the replay differs: {what}"));
        let Some(answer) = answers.next() else {
            return Err(differs(format!("`{function}` is called once more than before")));
        };
        if answer.function != function || answer.asked != digest_of(asked) {
            return Err(differs(format!("`{function}` is called where it was `{}`", answer.function)));
        }
        let read = serde_json::from_value(answer.answer);
        read.map(Some)
            .map_err(|error| differs(format!("the kept answer of `{function}` can't be read: {error}")))
    }

    /// Keeps an answer, when that is wanted.
    pub(super) fn keep<T: Serialize>(
        &mut self,
        function: &str,
        asked: &[&[u8]],
        answer: &Result<T, Refusal>,
    ) {
        let Tape::Recording(answers) = &mut self.tape else { return };
        answers.push(HostAnswer {
            function: function.to_owned(),
            asked: digest_of(asked),
            answer: serde_json::to_value(answer).unwrap_or_default(),
        });
    }

    /// An answer of the host: from it, or from an earlier call.
    pub(super) fn answered<T: Serialize + DeserializeOwned>(
        &mut self,
        function: &str,
        asked: &[&[u8]],
        live: impl FnOnce(&Self) -> Result<T, Refusal>,
    ) -> Result<Result<T, Refusal>, Ended> {
        if let Some(played) = self.played(function, asked)? {
            return Ok(played);
        }
        let answer = live(self);
        self.keep(function, asked, &answer);
        Ok(answer)
    }

    /// Whether a replay asked for less than the call before it.
    pub(super) fn has_unplayed(&self) -> bool {
        matches!(&self.tape, Tape::Playing(answers) if answers.len() > 0)
    }

    /// What a replay needs, if it was kept.
    pub(super) fn transcript(&mut self) -> Option<Transcript> {
        let Tape::Recording(answers) = &mut self.tape else { return None };
        Some(Transcript {
            now: self.now,
            seed: hex::encode(self.seed),
            config: self.fixed.config.to_string(),
            answers: std::mem::take(answers),
        })
    }
}

fn digest_of(asked: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in asked {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut short = [0; 16];
    hasher.finalize_xof().fill(&mut short);
    hex::encode(short)
}
