//! Small questions about JSON that several tests ask.

use std::collections::BTreeSet;

use serde_json::Value;

/// Whether `wanted` stands somewhere in `value`, as a whole string.
pub(crate) fn holds_string(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text == wanted,
        Value::Array(items) => items.iter().any(|item| holds_string(item, wanted)),
        Value::Object(members) => members.values().any(|member| holds_string(member, wanted)),
        _ => false,
    }
}

/// A list of strings as a set; the list may not repeat itself.
#[track_caller]
pub(crate) fn set(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().unwrap_or_else(|| panic!("not a list: {list}"));
    let set: BTreeSet<String> = items.iter().map(|item| item.as_str().unwrap().to_owned()).collect();
    assert_eq!(set.len(), items.len(), "repeated: {list}");
    set
}

/// The same of literals.
pub(crate) fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// The names of an object's members.
#[track_caller]
pub(crate) fn members(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}")).keys().cloned().collect()
}
