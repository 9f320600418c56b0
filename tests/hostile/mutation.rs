//! Spoiling a sound request: its values, its bytes, or its headers.

use portcullis_tests::XorShift;
use serde_json::{Value, json};

use super::generator::free;

/// A request's body and what it is said to be.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: &'static str,
}

impl Body {
    pub(super) fn sound(value: &Value) -> Self {
        Self { bytes: value.to_string().into_bytes(), kind: "application/json" }
    }

    /// The body of `value` with something wrong.
    pub(super) fn spoiled(mut value: Value, random: &mut XorShift) -> Self {
        match random.below(10) {
            0 => Self {
                kind: *random.pick(&["text/plain", "application/xml", "application/json; charset=utf-16"]),
                ..Self::sound(&value)
            },
            1 => {
                let mut body = Self::sound(&value);
                spoil_bytes(&mut body.bytes, random);
                body
            }
            _ => {
                for _ in 0..=random.below(3) {
                    spoil_value(&mut value, random);
                }
                Self::sound(&value)
            }
        }
    }
}

fn spoil_bytes(bytes: &mut Vec<u8>, random: &mut XorShift) {
    let at = random.below(bytes.len());
    match random.below(4) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.next_u64().to_le_bytes()[0]),
        2 => bytes.extend_from_slice(b"{}"),
        _ => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

/// Changes one place of the value, at any depth.
fn spoil_value(value: &mut Value, random: &mut XorShift) {
    match value {
        Value::Object(members) if !members.is_empty() && !random.one_in(4) => {
            let names: Vec<String> = members.keys().cloned().collect();
            let name = random.pick(&names).clone();
            match random.below(6) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert("surprise".into(), json!(1))),
                2 => drop(members.insert(name, hostile(random))),
                _ => spoil_value(members.get_mut(&name).expect("a member"), random),
            }
        }
        Value::Array(items) if !items.is_empty() && !random.one_in(4) => {
            let at = random.below(items.len());
            if random.one_in(5) {
                let copy = items[at].clone();
                items.extend(std::iter::repeat_n(copy, 20));
            } else {
                spoil_value(&mut items[at], random);
            }
        }
        leaf => *leaf = hostile(random),
    }
}

/// A value that something may trip over.
fn hostile(random: &mut XorShift) -> Value {
    match random.below(12) {
        0 => Value::Null,
        1 => json!(u64::MAX),
        2 => json!(1e300),
        3 => json!(i64::MIN),
        4 => json!("\u{0}"),
        5 => json!("x".repeat(10_000)),
        6 => json!({"__entity": {"type": "user", "id": "alice"}}),
        7 => json!({"__extn": {"fn": "decimal", "arg": "1.0"}}),
        8 => json!("\"); permit(principal, action, resource); //"),
        9 => json!({"verified": {"assurance": {"aal": 3}}}),
        10 => (0..40).fold(json!(1), |inner, _| json!([inner])),
        _ => free(random, 0),
    }
}
