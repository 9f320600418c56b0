//! Calls that are kept in the decision log, so that they can be played again.
//!
//! Promises: what is kept is sealed with a key of its own, for the record that it stands in: it opens in no other, and
//! the log shows nothing of it. Its size is bounded, and what did not fit is counted. Must never: keep a header that
//! the plugin did not see.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::input::{Observation, Observed, Request, carries_credentials};
use super::surroundings::Transcript;
use super::{Budget, CallFailure, Called, Capability, Digest, FailureKind, Grant, Input, Output, Plugin};
use crate::protect::{Key, ProtectError};
use crate::random::Rng;

/// What one record keeps of calls, before it is sealed.
pub const MOST_BYTES: usize = 256 << 10;

const VERSION: u32 = 1;

/// A call with all that decided its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptCall {
    /// The plugin's name.
    pub plugin: String,
    /// Which component.
    pub digest: Digest,
    /// What it might use.
    pub capabilities: Vec<Capability>,
    /// The names of the keys that it might use.
    pub keys: Vec<String>,
    /// What it might cost.
    pub budget: Budget,
    /// What it was called with.
    pub input: Input,
    /// What the host told it.
    pub transcript: Transcript,
    /// How much fuel it used.
    pub fuel: u64,
    /// What it answered, or how it failed.
    pub outcome: Outcome,
}

impl KeptCall {
    /// What is kept of a call; none when its transcript was not asked for, or it was not made.
    pub fn of(plugin: &Plugin, input: &Input, called: &Called) -> Option<Self> {
        let transcript = called.transcript.clone()?;
        let grant = plugin.grant();
        Some(Self {
            plugin: plugin.manifest().name.clone(),
            digest: *plugin.digest(),
            capabilities: grant.effective().collect(),
            keys: grant.keys().map(ToOwned::to_owned).collect(),
            budget: *plugin.budget(),
            input: seen(input, grant),
            transcript,
            fuel: called.fuel,
            outcome: Outcome::from(&called.output),
        })
    }
}

/// What a plugin could see of it: headers that it is not shown must not be kept.
fn seen(input: &Input, grant: &Grant) -> Input {
    let shown = |request: &Request| {
        let headers = request.headers.iter().filter(|(name, _)| !carries_credentials(name));
        Arc::new(Request {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            headers: headers.cloned().collect(),
            body: request.body.clone(),
            ..Request::default()
        })
    };
    match input {
        _ if grant.may(Capability::Credentials).is_ok() => input.clone(),
        Input::Validate { request } => Input::Validate { request: shown(request) },
        Input::Detect(Observation { subject: Observed::Request(request), counters }) => {
            let subject = Observed::Request(shown(request));
            Input::Detect(Observation { subject, counters: counters.clone() })
        }
        other => other.clone(),
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an answer.
    Answer(Output),
    /// With a failure of this kind.
    Failure(FailureKind),
}

impl From<&Result<Output, CallFailure>> for Outcome {
    fn from(output: &Result<Output, CallFailure>) -> Self {
        match output {
            Ok(output) => Self::Answer(output.clone()),
            Err(failure) => Self::Failure(failure.kind),
        }
    }
}

impl Outcome {
    /// Whether it depends on nothing but the component and what is kept: not on how fast a machine is, or what it could
    /// reach.
    pub fn is_determined(&self) -> bool {
        let undetermined = [FailureKind::Deadline, FailureKind::Unavailable, FailureKind::CircuitOpen];
        !matches!(self, Self::Failure(kind) if undetermined.contains(kind))
    }

    /// In the form in which two are compared.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// The calls of one record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptCalls {
    /// In the order in which they were made.
    pub calls: Vec<KeptCall>,
    /// How many found no room.
    pub left_out: usize,
}

/// Why kept calls can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// See [`ProtectError`].
    #[error("the kept calls of `{record}`: {source}")]
    Protect {
        /// The record's id.
        record: String,
        /// What is wrong.
        source: ProtectError,
    },
    /// They were written by another version.
    #[error("the kept calls of `{0}` can't be read by this version")]
    Unreadable(String),
}

#[derive(Serialize, Deserialize)]
struct Plain<'a> {
    v: u32,
    #[serde(borrow)]
    calls: Vec<&'a RawValue>,
    left_out: usize,
}

