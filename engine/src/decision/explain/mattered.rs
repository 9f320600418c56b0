//! What the clauses of policies read, with the values that it had.

use std::collections::HashSet;

use cedar_policy_core::ast::{Expr, ExprKind};
use serde::Serialize;

use super::Asking;
use super::judge::Judge;
use super::path::{Attribute, Holder, text, way};
use super::shown::{EntityTold, ValueTold};
use crate::decision::rules::Rule;

/// An attribute, or a member of the context, that a clause reads.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ReadValue)]
pub struct Mattered {
    /// As the policy has it: `resource.owner.level`.
    pub read: String,
    /// Whose attribute it is; absent for the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityTold>,
    /// Its value, an entity as `{"__entity": …}` and a value of another type as `{"__extn": …}`; absent when it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// Whether the value is a long one, of which only the beginning is shown.
    pub cut: bool,
}

/// How many are shown, and how many parts of one condition are looked through.
const SHOWN: usize = 100;
const PARTS: usize = 10_000;
/// What it takes to show one, which may be a kilobyte.
const VALUE: usize = 20;

/// What these policies read.
pub(super) fn of(asking: &Asking<'_>, rules: &[&Rule], cut: &mut bool) -> Vec<Mattered> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for rule in rules {
        let judge = Judge::new(asking, rule);
        let Some(condition) = &rule.condition else { continue };
        for (place, expr) in condition.subexpressions().enumerate() {
            let is_paid = asking.budget.take(usize::from(place % 16 == 0));
            if place == PARTS || all.len() == SHOWN || !is_paid {
                *cut = true;
                break;
            }
            let Some((read, attribute)) = read(&judge, expr) else { continue };
            if seen.insert(read.clone()) && asking.budget.take(VALUE) {
                all.push(told(read, attribute));
            }
        }
    }
    all
}

fn read(judge: &Judge<'_, '_>, expr: &Expr) -> Option<(String, Attribute)> {
    let (expr, further): (&Expr, Vec<_>) = match expr.expr_kind() {
        ExprKind::GetAttr { .. } => (expr, Vec::new()),
        ExprKind::HasAttr { expr, attr } => (expr, vec![attr]),
        ExprKind::ExtHasAttr { expr, attrs } => (expr, attrs.iter().collect()),
        _ => return None,
    };
    let (root, steps) = way(expr)?;
    let read = text(&root.to_string(), steps.into_iter().chain(further.iter().copied()));
    Some((read, judge.attribute(expr, further)?))
}

fn told(read: String, attribute: Attribute) -> Mattered {
    let entity = match &attribute.holder {
        Holder::Context => None,
        Holder::Entity(uid) => Some(EntityTold::of(uid)),
    };
    let value = attribute.value.as_ref().map(ValueTold::of);
    let cut = value.as_ref().is_some_and(|value| value.cut);
    Mattered { read, entity, value: value.map(|value| value.json), cut }
}
