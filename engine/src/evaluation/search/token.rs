//! Page tokens: where a search goes on.
//!
//! Promises: a token opens nothing but the next pages of its own search: of its tenant, pack, question, revision and instant.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::walk::{Position, Spot};
use super::{SearchError, Target};
use crate::clock::Timestamp;
use crate::evaluation::Circumstances;
use crate::protect::{Key, digest};
use crate::question::Asked;

/// Where a search goes on.
#[derive(Debug)]
pub(super) struct Token {
    /// The last of the page before.
    pub(super) last: Position,
    /// The instant that all pages are of.
    pub(super) at: Timestamp,
    /// How many results the page before could have.
    pub(super) limit: usize,
    /// The revision that all pages are of.
    pub(super) revision: Arc<str>,
}

#[derive(Serialize, Deserialize)]
struct Written<'t> {
    #[serde(borrow)]
    after: Cow<'t, str>,
    spot: Spot,
    at: i64,
    limit: usize,
    #[serde(borrow)]
    revision: Cow<'t, str>,
}

/// A digest of all that a token is bound to, besides what it says itself.
pub(super) fn parameters(by: &Circumstances<'_>, pack: &str, asked: &Asked<'_>, target: Target) -> [u8; 32] {
    let id = |id: &str, of: Target| if of == target { String::new() } else { id.to_owned() };
    let said =
        [&asked.subject.properties, &asked.action.properties, &asked.resource.properties, &asked.context];
    let [subject, action, resource, context] = said.map(|text| canonical(*text));
    digest(&[
        "search",
        target.name(),
        &by.caller.tenant,
        pack,
        &asked.subject.type_name,
        &id(&asked.subject.id, Target::Subject),
        &subject,
        &id(&asked.action.name, Target::Action),
        &action,
        &asked.resource.type_name,
        &id(&asked.resource.id, Target::Resource),
        &resource,
        &context,
    ])
}

/// JSON with its keys in order and without spaces: who sends it again may write it otherwise.
fn canonical(text: Option<&RawValue>) -> String {
    let Some(text) = text else { return String::new() };
    let value: Option<serde_json::Value> = serde_json::from_str(text.get()).ok();
    value.map_or_else(|| text.get().to_owned(), |value| value.to_string())
}

impl Token {
    pub(super) fn write(&self, key: &Key, parameters: &[u8; 32]) -> String {
        let Self { last: Position { spot, after }, at, limit, revision } = self;
        let written = Written {
            after: after.as_str().into(),
            spot: spot.clone(),
            at: at.0,
            limit: *limit,
            revision: (&**revision).into(),
        };
        let text = serde_json::to_string(&written).unwrap_or_default();
        let mac = key.mac(&message(&text, parameters));
        URL_SAFE_NO_PAD.encode([&mac[..], text.as_bytes()].concat())
    }

    /// Reads a token.
    ///
    /// # Errors
    /// When this server did not write it for these parameters.
    pub(super) fn read(key: &Key, text: &str, parameters: &[u8; 32]) -> Result<Self, SearchError> {
        let read = || {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (mac, text) = bytes.split_at_checked(key.mac(b"").len())?;
            let text = std::str::from_utf8(text).ok()?;
            let Written { after, spot, at, limit, revision } = serde_json::from_str(text)
                .ok()
                .filter(|_| key.verify_mac(&message(text, parameters), mac))?;
            let last = Position { spot, after: SmolStr::new(after) };
            Some(Self { last, at: Timestamp(at), limit, revision: Arc::from(&*revision) })
        };
        read().ok_or(SearchError::InvalidToken)
    }
}

/// Starts otherwise than any message of a list's cursor, which is a digest or a place and parameters of its own.
fn message(text: &str, parameters: &[u8; 32]) -> Vec<u8> {
    [&digest(&["page token", text])[..], parameters].concat()
}
