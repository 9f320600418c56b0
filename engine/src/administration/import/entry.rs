//! One entity as it was written: Cedar's form `{uid, attrs, parents, tags}`, or the API's
//! `{type, id, attributes, parents, tags}`.
//!
//! Promises: an object that has a key twice, at any depth, or a member that the form does not have, is refused.

use std::fmt;

use serde_json::{Map, Value};

use crate::object::Unambiguous;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Whether types have the names that Cedar has for them, and not those of the API.
    pub is_cedar: bool,
    /// The type.
    pub type_name: String,
    /// The id.
    pub id: String,
    /// Attributes.
    pub attributes: Map<String, Value>,
    /// Tags.
    pub tags: Map<String, Value>,
    /// Parents: types and ids.
    pub parents: Vec<(String, String)>,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryError {
    /// Which member; none when it is no JSON object.
    pub field: Option<String>,
    /// What.
    pub message: String,
}

impl EntryError {
    fn of(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), message: message.into() }
    }
}

/// Reads one.
///
/// # Errors
/// When it is not of one of the forms.
pub fn parse(json: &[u8]) -> Result<Entry, EntryError> {
    let malformed = |error: &dyn fmt::Display| EntryError { field: None, message: error.to_string() };
    let text = std::str::from_utf8(json).map_err(|_| malformed(&"the text is not UTF-8"))?;
    let Unambiguous(value) = serde_json::from_str(text).map_err(|error| malformed(&within_line(&error)))?;
    let Value::Object(mut members) = value else {
        return Err(malformed(&"an entity is a JSON object"));
    };
    let is_cedar = members.contains_key("uid");
    let (attributes, own) =
        if is_cedar { ("attrs", ["uid"].as_slice()) } else { ("attributes", ["type", "id"].as_slice()) };
    let known = |name: &String| {
        [attributes, "parents", "tags"].contains(&name.as_str()) || own.contains(&name.as_str())
    };
    if let Some(unknown) = members.keys().find(|name| !known(name)) {
        let forms = "an entity has `uid`, `attrs`, `parents`, `tags`, or `type`, `id`, `attributes`, `parents`, `tags`";
        return Err(EntryError::of(unknown.clone(), format!("no entity has this member: {forms}")));
    }
    let (type_name, id) = match members.remove("uid") {
        Some(uid) => name_of(uid, "uid")?,
        None => (text_of(members.remove("type"), "type")?, text_of(members.remove("id"), "id")?),
    };
    Ok(Entry {
        is_cedar,
        type_name,
        id,
        attributes: object_of(members.remove(attributes), attributes)?,
        tags: object_of(members.remove("tags"), "tags")?,
        parents: parents_of(members.remove("parents"))?,
    })
}

/// A parser's message without the line, which here is always the first.
fn within_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => format!("{message} at column {}", error.column()),
        None => text,
    }
}

fn text_of(value: Option<Value>, field: &str) -> Result<String, EntryError> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(EntryError::of(field, "must be a string")),
        None => Err(EntryError::of(field, "is missing")),
    }
}

fn object_of(value: Option<Value>, field: &str) -> Result<Map<String, Value>, EntryError> {
    match value {
        Some(Value::Object(members)) => Ok(members),
        None => Ok(Map::new()),
        Some(_) => Err(EntryError::of(field, "must be an object")),
    }
}

/// `{"type", "id"}`, perhaps within Cedar's `__entity`.
fn name_of(value: Value, field: &str) -> Result<(String, String), EntryError> {
    let wrong = || EntryError::of(field, "must be an object with `type` and `id`");
    let Value::Object(mut members) = value else { return Err(wrong()) };
    if let (Some(Value::Object(inner)), 1) = (members.get("__entity"), members.len()) {
        members = inner.clone();
    }
    match (members.remove("type"), members.remove("id"), members.is_empty()) {
        (Some(Value::String(type_name)), Some(Value::String(id)), true) => Ok((type_name, id)),
        _ => Err(wrong()),
    }
}

fn parents_of(value: Option<Value>) -> Result<Vec<(String, String)>, EntryError> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(parents)) => {
            let parents = parents.into_iter().enumerate();
            parents.map(|(place, parent)| name_of(parent, &format!("parents[{place}]"))).collect()
        }
        Some(_) => Err(EntryError::of("parents", "must be a list")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let cedar = parse(
            br#"{"uid": {"__entity": {"type": "User", "id": "a"}}, "attrs": {"n": 1},
                "parents": [{"type": "Team", "id": "t"}], "tags": {"k": "v"}}"#,
        );
        let ours = parse(
            br#"{"type": "User", "id": "a", "attributes": {"n": 1},
                "parents": [{"__entity": {"type": "Team", "id": "t"}}], "tags": {"k": "v"}}"#,
        );
        let expected = Entry {
            is_cedar: true,
            type_name: "User".into(),
            id: "a".into(),
            attributes: json!({"n": 1}).as_object().unwrap().clone(),
            tags: json!({"k": "v"}).as_object().unwrap().clone(),
            parents: vec![("Team".into(), "t".into())],
        };
        assert_eq!(cedar.unwrap(), expected);
        assert_eq!(ours.unwrap(), Entry { is_cedar: false, ..expected });
    }

    #[test]
    fn what_is_of_no_form_is_refused_and_its_member_named() {
        for (text, field, said) in [
            ("", None, "EOF"),
            ("[]", None, "JSON object"),
            ("{\"uid\": 1} x", None, "trailing"),
            ("{\"id\": \"a\"}", Some("type"), "missing"),
            ("{\"type\": \"T\", \"id\": 1}", Some("id"), "string"),
            ("{\"id\": \"a\", \"uid\": {}}", Some("id"), "no entity has"),
            ("{\"type\": \"T\", \"id\": \"a\", \"attrs\": {}}", Some("attrs"), "no entity has"),
            ("{\"type\": \"T\", \"id\": \"a\", \"attributes\": []}", Some("attributes"), "object"),
            ("{\"type\": \"T\", \"id\": \"a\", \"parents\": {}}", Some("parents"), "list"),
            (
                "{\"type\": \"T\", \"id\": \"a\", \"parents\": [{\"type\": \"T\"}]}",
                Some("parents[0]"),
                "`id`",
            ),
            ("{\"uid\": {\"type\": \"T\", \"id\": \"a\", \"x\": 1}}", Some("uid"), "`id`"),
            ("{\"uid\": \"T::a\"}", Some("uid"), "object"),
            ("{\"type\": \"T\", \"id\": \"a\", \"id\": \"b\"}", None, "`id` stands twice"),
            (
                "{\"type\": \"T\", \"id\": \"a\", \"tags\": {\"x\": {\"k\": 1, \"k\": 2}}}",
                None,
                "`k` stands twice",
            ),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.field.as_deref(), field, "{text}");
            assert!(error.message.contains(said), "{text}: {}", error.message);
        }
        assert!(parse(b"{\"type\": \"\xff\"}").unwrap_err().message.contains("UTF-8"));
        let deep = format!("{{\"type\": {}", "[".repeat(100_000));
        assert!(parse(deep.as_bytes()).is_err());
    }
}
