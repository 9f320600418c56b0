//! What a case gives to a plugin, as people write it.
//!
//! Promises: it becomes exactly what the server would hand over for the same request. Must never: guess when two things are
//! given where one is meant.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Case;
use crate::clock::Timestamp;
use crate::plugin::input::{self, Body, Components, Observation, Observed};
use crate::plugin::surroundings::{Lookup, Refusal};
use crate::plugin::{Hook, Input};

/// Header fields in their order: a mapping, or a list of pairs where a name stands twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

/// The `http` of a question.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// RFC 9110 §9.
    #[serde(default = "get")]
    method: String,
    /// Not decoded.
    #[serde(default = "root")]
    path: String,
    /// Not decoded, without the question mark.
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    headers: Headers,
    /// A body of JSON.
    #[serde(default)]
    body: Option<Value>,
    /// A body of text.
    #[serde(default)]
    body_text: Option<String>,
    /// A body of bytes.
    #[serde(default)]
    body_base64: Option<String>,
}

/// Something that happened.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// As `decision`.
    kind: String,
    /// RFC 3339; without it, the instant of the case.
    #[serde(default)]
    at: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

/// A count that the host keeps.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    value: u64,
    window_seconds: u32,
}

/// What is to be signed: bytes, or a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    #[serde(default)]
    bytes_text: Option<String>,
    #[serde(default)]
    bytes_base64: Option<String>,
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    target_uri: Option<String>,
    #[serde(default)]
    headers: Headers,
    #[serde(default)]
    body_text: Option<String>,
    #[serde(default)]
    body_base64: Option<String>,
}

/// An entity that `lookup` knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entity {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
    attributes: serde_json::Map<String, Value>,
}

fn get() -> String {
    "GET".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

impl Case {
    /// The input of its call.
    ///
    /// # Errors
    /// What is missing, or does not belong to the hook.
    pub fn input(&self, hook: Hook, now: Timestamp) -> Result<Input, String> {
        let given = [
            ("request", self.request.is_some(), matches!(hook, Hook::Validate | Hook::Detect)),
            ("event", self.event.is_some(), hook == Hook::Detect),
            ("counters", !self.counters.is_empty(), hook == Hook::Detect),
            ("document", self.document.is_some(), hook == Hook::Mask),
            ("obligations", !self.obligations.is_empty(), hook == Hook::Mask),
            ("message", self.message.is_some(), hook == Hook::Sign),
            ("key", self.key.is_some(), hook == Hook::Sign),
        ];
        if let Some((name, ..)) = given.iter().find(|(_, is_given, belongs)| *is_given && !belongs) {
            return Err(format!("`{name}` is nothing that the hook `{}` is given", hook.name()));
        }
        Ok(match hook {
            Hook::Validate => {
                let request = self.request.as_ref().ok_or("it has no `request`")?;
                Input::Validate { request: Arc::new(request.read()?) }
            }
            Hook::Detect => Input::Detect(self.observation(now)?),
            Hook::Mask => Input::Mask {
                document: Arc::new(self.document.clone().ok_or("it has no `document`")?),
                obligations: self.obligations.clone(),
            },
            Hook::Sign => Input::Sign {
                message: self.message.as_ref().ok_or("it has no `message`")?.read()?,
                key: self.key.clone().ok_or("it has no `key`")?,
            },
        })
    }

    fn observation(&self, now: Timestamp) -> Result<Observation, String> {
        let subject = match (&self.request, &self.event) {
            (Some(request), None) => Observed::Request(Arc::new(request.read()?)),
            (None, Some(event)) => Observed::Event(event.read(now)?),
            (Some(_), Some(_)) => {
                return Err("it has a `request` and an `event`: only one is looked at".into());
            }
            (None, None) => return Err("it has no `request` and no `event`".into()),
        };
        let reading = |(name, reading): (&String, &Reading)| input::Reading {
            name: name.clone(),
            value: reading.value,
            window_seconds: reading.window_seconds,
        };
        Ok(Observation { subject, counters: self.counters.iter().map(reading).collect() })
    }
}

impl Request {
    fn read(&self) -> Result<input::Request, String> {
        let body = match (&self.body, &self.body_text, &self.body_base64) {
            (None, None, None) => Body::None,
            (Some(value), None, None) => Body::Json(value.to_string()),
            (None, Some(text), None) => Body::Text(text.clone()),
            (None, None, Some(base64)) => Body::Bytes(bytes(base64)?),
            _ => return Err("`body`, `body_text` and `body_base64`: only one is the body".to_owned()),
        };
        Ok(input::Request {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.0.clone(),
            body,
            ..input::Request::default()
        })
    }
}

impl Event {
    fn read(&self, now: Timestamp) -> Result<input::Event, String> {
        let at = self.at.as_deref().map_or(Ok(now), instant)?;
        let at = u64::try_from(at.as_millis()).map_err(|_| "`at` is before 1970".to_owned())?;
        Ok(input::Event { kind: self.kind.clone(), at, attributes: self.attributes.clone() })
    }
}

impl Message {
    fn read(&self) -> Result<input::Message, String> {
        let is_request = self.method.is_some() || self.target_uri.is_some();
        let plain = either(self.bytes_text.as_deref(), self.bytes_base64.as_deref(), "bytes")?;
        let body = either(self.body_text.as_deref(), self.body_base64.as_deref(), "body")?;
        match plain {
            Some(plain) if !is_request && body.is_none() && self.headers.0.is_empty() => {
                Ok(input::Message::Bytes(plain))
            }
            None if is_request => Ok(input::Message::Request(Components {
                method: self.method.clone().ok_or("`message` has no `method`")?,
                target_uri: self.target_uri.clone().ok_or("`message` has no `target_uri`")?,
                headers: self.headers.0.clone(),
                body: body.unwrap_or_default(),
            })),
            _ => Err("`message` is either `bytes_text` or `bytes_base64`, or a request with `method` and `target_uri`"
                .to_owned()),
        }
    }
}

fn either(text: Option<&str>, base64: Option<&str>, name: &str) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (Some(_), Some(_)) => Err(format!("`{name}_text` and `{name}_base64`: only one is meant")),
        (Some(text), None) => Ok(Some(text.as_bytes().to_vec())),
        (None, Some(base64)) => bytes(base64).map(Some),
        (None, None) => Ok(None),
    }
}

fn bytes(base64: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(base64).map_err(|error| format!("`{base64}` is no base64: {error}"))
}

/// Reads an instant.
///
/// # Errors
/// When it is none.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    let wanted = || format!("`{text}` is no instant (RFC 3339), as `2026-01-02T03:04:05Z`");
    Timestamp::parse_rfc3339(text).ok_or_else(wanted)
}

/// The entities of a case.
#[derive(Debug)]
pub(super) struct Entities(pub(super) Vec<Entity>);

impl Lookup for Entities {
    fn attributes(&self, type_name: &str, id: &str) -> Result<Value, Refusal> {
        let is_meant = |entity: &&Entity| entity.type_name == type_name && entity.id == id;
        let found = self.0.iter().find(is_meant).ok_or(Refusal::Unknown)?;
        Ok(Value::Object(found.attributes.clone()))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Headers;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping of names to values, or a list of pairs")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    fields.push((name.to_ascii_lowercase(), value));
                }
                Ok(Headers(fields))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Headers, A::Error> {
                let mut fields = Vec::new();
                while let Some((name, value)) = list.next_element::<(String, String)>()? {
                    fields.push((name.to_ascii_lowercase(), value));
                }
                Ok(Headers(fields))
            }
        }
        deserializer.deserialize_any(Fields)
    }
}
