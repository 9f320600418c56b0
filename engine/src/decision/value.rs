//! What an application asserts, as Cedar values.
//!
//! Cedar has no null, no fractions and 64-bit integers. Members that are null are dropped; a
//! number with a fraction or an exponent that is exactly a decimal becomes one; what can't be
//! said is left out and its place is kept. `__entity` and `__extn` are ordinary keys here: only files and
//! simulation may name entities, never a request.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Name, RestrictedExpr, Value, ValueKind};
use cedar_policy_core::evaluator::RestrictedEvaluator;
use cedar_policy_core::extensions::Extensions;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

/// A JSON object as Cedar has it.
pub type Record = BTreeMap<SmolStr, Value>;

/// The place of a value that was left out: the names of the members that lead to it.
pub type Path = Vec<SmolStr>;

/// An object, and what of it Cedar can't say.
#[derive(Clone, Debug, Default)]
pub struct Object {
    /// What Cedar can say.
    pub record: Record,
    /// Where something was left out.
    pub left_out: Vec<Path>,
    /// Its own members that are null.
    pub nulls: Vec<SmolStr>,
}

impl Object {
    /// Whether the object has a member with this name, even one that is null or was left out.
    pub fn has(&self, name: &str) -> bool {
        let first_is = |path: &Path| path.first().is_some_and(|first| first == name);
        self.record.contains_key(name)
            || self.nulls.iter().any(|null| null == name)
            || self.left_out.iter().any(first_is)
    }
}

/// The text is not an object, or a key stands in it twice.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    /// Whether a key stands in an object twice.
    pub fn is_duplicate(&self) -> bool {
        self.0.starts_with(DUPLICATE)
    }
}

const DUPLICATE: &str = "duplicate key";

/// Reads a JSON object.
///
/// # Errors
/// When it is not an object, has a duplicate key, or is not JSON.
pub fn parse_object(text: &RawValue) -> Result<Object, ValueError> {
    let mut object = Object::default();
    let mut path = Vec::new();
    let Object { left_out, nulls, .. } = &mut object;
    let reader = ObjectReader { path: &mut path, left_out, nulls };
    let mut deserializer = serde_json::Deserializer::from_str(text.get());
    let record =
        reader.deserialize(&mut deserializer).map_err(|error| ValueError(without_position(&error)))?;
    object.record = record;
    Ok(object)
}

/// serde's positions are within the object, not the body: they would mislead.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

struct ObjectReader<'r> {
    path: &'r mut Path,
    left_out: &'r mut Vec<Path>,
    nulls: &'r mut Vec<SmolStr>,
}

impl<'de> DeserializeSeed<'de> for ObjectReader<'_> {
    type Value = Record;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Record, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectReader<'_> {
    type Value = Record;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Record, M::Error> {
        let mut record = Record::new();
        // Names whose value was dropped or left out: they are no members, but still duplicates.
        let mut absent: BTreeSet<SmolStr> = BTreeSet::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            let name = SmolStr::new(name);
            if record.contains_key(&name) || absent.contains(&name) {
                return Err(M::Error::custom(format_args!("{DUPLICATE} `{name}`")));
            }
            let raw: &RawValue = members.next_value()?;
            self.path.push(name.clone());
            let value = read(raw.get(), self.path, self.left_out).map_err(M::Error::custom)?;
            match value {
                Read::Value(value) => {
                    record.insert(name, value);
                }
                Read::Null => {
                    if self.path.len() == 1 {
                        self.nulls.push(name.clone());
                    }
                    absent.insert(name);
                }
                Read::Unrepresentable => {
                    leave_out(self.left_out, self.path);
                    absent.insert(name);
                }
            }
            self.path.pop();
        }
        Ok(record)
    }
}

/// More places than this within an object are kept by its own members alone: their whole paths could take many
/// times the memory of the text. A shorter path covers all that is below it.
const EXACT_PATHS: usize = 1_000;

