//! Whether an answer keeps the contract: what does not is the plugin's failure, and never used.

use std::collections::BTreeSet;

use serde_json::Value;

use super::bindings::exports::portcullis::plugin::{detector, masker, validator};
use super::bindings::portcullis::plugin::types;
use super::host::Ended;
use super::output::{Assessment, Contribution, Edit, Finding, Location, Replacement, Validated};
use super::{FailureKind, pointer};

/// An answer has at most so many findings, contributions, headers.
const MOST: usize = 1_000;
/// And so many edits.
const MOST_EDITS: usize = 100_000;
const CODE_BYTES: usize = 64;
const DETAIL_BYTES: usize = 512;
const LOCATION_BYTES: usize = 1_024;

fn bad(message: impl Into<String>) -> Ended {
    Ended::new(FailureKind::BadAnswer, message)
}

fn said(failure: types::Failure) -> Ended {
    let what = match failure {
        types::Failure::Unsupported => "it can't do that kind of thing",
        types::Failure::Invalid => "what it was given is not what it needs",
        types::Failure::Unavailable => "what it needs can't be had now",
        types::Failure::Misconfigured => "its configuration is not usable",
    };
    Ended::new(FailureKind::Failed, what)
}

/// Counts what an answer holds.
struct Room(u64, u64);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), Ended> {
        let Self(most, left) = self;
        *left = left.checked_sub(bytes as u64).ok_or_else(|| {
            Ended::new(FailureKind::OutputSize, format!("its answer has more than {most} bytes"))
        })?;
        Ok(())
    }
}

pub(super) fn validated(
    answer: Result<Vec<types::Finding>, validator::Rejection>,
    most: u64,
) -> Result<Validated, Ended> {
    let mut room = Room(most, most);
    let (given, rejection) = match answer {
        Ok(findings) => (findings, None),
        Err(validator::Rejection { reason, findings }) => (findings, Some(reason)),
    };
    if let Some(reason) = &rejection {
        check_code("rejection", reason)?;
    }
    Ok(Validated { findings: findings(given, &mut room)?, rejection })
}

pub(super) fn assessed(
    answer: Result<detector::Assessment, types::Failure>,
    most: u64,
) -> Result<Assessment, Ended> {
    let mut room = Room(most, most);
    let detector::Assessment { risk, findings: given } = answer.map_err(said)?;
    check_count("contributions", risk.len(), MOST)?;
    let mut parts = Vec::with_capacity(risk.len());
    for detector::Contribution { points, reason } in risk {
        if points > 100 {
            return Err(bad(format!("a contribution has {points} points: 100 is the most")));
        }
        room.take(reason.len())?;
        check_code("reason", &reason)?;
        parts.push(Contribution { points, reason });
    }
    Ok(Assessment { risk: parts, findings: findings(given, &mut room)? })
}

fn findings(given: Vec<types::Finding>, room: &mut Room) -> Result<Vec<Finding>, Ended> {
    check_count("findings", given.len(), MOST)?;
    let mut findings = Vec::with_capacity(given.len());
    for types::Finding { rule, score, location, detail } in given {
        check_code("rule", &rule)?;
        if score > 100 {
            return Err(bad(format!("the finding `{rule}` has the score {score}: 100 is the most")));
        }
        if detail.len() > DETAIL_BYTES {
            return Err(bad(format!("the detail of `{rule}` has more than {DETAIL_BYTES} bytes")));
        }
        let location = match location {
            types::Location::Whole => Location::Whole,
            types::Location::Path => Location::Path,
            types::Location::Query(name) => Location::Query(name),
            types::Location::Header(name) => Location::Header(name),
            types::Location::Body(pointer) => Location::Body(pointer),
        };
        let place = location.to_string();
        if place.len() > LOCATION_BYTES {
            return Err(bad(format!("the location of `{rule}` has more than {LOCATION_BYTES} bytes")));
        }
        room.take(rule.len() + detail.len() + place.len())?;
        findings.push(Finding { rule, score, location, detail });
    }
    Ok(findings)
}

pub(super) fn masked(
    answer: Result<Vec<masker::Edit>, types::Failure>,
    document: &Value,
    most: u64,
) -> Result<Vec<Edit>, Ended> {
    let mut room = Room(most, most);
    let given = answer.map_err(said)?;
    check_count("edits", given.len(), MOST_EDITS)?;
    let mut edits = Vec::with_capacity(given.len());
    for masker::Edit { pointer, replacement } in given {
        if pointer::find(document, &pointer).is_none() {
            return Err(bad("an edit points where nothing stands"));
        }
        let replacement = match replacement {
            masker::Replacement::Text(text) => Replacement::Text(text),
            masker::Replacement::Null => Replacement::Null,
            masker::Replacement::Remove => Replacement::Remove,
        };
        let text = if let Replacement::Text(text) = &replacement { text.len() } else { 0 };
        room.take(pointer.len() + text)?;
        edits.push(Edit { pointer, replacement });
    }
    check_apart(&edits)?;
    Ok(edits)
}

/// No two edits in one place, or one within another.
fn check_apart(edits: &[Edit]) -> Result<(), Ended> {
    // With the slash behind each, what is within another stands right behind it.
    let places: BTreeSet<String> = edits.iter().map(|edit| format!("{}/", edit.pointer)).collect();
    if places.len() < edits.len() {
        return Err(bad("two edits stand in the same place"));
    }
    let mut before: Option<&String> = None;
    for place in &places {
        if before.is_some_and(|before| place.starts_with(before.as_str())) {
            return Err(bad("an edit stands within another"));
        }
        before = Some(place);
    }
    Ok(())
}

pub(super) fn signed(
    answer: Result<Vec<types::Header>, types::Failure>,
    most: u64,
) -> Result<Vec<(String, String)>, Ended> {
    let mut room = Room(most, most);
    let given = answer.map_err(said)?;
    check_count("headers", given.len(), MOST)?;
    let mut headers = Vec::with_capacity(given.len());
    for types::Header { name, value } in given {
        room.take(name.len() + value.len())?;
        // RFC 9110 §5.1, §5.5; a name in lower case stands for all its spellings.
        let token = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte)
        };
        let visible = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        let is_framed = value.trim_matches([' ', '\t']) == value;
        if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(visible) || !is_framed {
            return Err(bad("a header has no name or value that a header can have"));
        }
        headers.push((name, value));
    }
    Ok(headers)
}

fn check_count(what: &str, count: usize, most: usize) -> Result<(), Ended> {
    if count > most {
        return Err(bad(format!("it has {count} {what}: {most} are the most")));
    }
    Ok(())
}

/// Rules, reasons of rejections and of risks.
fn check_code(what: &str, code: &str) -> Result<(), Ended> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if (1..=CODE_BYTES).contains(&code.len()) && code.bytes().all(letter) {
        return Ok(());
    }
    Err(bad(format!(
        "a {what} is no code: lower case letters, digits, `-`, `_` and `.`, from 1 to {CODE_BYTES}"
    )))
}
