//! What the SDK's types stand on natively: values in memory, so that a plugin's logic is tested without a sandbox.
//!
//! Promises: documents answer as the host's do: members in their order, numbers in their one spelling, no name twice. Must
//! never: be part of a component.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::document::{Kind, LeafTable, Row};
use crate::host::log::Level;
use crate::testing::{Answers, answering};
use crate::{Header, Node, Refusal};

/// As deep as the host parses.
const DEEPEST: usize = 128;

#[derive(Clone, Debug, Default)]
pub(crate) struct Request<'a> {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: Vec<Header>,
    pub(crate) document: Option<Document<'static>>,
    pub(crate) raw_body: Vec<u8>,
    /// In a sandbox a request is lent for a call.
    pub(crate) lent: PhantomData<&'a ()>,
}

impl Request<'_> {
    pub(crate) fn method(&self) -> String {
        self.method.clone()
    }

    pub(crate) fn path(&self) -> String {
        self.path.clone()
    }

    pub(crate) fn query(&self) -> Option<String> {
        self.query.clone()
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        self.headers.clone()
    }

    pub(crate) fn body(&self) -> Option<Document<'static>> {
        self.document.clone()
    }

    pub(crate) fn raw_body(&self) -> Vec<u8> {
        self.raw_body.clone()
    }
}

/// A parsed document.
#[derive(Clone, Debug)]
pub(crate) struct Document<'a> {
    root: Value,
    lent: PhantomData<&'a ()>,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Boolean(bool),
    Number(String),
    Text(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Document<'static> {
    pub(crate) fn parse(json: &str) -> Result<Self, String> {
        let raw: &RawValue = serde_json::from_str(json).map_err(|error| error.to_string())?;
        Ok(Self::of(value(raw, 0).map_err(|error| error.to_string())?))
    }

    pub(crate) fn of(root: Value) -> Self {
        Self { root, lent: PhantomData }
    }
}

impl Document<'_> {
    fn at(&self, pointer: &str) -> Option<&Value> {
        if pointer.is_empty() {
            return Some(&self.root);
        }
        let mut here = &self.root;
        for step in pointer.strip_prefix('/')?.split('/') {
            let step = step.replace("~1", "/").replace("~0", "~");
            here = match here {
                Value::Object(members) => {
                    members.iter().find(|(name, _)| *name == step).map(|(_, value)| value)?
                }
                // An index has one spelling (RFC 6901 §4).
                Value::Array(elements) => {
                    let index: usize = step.parse().ok()?;
                    if index.to_string() != step {
                        return None;
                    }
                    elements.get(index)?
                }
                _ => return None,
            };
        }
        Some(here)
    }

    pub(crate) fn get(&self, pointer: &str) -> Option<Node> {
        self.at(pointer).map(node)
    }

    pub(crate) fn members(&self, pointer: &str) -> Option<Vec<String>> {
        let Some(Value::Object(members)) = self.at(pointer) else { return None };
        Some(members.iter().map(|(name, _)| name.clone()).collect())
    }

    pub(crate) fn leaf_table(&self) -> LeafTable {
        let mut table = LeafTable::default();
        collect(&self.root, &mut String::new(), &mut table);
        table
    }

    pub(crate) fn json(&self, pointer: &str) -> Option<String> {
        self.at(pointer).map(Value::to_string)
    }
}

fn node(value: &Value) -> Node {
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match value {
        Value::Null => Node::Null,
        Value::Boolean(value) => Node::Boolean(*value),
        Value::Number(digits) => Node::Number(digits.clone()),
        Value::Text(text) => Node::Text(text.clone()),
        Value::Array(elements) => Node::Array(count(elements.len())),
        Value::Object(members) => Node::Object(count(members.len())),
    }
}