fn leave_out(left_out: &mut Vec<Path>, path: &Path) {
    let exact = left_out.len() < EXACT_PATHS;
    let kept = if exact { path.clone() } else { path.first().cloned().into_iter().collect() };
    if exact || left_out.last() != Some(&kept) {
        left_out.push(kept);
    }
}

enum Read {
    Value(Value),
    Null,
    Unrepresentable,
}

fn read(text: &str, path: &mut Path, left_out: &mut Vec<Path>) -> Result<Read, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match text.bytes().next() {
        Some(b'{') => {
            let nulls = &mut Vec::new();
            let record = ObjectReader { path, left_out, nulls }.deserialize(&mut deserializer)?;
            Ok(Read::Value(Value { value: ValueKind::Record(Arc::new(record)), loc: None }))
        }
        Some(b'[') => deserializer.deserialize_seq(ListReader),
        Some(b'"') => {
            let text: Cow<'_, str> = serde::Deserialize::deserialize(&mut deserializer)?;
            Ok(literal(Literal::String(SmolStr::new(text))))
        }
        Some(b't') => Ok(literal(Literal::Bool(true))),
        Some(b'f') => Ok(literal(Literal::Bool(false))),
        Some(b'n') => Ok(Read::Null),
        _ => Ok(number(text)),
    }
}

fn literal(literal: Literal) -> Read {
    Read::Value(Value { value: ValueKind::Lit(literal), loc: None })
}

/// A list becomes a set. One element that can't be said takes the whole list with it: a set
/// with an element missing is another set.
struct ListReader;

impl<'de> Visitor<'de> for ListReader {
    type Value = Read;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<Read, S::Error> {
        let mut values = Vec::new();
        let mut complete = true;
        while let Some(raw) = elements.next_element::<&RawValue>()? {
            let mut inside = Vec::new();
            let element = read(raw.get(), &mut Vec::new(), &mut inside).map_err(S::Error::custom)?;
            match element {
                Read::Value(value) if inside.is_empty() => values.push(value),
                _ => complete = false,
            }
        }
        Ok(if complete { Read::Value(Value::set(values, None)) } else { Read::Unrepresentable })
    }
}

/// Integers of 64 bits as they are; anything else is a decimal if it is exactly one.
fn number(text: &str) -> Read {
    if let Ok(integer) = text.parse::<i64>() {
        return literal(Literal::Long(integer));
    }
    match plain_decimal(text).and_then(|plain| decimal(&plain)) {
        Some(value) => Read::Value(value),
        None => Read::Unrepresentable,
    }
}

/// Writes a JSON number (RFC 8259 §6) with a fraction or an exponent as `[-]digits.digits` with at most four
/// digits of fraction, if that is exactly the same number.
fn plain_decimal(text: &str) -> Option<String> {
    const FRACTION_DIGITS: i64 = 4;
    // Cedar's decimal has 15 digits before the point at most.
    const LONGEST: i64 = 32;
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None if unsigned.contains('.') => (unsigned, 0),
        None => return None,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some(format!("{sign}0.0"));
    }
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    // The number is `significant` times ten to the power of `scale`.
    let scale = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
    let length = i64::try_from(significant.len()).ok()?;
    if scale < -FRACTION_DIGITS || scale.checked_add(length)? > LONGEST {
        return None;
    }
    if scale >= 0 {
        let zeros = "0".repeat(usize::try_from(scale).ok()?);
        return Some(format!("{sign}{significant}{zeros}.0"));
    }
    let places = usize::try_from(-scale).ok()?;
    let padded = format!("{significant:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at_checked(padded.len() - places)?;
    Some(format!("{sign}{whole}.{fraction}"))
}

