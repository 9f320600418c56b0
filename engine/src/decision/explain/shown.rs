//! Values, entities and texts as an explanation shows them.
//!
//! Promises: nothing that is shown is much longer than its bound, and looking whether it is takes no longer.

use std::sync::Arc;

use cedar_policy_core::ast::{EntityUID, Literal, Value, ValueKind};
use cedar_policy_core::entities::CedarValueJson;
use serde::Serialize;

/// How many characters are shown of a policy, and of a clause.
pub(super) const POLICY: usize = 4_000;
pub(super) const CLAUSE: usize = 1_000;

/// How many bytes are shown of a value.
const VALUE_BYTES: usize = 1_024;

/// A type and an id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = EntityName)]
pub struct EntityTold {
    /// Its type, as policies name it.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its id within the type.
    pub id: String,
}

impl EntityTold {
    pub(super) fn of(uid: &EntityUID) -> Self {
        Self { type_name: uid.entity_type().to_string(), id: AsRef::<str>::as_ref(uid.eid()).to_owned() }
    }
}

/// A value in JSON; of a long one, the beginning of its text.
pub(super) struct ValueTold {
    pub(super) json: serde_json::Value,
    /// Whether it is only the beginning.
    pub(super) cut: bool,
}

impl ValueTold {
    pub(super) fn of(value: &Value) -> Self {
        if let Some(json) = json(value) {
            return Self { json, cut: false };
        }
        let text = match value.value_kind() {
            ValueKind::Lit(Literal::String(text)) => excerpt(text, VALUE_BYTES / 4),
            ValueKind::Set(set) => format!("a set of {} elements", set.len()),
            ValueKind::Record(members) => format!("a record of {} attributes", members.len()),
            _ => "a long value".to_owned(),
        };
        Self { json: text.into(), cut: true }
    }
}

/// A value in JSON, unless it is a long one.
pub(super) fn json(value: &Value) -> Option<serde_json::Value> {
    let mut left = VALUE_BYTES;
    weigh(value, &mut left)?;
    let json = CedarValueJson::from_value(value.clone()).ok()?;
    serde_json::to_value(json).ok()
}

/// Takes what a value's text takes, about; none when that is too much.
fn weigh(value: &Value, left: &mut usize) -> Option<()> {
    let own = match value.value_kind() {
        ValueKind::Lit(Literal::String(text)) => text.len(),
        ValueKind::Lit(Literal::EntityUID(uid)) => AsRef::<str>::as_ref(uid.eid()).len() + 32,
        _ => 4,
    };
    *left = left.checked_sub(own)?;
    match value.value_kind() {
        ValueKind::Set(set) => set.iter().try_for_each(|element| weigh(element, left)),
        ValueKind::Record(members) => members.iter().try_for_each(|(name, member)| {
            *left = left.checked_sub(name.len())?;
            weigh(member, left)
        }),
        _ => Some(()),
    }
}

/// A text; a long one is cut.
pub(super) fn excerpt(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A value made of a literal.
pub(super) fn literal(literal: impl Into<Literal>) -> Value {
    Value { value: ValueKind::Lit(literal.into()), loc: None }
}

/// An entity as a value.
pub(super) fn reference(uid: &EntityUID) -> Value {
    literal(Literal::EntityUID(Arc::new(uid.clone())))
}
