//! What a call stands in: the instant, the tenant, and what the host answers from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{CallFailure, Output};
use crate::clock::Timestamp;

/// Why the host gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// There is no such key, entity or value for this plugin.
    Unknown,
    /// An argument is outside of its bounds.
    Invalid,
    /// The host can't be asked now.
    Unavailable,
}

/// Attributes of entities, as the decision sees them.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// The attributes of an entity, as a JSON object; the type as the application names it.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    fn attributes(&self, type_name: &str, id: &str) -> Result<Value, Refusal>;
}

/// The algorithms of named keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum Algorithm {
    /// HMAC with SHA-256 (RFC 2104).
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    /// RFC 8032.
    #[serde(rename = "ed25519")]
    Ed25519,
    /// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).
    #[serde(rename = "xchacha20-poly1305")]
    XChaCha20Poly1305,
}

impl Algorithm {
    /// The name that configuration and messages have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::Ed25519 => "ed25519",
            Self::XChaCha20Poly1305 => "xchacha20-poly1305",
        }
    }
}

/// Keys by their names. Whether a plugin may use one is its grant's to say.
pub trait Keys: fmt::Debug + Send + Sync {
    /// # Errors
    /// `unknown` when there is no such key.
    fn algorithm(&self, name: &str) -> Result<Algorithm, Refusal>;
    /// A signature, or a code of `hmac-sha256`.
    ///
    /// # Errors
    /// `unknown` when there is no such key, `invalid` when it does not sign.
    fn sign(&self, name: &str, message: &[u8]) -> Result<Vec<u8>, Refusal>;
    /// # Errors
    /// `unknown` when there is no such key, `invalid` when it does not sign.
    fn verify(&self, name: &str, message: &[u8], signature: &[u8]) -> Result<bool, Refusal>;
    /// # Errors
    /// `unknown` when there is no such key, `invalid` when it does not seal, `unavailable` without randomness.
    fn seal(&self, name: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal>;
    /// # Errors
    /// `unknown` when there is no such key, `invalid` when it does not open.
    fn open(&self, name: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal>;
}

/// No keys at all: what plugins are called with that use none.
#[derive(Clone, Copy, Debug)]
pub struct NoKeys;

impl Keys for NoKeys {
    fn algorithm(&self, _: &str) -> Result<Algorithm, Refusal> {
        Err(Refusal::Unknown)
    }

    fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }

    fn verify(&self, _: &str, _: &[u8], _: &[u8]) -> Result<bool, Refusal> {
        Err(Refusal::Unknown)
    }

    fn seal(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }

    fn open(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }
}

/// One call's own.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The decision's instant.
    pub now: Timestamp,
    /// What `random` begins with.
    pub seed: [u8; 32],
    /// Whose counters and values are meant.
    pub tenant: Arc<str>,
    /// Entities of the decision's pack; without it `lookup` knows none.
    pub lookup: Option<Arc<dyn Lookup>>,
    /// Whether what the host answers is kept, for a replay.
    pub record: bool,
}

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// What it says.
    pub message: String,
}

/// How a call went.
#[derive(Clone, Debug)]
pub struct Called {
    /// The answer, or how it failed.
    pub output: Result<Output, CallFailure>,
    /// How much fuel it used.
    pub fuel: u64,
    /// How long it took, making and unmaking the instance included.
    pub took: Duration,
    /// The largest its memory was, in bytes.
    pub memory_bytes: u64,
    /// What it logged.
    pub logs: Vec<LogLine>,
    /// How many lines were dropped.
    pub logs_dropped: u32,
    /// What a replay needs, when it was asked for.
    pub transcript: Option<Transcript>,
}

/// What a call was told by the host, so that it can be played again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// The decision's instant, in milliseconds.
    pub now: u64,
    /// What `random` began with, hexadecimal.
    pub seed: String,
    /// The configuration that it ran with, as JSON text.
    pub config: String,
    /// The budget's fuel and the effective capabilities are the plugin's own; these are the answers of `counter`, `kv`,
    /// `crypto` and `lookup`, in order.
    pub answers: Vec<HostAnswer>,
}

/// One answer of the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostAnswer {
    /// Which function, as `kv.get`.
    pub function: String,
    /// The digest of its arguments, hexadecimal: a replay that asks something else differs.
    pub asked: String,
    /// The answer, as JSON.
    pub answer: Value,
}