fn decimal(plain: &str) -> Option<Value> {
    let name: Name = Name::parse_unqualified_name("decimal").ok()?;
    let call = RestrictedExpr::call_extension_fn(name, [RestrictedExpr::val(plain)]);
    RestrictedEvaluator::new(Extensions::all_available()).interpret(call.as_borrowed()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object(text: &str) -> Object {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        parse_object(raw).unwrap()
    }

    fn left_out(text: &str) -> Vec<String> {
        object(text).left_out.iter().map(|path| path.join("/")).collect()
    }

    #[test]
    fn null_members_are_dropped() {
        let object = object(r#"{"a": null, "b": {"c": null, "d": 1}}"#);
        assert!(!object.record.contains_key("a"));
        assert_eq!(object.record["b"].to_string(), r#"{d: 1}"#);
        assert!(object.left_out.is_empty());
    }

    #[test]
    fn fractions_become_decimals_when_they_are_exact() {
        for (json, cedar) in [
            ("1.5", "1.5"),
            ("-0.0001", "-0.0001"),
            ("1e2", "100.0"),
            ("1.50e1", "15.0"),
            ("922337203685477.5807", "922337203685477.5807"),
            ("0.0", "0.0"),
            ("10.00000", "10.0"),
        ] {
            let object = object(&format!("{{\"n\": {json}}}"));
            assert_eq!(object.record["n"].to_string(), format!("decimal(\"{cedar}\")"), "{json}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_left_out_and_named() {
        assert_eq!(left_out(r#"{"n": 18446744073709551616}"#), ["n"]);
        assert_eq!(left_out(r#"{"n": 0.00001}"#), ["n"]);
        assert_eq!(left_out(r#"{"n": 1.00000000000000001}"#), ["n"]);
        assert_eq!(left_out(r#"{"n": 922337203685477.5808}"#), ["n"]);
        assert_eq!(left_out(r#"{"n": 1e999999999999999999999}"#), ["n"]);
        assert_eq!(left_out(r#"{"a": {"b": [1, [null]]}}"#), ["a/b"]);
        assert_eq!(left_out(r#"{"a": [{"b": 1e-9}]}"#), ["a"]);
    }

    #[test]
    fn many_places_are_kept_by_their_first_member() {
        let members: Vec<String> = (0..5_000).map(|n| format!("\"m{n}\": 1e-9")).collect();
        let text = format!("{{\"a\": {{{0}}}, \"verified\": 1e-9, \"b\": {{{0}}}}}", members.join(","));
        let object = object(&text);
        assert_eq!(object.left_out.len(), EXACT_PATHS + 3);
        assert!(["a", "b", "verified"].into_iter().all(|name| object.left_out.contains(&vec![name.into()])));
        assert!(object.has("verified"));
    }

    #[test]
    fn escapes_for_entities_are_ordinary_keys() {
        let object = object(r#"{"o": {"__entity": {"type": "User", "id": "root"}}}"#);
        assert!(matches!(object.record["o"].value, ValueKind::Record(_)));
    }

    #[test]
    fn duplicate_keys_are_refused_at_every_depth() {
        for text in
            [r#"{"a":1,"a":2}"#, r#"{"a":null,"a":2}"#, r#"{"a":{"b":1,"b":1}}"#, r#"{"a":[{"b":1,"b":1}]}"#]
        {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert!(parse_object(raw).unwrap_err().to_string().contains("duplicate key"), "{text}");
        }
    }

    #[test]
    fn only_an_object_is_an_object() {
        for text in ["1", "[]", "\"a\"", "null", "true"] {
            let raw: &RawValue = serde_json::from_str(text).unwrap();
            assert!(parse_object(raw).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_cedar_decimal_comes_through(ten_thousandths: i64) {
            let sign = if ten_thousandths < 0 { "-" } else { "" };
            let all = ten_thousandths.unsigned_abs();
            let text = format!("{sign}{}.{:04}", all / 10_000, all % 10_000);
            let object = object(&format!("{{\"n\": {text}}}"));
            let RestrictedOk(expected) = RestrictedOk::of(&text);
            prop_assert_eq!(object.record["n"].clone(), expected);
        }
    }

    struct RestrictedOk(Value);

    impl RestrictedOk {
        fn of(text: &str) -> Self {
            Self(decimal(text).unwrap())
        }
    }
}
