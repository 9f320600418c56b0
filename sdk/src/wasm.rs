//! What the SDK's types stand on in a sandbox: the contract's imports.
//!
//! Promises: nothing is asked of the host but what the plugin's code asks for. Must never: be reached natively.

use crate::bindings::base::portcullis::plugin::{
    clock as now, counter as count, crypto as keys, kv as values,
};
use crate::bindings::base::portcullis::plugin::{log as lines, lookup as entities, random as chance, types};
use crate::document::{Kind, LeafTable, Row};
use crate::{Failure, Finding, Header, Location, Node, Refusal};

#[derive(Debug)]
pub(crate) struct Request<'a>(pub(crate) &'a types::Request);

impl Request<'_> {
    pub(crate) fn method(&self) -> String {
        self.0.method()
    }

    pub(crate) fn path(&self) -> String {
        self.0.path()
    }

    pub(crate) fn query(&self) -> Option<String> {
        self.0.query()
    }

    pub(crate) fn headers(&self) -> Vec<Header> {
        headers(self.0.headers())
    }

    pub(crate) fn body(&self) -> Option<Document<'static>> {
        self.0.body().map(Document::Own)
    }

    pub(crate) fn raw_body(&self) -> Vec<u8> {
        self.0.raw_body()
    }
}

#[derive(Debug)]
pub(crate) enum Document<'a> {
    Lent(&'a types::Document),
    Own(types::Document),
}

impl Document<'_> {
    fn host(&self) -> &types::Document {
        match self {
            Self::Lent(document) => document,
            Self::Own(document) => document,
        }
    }

    pub(crate) fn get(&self, pointer: &str) -> Option<Node> {
        self.host().get(pointer).map(node)
    }

    pub(crate) fn members(&self, pointer: &str) -> Option<Vec<String>> {
        self.host().members(pointer)
    }

    pub(crate) fn leaf_table(&self) -> LeafTable {
        let types::LeafTable { text, rows } = self.host().leaf_table();
        LeafTable { text, rows: rows.into_iter().map(row).collect() }
    }

    pub(crate) fn json(&self, pointer: &str) -> Option<String> {
        self.host().json(pointer)
    }
}

fn row(row: types::LeafRow) -> Row {
    let kind = match row.kind {
        types::LeafKind::Null => Kind::Null,
        types::LeafKind::Boolean => Kind::Boolean,
        types::LeafKind::Number => Kind::Number,
        types::LeafKind::Text => Kind::Text,
        types::LeafKind::Array => Kind::Array,
        types::LeafKind::Object => Kind::Object,
    };
    Row { pointer_bytes: row.pointer_bytes as usize, value_bytes: row.value_bytes as usize, kind }
}

fn node(node: types::Node) -> Node {
    match node {
        types::Node::Null => Node::Null,
        types::Node::Boolean(value) => Node::Boolean(value),
        types::Node::Number(digits) => Node::Number(digits),
        types::Node::Text(text) => Node::Text(text),
        types::Node::Array(length) => Node::Array(length),
        types::Node::Object(length) => Node::Object(length),
    }
}

pub(crate) fn headers(headers: Vec<types::Header>) -> Vec<Header> {
    headers.into_iter().map(|header| Header { name: header.name, value: header.value }).collect()
}

pub(crate) fn findings(findings: Vec<Finding>) -> Vec<types::Finding> {
    let finding = |finding: Finding| types::Finding {
        rule: finding.rule,
        score: finding.score,
        location: match finding.location {
            Location::Whole => types::Location::Whole,
            Location::Path => types::Location::Path,
            Location::Query(name) => types::Location::Query(name),
            Location::Header(name) => types::Location::Header(name),
            Location::Body(pointer) => types::Location::Body(pointer),
        },
        detail: finding.detail,
    };
    findings.into_iter().map(finding).collect()
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unsupported => Self::Unsupported,
            Failure::Invalid => Self::Invalid,
            Failure::Unavailable => Self::Unavailable,
            Failure::Misconfigured => Self::Misconfigured,
        }
    }
}

impl From<types::Refusal> for Refusal {
    fn from(refusal: types::Refusal) -> Self {
        match refusal {
            types::Refusal::Unknown => Self::Unknown,
            types::Refusal::Invalid => Self::Invalid,
            types::Refusal::Unavailable => Self::Unavailable,
        }
    }
}

pub(crate) fn log(level: crate::host::log::Level, message: &str) {
    use crate::host::log::Level;
    let level = match level {
        Level::Debug => lines::Level::Debug,
        Level::Info => lines::Level::Info,
        Level::Warn => lines::Level::Warn,
        Level::Error => lines::Level::Error,
    };
    lines::write(level, message);
}

pub(crate) fn clock() -> u64 {
    now::now()
}

pub(crate) fn random(count: u32) -> Vec<u8> {
    chance::bytes(count)
}

pub(crate) mod counter {
    use super::{Refusal, count};

    pub(crate) fn add(key: &str, by: u32, window_seconds: u32) -> Result<u64, Refusal> {
        Ok(count::add(key, by, window_seconds)?)
    }

    pub(crate) fn read(key: &str, window_seconds: u32) -> Result<u64, Refusal> {
        Ok(count::read(key, window_seconds)?)
    }
}

pub(crate) mod kv {
    use super::{Refusal, values};

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Refusal> {
        Ok(values::get(key)?)
    }

    pub(crate) fn put(key: &str, value: &[u8], ttl_seconds: u32) -> Result<(), Refusal> {
        Ok(values::put(key, value, ttl_seconds)?)
    }

    pub(crate) fn delete(key: &str) -> Result<bool, Refusal> {
        Ok(values::delete(key)?)
    }
}

pub(crate) mod crypto {
    use super::{Refusal, keys};
    use crate::host::crypto::Algorithm;

    pub(crate) fn algorithm_of(key: &str) -> Result<Algorithm, Refusal> {
        Ok(match keys::algorithm_of(key)? {
            keys::Algorithm::HmacSha256 => Algorithm::HmacSha256,
            keys::Algorithm::Ed25519 => Algorithm::Ed25519,
            keys::Algorithm::Xchacha20Poly1305 => Algorithm::XChaCha20Poly1305,
        })
    }

    pub(crate) fn sign(key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(keys::sign(key, message)?)
    }

    pub(crate) fn verify(key: &str, message: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        Ok(keys::verify(key, message, signature)?)
    }

    pub(crate) fn hmac(key: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(keys::hmac(key, message)?)
    }

    pub(crate) fn seal(key: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(keys::seal(key, plain, place)?)
    }

    pub(crate) fn open(key: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        Ok(keys::open(key, sealed, place)?)
    }
}

pub(crate) fn attributes(type_name: &str, id: &str) -> Result<Document<'static>, Refusal> {
    Ok(Document::Own(entities::attributes(type_name, id)?))
}
