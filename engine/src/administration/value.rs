//! Attributes, tags and parents: checked by the pack's schema, and written so that reading them needs none.

use std::sync::Arc;

use cedar_policy::Entity;
use cedar_policy_core::ast::PartialValue;
use serde_json::{Map, Value, json};

use super::AdminError;
use crate::policy::Pack;

/// An entity's data as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// A JSON object in Cedar's form of entities.
    pub attributes: String,
    /// Likewise.
    pub tags: String,
    /// A JSON list of `[type, id]`, sorted.
    pub parents: String,
}

/// What is to be checked.
#[derive(Clone, Copy, Debug)]
pub struct Unchecked<'a> {
    /// The Cedar type.
    pub type_name: &'a str,
    /// The id.
    pub id: &'a str,
    /// Attributes, as JSON.
    pub attributes: &'a Map<String, Value>,
    /// Tags, as JSON.
    pub tags: &'a Map<String, Value>,
    /// Parents: Cedar types and ids.
    pub parents: &'a [(String, String)],
}

/// Checks and normalises.
///
/// # Errors
/// What does not fit the schema, in Cedar's words.
pub fn check(pack: &Arc<Pack>, unchecked: Unchecked<'_>) -> Result<Checked, AdminError> {
    let uid = |type_name: &str, id: &str| json!({"type": type_name, "id": id});
    let mut parents = unchecked.parents.to_vec();
    parents.sort();
    parents.dedup();
    let shown: Vec<Value> = parents.iter().map(|(type_name, id)| uid(type_name, id)).collect();
    let whole = json!({
        "uid": uid(unchecked.type_name, unchecked.id),
        "attrs": unchecked.attributes,
        "tags": unchecked.tags,
        "parents": shown,
    });
    let entity = Entity::from_json_value(whole, pack.schema.as_ref()).map_err(invalid)?;
    refuse_unknown(&entity)?;
    let mut normal = entity.to_json_value().map_err(invalid)?;
    let mut take = |name: &str| normal.get_mut(name).map_or_else(|| json!({}), Value::take);
    Ok(Checked {
        attributes: take("attrs").to_string(),
        tags: take("tags").to_string(),
        parents: json!(parents).to_string(),
    })
}

/// Cedar takes values that it does not know yet. They are for its own use, and no question could be decided by them.
fn refuse_unknown(entity: &Entity) -> Result<(), AdminError> {
    let core: &cedar_policy_core::ast::Entity = entity.as_ref();
    let mut values = core.attrs().chain(core.tags());
    match values.find(|(_, value)| !matches!(value, PartialValue::Value(_))) {
        Some((name, _)) => Err(AdminError::AttributesInvalid(format!("`{name}` has no value that is known"))),
        None => Ok(()),
    }
}

fn invalid(error: impl std::error::Error) -> AdminError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    AdminError::AttributesInvalid(text)
}

/// Attributes or tags as they are shown.
pub fn shown(stored: &str) -> Value {
    serde_json::from_str(stored).unwrap_or(Value::Null)
}

/// Parents as they are stored.
pub fn parents(stored: &str) -> Vec<(String, String)> {
    serde_json::from_str(stored).unwrap_or_default()
}
