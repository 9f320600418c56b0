//! Attributes by the way that leads to them, as `resource.owner.level`.
//!
//! Where a way goes through another entity, the attribute is that entity's.

use cedar_policy_core::ast::{EntityUID, Expr, ExprKind, Literal, PartialValue, Value, ValueKind, Var};
use smol_str::SmolStr;

use super::judge::Judge;
use crate::question::VERIFIED;

/// Who has an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Context,
    Entity(EntityUID),
}

/// Where an attribute is, and what it is.
#[derive(Debug)]
pub(super) struct Attribute {
    pub(super) holder: Holder,
    pub(super) path: Vec<SmolStr>,
    /// None when it is not there.
    pub(super) value: Option<Value>,
    /// Whether a change may set it: what Portcullis itself finds out and what actions are is not for anyone to say.
    pub(super) is_open: bool,
}

/// A longer way is not followed.
const LONGEST: usize = 16;

/// The variable or entity that a way starts from, and its steps.
pub(super) fn way(expr: &Expr) -> Option<(&Expr, Vec<&SmolStr>)> {
    let (mut at, mut steps) = (expr, Vec::new());
    loop {
        match at.expr_kind() {
            ExprKind::GetAttr { expr, attr } if steps.len() < LONGEST => {
                steps.push(attr);
                at = expr;
            }
            ExprKind::Var(_) | ExprKind::Lit(Literal::EntityUID(_)) => break,
            _ => return None,
        }
    }
    steps.reverse();
    Some((at, steps))
}

impl Judge<'_, '_> {
    /// The attribute that an expression reads, with further steps from there.
    pub(super) fn attribute<'e>(
        &self,
        expr: &'e Expr,
        further: impl IntoIterator<Item = &'e SmolStr>,
    ) -> Option<Attribute> {
        let (root, mut steps) = way(expr)?;
        steps.extend(further.into_iter().take(LONGEST));
        let question = self.asking.question;
        let (mut holder, is_named) = match root.expr_kind() {
            ExprKind::Var(Var::Principal) => (Holder::Entity(question.principal.clone()), false),
            ExprKind::Var(Var::Resource) => (Holder::Entity(question.resource.clone()), false),
            ExprKind::Var(Var::Action) => (Holder::Entity(question.action.clone()), true),
            ExprKind::Var(Var::Context) => (Holder::Context, false),
            ExprKind::Lit(Literal::EntityUID(uid)) => (Holder::Entity(uid.as_ref().clone()), true),
            _ => return None,
        };
        let mut path: Vec<SmolStr> = Vec::new();
        let mut value: Option<Value> = None;
        for step in steps {
            if !path.is_empty() {
                match value.as_ref().map(Value::value_kind) {
                    Some(ValueKind::Lit(Literal::EntityUID(uid))) => {
                        holder = Holder::Entity(uid.as_ref().clone());
                        path.clear();
                    }
                    Some(ValueKind::Record(_)) | None => {}
                    Some(_) => return None,
                }
            }
            value = match (&holder, path.is_empty(), &value) {
                (Holder::Context, true, _) => question.context.get(step).cloned(),
                (Holder::Entity(uid), true, _) => {
                    self.entity(uid).and_then(|entity| match entity.get(step) {
                        Some(PartialValue::Value(value)) => Some(value.clone()),
                        _ => None,
                    })
                }
                (_, false, Some(Value { value: ValueKind::Record(members), .. })) => {
                    members.get(step).cloned()
                }
                _ => None,
            };
            path.push(step.clone());
        }
        let first = path.first()?;
        let is_open = !is_named
            && match &holder {
                Holder::Context => first != VERIFIED,
                Holder::Entity(uid) => !uid.entity_type().is_action(),
            };
        Some(Attribute { holder, path, value, is_open })
    }
}

/// A way as a policy would write it.
pub(super) fn text<'s>(root: &str, steps: impl IntoIterator<Item = &'s SmolStr>) -> String {
    let mut text = root.to_owned();
    for step in steps {
        let mut letters = step.chars();
        let is_name = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if is_name {
            text.push('.');
            text.push_str(step);
        } else {
            text.push_str(&format!("[\"{}\"]", step.escape_debug()));
        }
    }
    text
}