impl KeptCalls {
    /// Seals them for the record with this id, as text; none when there are none.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn seal(
        calls: &[KeptCall],
        record: &str,
        key: &Key,
        rng: &dyn Rng,
    ) -> Result<Option<String>, SealedError> {
        if calls.is_empty() {
            return Ok(None);
        }
        let mut room = MOST_BYTES;
        let mut fitting: Vec<Box<RawValue>> = Vec::new();
        for call in calls {
            // A later one may be smaller.
            let Ok(written) = serde_json::value::to_raw_value(call) else { continue };
            if let Some(left) = room.checked_sub(written.get().len()) {
                room = left;
                fitting.push(written);
            }
        }
        let left_out = calls.len() - fitting.len();
        let plain = Plain { v: VERSION, calls: fitting.iter().map(AsRef::as_ref).collect(), left_out };
        let plain = serde_json::to_vec(&plain).map_err(|_| SealedError::Unreadable(record.to_owned()))?;
        let sealed = key.seal(&plain, &place(record), rng);
        let sealed = sealed.map_err(|source| SealedError::Protect { record: record.to_owned(), source })?;
        Ok(Some(STANDARD.encode(sealed)))
    }

    /// Opens what was sealed for the record with this id.
    ///
    /// # Errors
    /// When it was changed, sealed for another record or with another key, or by a later version.
    pub fn open(text: &str, record: &str, key: &Key) -> Result<Self, SealedError> {
        let protect = |source| SealedError::Protect { record: record.to_owned(), source };
        let unreadable = || SealedError::Unreadable(record.to_owned());
        let sealed = STANDARD.decode(text).map_err(|_| protect(ProtectError::Header))?;
        let plain = key.open(&sealed, &place(record)).map_err(protect)?;
        let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
        if plain.v != VERSION {
            return Err(unreadable());
        }
        let calls = plain.calls.iter().map(|call| serde_json::from_str(call.get()));
        let calls = calls.collect::<Result<_, _>>().map_err(|_| unreadable())?;
        Ok(Self { calls, left_out: plain.left_out })
    }
}

fn place(record: &str) -> Vec<u8> {
    [b"plugin calls of ", record.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::input::Message;
    use crate::protect::{Purpose, RootKey};
    use crate::random::SystemRng;

    const RECORD: &str = "dec_0197aaaabbbb7cccddddeeeeffff0001";

    fn key() -> Key {
        let folder = tempfile::tempdir().unwrap();
        let root = RootKey::create(&folder.path().join("root.key"), &SystemRng::new()).unwrap();
        root.derive(Purpose::PluginCalls)
    }

    fn call(bytes: usize) -> KeptCall {
        KeptCall {
            plugin: "request-signer".into(),
            digest: Digest([0; 32]),
            capabilities: vec![Capability::Crypto],
            keys: vec!["partner".into()],
            budget: Budget::default(),
            input: Input::Sign { message: Message::Bytes(vec![0; bytes]), key: "partner".into() },
            transcript: Transcript::default(),
            fuel: 17,
            outcome: Outcome::Answer(Output::Sign { headers: vec![("a".into(), "b".into())] }),
        }
    }

    #[test]
    fn calls_open_in_their_own_record_alone() {
        let (key, rng) = (key(), SystemRng::new());
        let calls = [call(1), call(2)];
        let sealed = KeptCalls::seal(&calls, RECORD, &key, &rng).unwrap().unwrap();
        let opened = KeptCalls::open(&sealed, RECORD, &key).unwrap();
        assert_eq!(opened, KeptCalls { calls: calls.to_vec(), left_out: 0 });
        assert!(!sealed.contains("partner"));
        let other = RECORD.replace("0001", "0002");
        assert!(matches!(KeptCalls::open(&sealed, &other, &key), Err(SealedError::Protect { .. })));
        assert!(matches!(KeptCalls::open(&sealed, RECORD, &self::key()), Err(SealedError::Protect { .. })));
        assert!(KeptCalls::open(sealed.get(8..).unwrap(), RECORD, &key).is_err());
        assert!(KeptCalls::open("", RECORD, &key).is_err());
        assert_eq!(KeptCalls::seal(&[], RECORD, &key, &rng).unwrap(), None);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (key, rng) = (key(), SystemRng::new());
        let calls = [call(10), call(MOST_BYTES), call(20), call(MOST_BYTES)];
        let sealed = KeptCalls::seal(&calls, RECORD, &key, &rng).unwrap().unwrap();
        let opened = KeptCalls::open(&sealed, RECORD, &key).unwrap();
        assert_eq!(opened.calls, [call(10), call(20)]);
        assert_eq!(opened.left_out, 2);
    }

    #[test]
    fn what_a_machine_decides_is_not_compared() {
        assert!(call(1).outcome.is_determined());
        assert!(Outcome::Failure(FailureKind::Fuel).is_determined());
        assert!(!Outcome::Failure(FailureKind::Deadline).is_determined());
    }
}