fn collect(value: &Value, pointer: &mut String, table: &mut LeafTable) {
    let end = pointer.len();
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            for (index, element) in elements.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                collect(element, pointer, table);
                pointer.truncate(end);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                collect(member, pointer, table);
                pointer.truncate(end);
            }
        }
        leaf => {
            let (kind, value) = match leaf {
                Value::Null => (Kind::Null, ""),
                Value::Boolean(value) => (Kind::Boolean, if *value { "true" } else { "false" }),
                Value::Number(digits) => (Kind::Number, digits.as_str()),
                Value::Text(text) => (Kind::Text, text.as_str()),
                Value::Array(_) => (Kind::Array, ""),
                Value::Object(_) => (Kind::Object, ""),
            };
            table.text.push_str(pointer);
            table.text.push_str(value);
            table.rows.push(Row { pointer_bytes: pointer.len(), value_bytes: value.len(), kind });
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => formatter.write_str("null"),
            Self::Boolean(value) => write!(formatter, "{value}"),
            Self::Number(digits) => formatter.write_str(digits),
            Self::Text(text) => formatter.write_str(&quoted(text)),
            Self::Array(elements) => {
                let elements: Vec<_> = elements.iter().map(Self::to_string).collect();
                write!(formatter, "[{}]", elements.join(","))
            }
            Self::Object(members) => {
                let member = |(name, value): &(String, Self)| format!("{}:{value}", quoted(name));
                let members: Vec<_> = members.iter().map(member).collect();
                write!(formatter, "{{{}}}", members.join(","))
            }
        }
    }
}

/// One level is read at a time, so that members keep their order.
fn value(raw: &RawValue, depth: usize) -> Result<Value, serde_json::Error> {
    if depth > DEEPEST {
        return Err(serde_json::Error::custom("it is nested too deeply"));
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(text)?;
            let parsed = members.into_iter().map(|(name, raw)| Ok((name, value(&raw, depth + 1)?)));
            Value::Object(parsed.collect::<Result<_, serde_json::Error>>()?)
        }
        Some(b'[') => {
            let elements: Vec<Box<RawValue>> = serde_json::from_str(text)?;
            Value::Array(elements.iter().map(|raw| value(raw, depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => Value::Text(serde_json::from_str(text)?),
        Some(b't') => Value::Boolean(true),
        Some(b'f') => Value::Boolean(false),
        Some(b'n') => Value::Null,
        _ => Value::Number(serde_json::from_str::<serde_json::Number>(text)?.to_string()),
    })
}

struct Members(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if members.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("the member `{name}` is there twice")));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

pub(crate) fn log(level: Level, message: &str) {
    answering(|host| host.log(level, message));
}

pub(crate) fn clock() -> u64 {
    answering(|host| host.now())
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    answering(|host| host.random(count))
}

pub(crate) mod counter {
    use super::{Answers, Refusal, answering};

    pub(crate) fn add(key: &str, by: u32, window_seconds: u32) -> Result<u64, Refusal> {
        Answers::bounds(key, window_seconds)?;
        Ok(answering(|host| host.count(key, window_seconds, by)))
    }

    pub(crate) fn read(key: &str, window_seconds: u32) -> Result<u64, Refusal> {
        add(key, 0, window_seconds)
    }
}

pub(crate) mod kv {
    use super::{Answers, Refusal, answering};

    const LONGEST_VALUE: usize = 64 << 10;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Answers::bounds(key, 1)?;
        Ok(answering(|host| host.value(key)))
    }

    pub(crate) fn put(key: &str, value: &[u8], ttl_seconds: u32) -> Result<(), Refusal> {
        Answers::bounds(key, ttl_seconds)?;
        if value.len() > LONGEST_VALUE {
            return Err(Refusal::Invalid);
        }
        answering(|host| host.keep(key, value, ttl_seconds));
        Ok(())
    }

    pub(crate) fn delete(key: &str) -> Result<bool, Refusal> {
        Answers::bounds(key, 1)?;
        Ok(answering(|host| host.forget(key)))
    }
}

pub(crate) mod crypto {
    use super::{Refusal, answering};
    use crate::host::crypto::Algorithm;

    pub(crate) fn algorithm_of(key: &str) -> Result<Algorithm, Refusal> {
        answering(|host| host.algorithm(key))
    }

    pub(crate) fn sign(key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        answering(|host| host.sign(key, message))
    }

    pub(crate) fn verify(key: &str, message: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        Ok(sign(key, message)? == signature)
    }

    pub(crate) fn hmac(key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        match algorithm_of(key)? {
            Algorithm::HmacSha256 => sign(key, message),
            Algorithm::Ed25519 | Algorithm::XChaCha20Poly1305 => Err(Refusal::Invalid),
        }
    }

    pub(crate) fn seal(key: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        answering(|host| host.seal(key, plain, place))
    }

    pub(crate) fn open(key: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        answering(|host| host.open(key, sealed, place))
    }
}

pub(crate) fn attributes(type_name: &str, id: &str) -> Result<Document<'static>, Refusal> {
    answering(|host| host.attributes(type_name, id))
}
