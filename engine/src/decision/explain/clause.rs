//! The clauses of a policy, each with its value.
//!
//! A clause is a part that must hold for the policy to hold: a constraint of the scope, what `&&` joins in a `when`, what `||`
//! joins in an `unless`. Promises: all of them are evaluated, those behind the first that fails too.

use std::ops::Range;

use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};
use serde::Serialize;

use super::judge::Judge;
use super::place::{Span, scope, span};
use super::shown::{CLAUSE, excerpt};
use crate::decision::rules::Rule;

/// Where a clause stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ClausePlace)]
pub enum In {
    /// In the scope.
    Principal,
    /// In the scope.
    Action,
    /// In the scope.
    Resource,
    /// In a condition that must be true.
    When,
    /// In a condition that must be false.
    Unless,
}

/// A clause, and what it says.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = ExplainedClause)]
pub struct ClauseTold {
    /// Where it stands.
    #[serde(rename = "in")]
    pub stands_in: In,
    /// Its text; a long one is cut.
    pub text: String,
    /// Where it stands in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span: Option<Span>,
    /// Its value; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<bool>,
    /// Why there is no value, in Cedar's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it lets the policy hold: a clause of an `unless` does so when it is false.
    pub holds: bool,
}

/// A part of a condition that must have a value for the policy to hold.
pub(super) struct Part<'r> {
    pub(super) stands_in: In,
    pub(super) expr: &'r Expr,
    pub(super) wanted: bool,
}

/// How many clauses of a policy are evaluated, and how many are shown.
const EVALUATED: usize = 1_000;
const SHOWN: usize = 100;

/// The parts of a policy's conditions, and whether there are more.
pub(super) fn parts(rule: &Rule) -> (Vec<Part<'_>>, bool) {
    let mut parts = Vec::new();
    let mut waiting: Vec<Part<'_>> = Vec::new();
    let condition = rule.condition.as_deref();
    waiting.extend(condition.map(|expr| Part { stands_in: In::When, expr, wanted: true }));
    while let Some(Part { stands_in, expr, wanted }) = waiting.pop() {
        if parts.len() == EVALUATED {
            return (parts, true);
        }
        match expr.expr_kind() {
            ExprKind::And { left, right } if wanted && !is_one(expr, left) => {
                waiting.extend([right, left].map(|expr| Part { stands_in, expr, wanted }));
            }
            ExprKind::Or { left, right } if !wanted => {
                waiting.extend([right, left].map(|expr| Part { stands_in, expr, wanted }));
            }
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } if wanted && is_unless(expr) => {
                waiting.push(Part { stands_in: In::Unless, expr: arg, wanted: false });
            }
            _ => parts.push(Part { stands_in, expr, wanted }),
        }
    }
    (parts, false)
}

/// `x is T in g` is two tests in one place.
fn is_one(whole: &Expr, part: &Expr) -> bool {
    let place = |expr: &Expr| expr.source_loc().map(|loc| (loc.start(), loc.end()));
    matches!(part.expr_kind(), ExprKind::Is { .. })
        && place(whole).is_some_and(|whole| place(part) == Some(whole))
}

/// Whether a negation is that of an `unless`, which has the place of the whole condition.
fn is_unless(expr: &Expr) -> bool {
    let text = expr.source_loc().and_then(|loc| loc.snippet()).unwrap_or_default();
    let rest = text.strip_prefix("unless").map(str::trim_start);
    // A type may be named so.
    rest.is_some_and(|rest| rest.starts_with('{') || rest.starts_with('/'))
}

/// All clauses, and how many of them do not hold.
pub(super) fn tell(judge: &Judge<'_, '_>, cut: &mut bool) -> (Vec<ClauseTold>, usize) {
    let rule = judge.rule;
    let question = judge.asking.question;
    let [principal, action, resource] = scope(&rule.text);
    let mut told = vec![
        scoped(rule, In::Principal, principal, judge.in_scope(&rule.principal, &question.principal)),
        // The rules that are looked at are those that can be about the action.
        scoped(rule, In::Action, action, true),
        scoped(rule, In::Resource, resource, judge.in_scope(&rule.resource, &question.resource)),
    ];
    let mut failing = told.iter().filter(|clause| !clause.holds).count();
    let (parts, more) = parts(rule);
    *cut |= more || parts.len() > SHOWN;
    for part in &parts {
        if judge.asking.budget.is_spent() {
            *cut = true;
            break;
        }
        let value = judge.holds(part.expr);
        let holds = value == Ok(part.wanted);
        failing += usize::from(!holds);
        if told.len() < SHOWN + 3 {
            told.push(conditional(rule, part, value));
        }
    }
    (told, failing)
}

fn scoped(rule: &Rule, stands_in: In, within: Option<Range<usize>>, holds: bool) -> ClauseTold {
    let text = within.clone().and_then(|within| rule.text.get(within)).unwrap_or_default();
    let (text, value, error) = (excerpt(text, CLAUSE), Some(holds), None);
    ClauseTold { stands_in, text, span: within.map(|within| span(rule, within)), value, error, holds }
}

fn conditional(rule: &Rule, part: &Part<'_>, value: Result<bool, String>) -> ClauseTold {
    let within = within(rule, part.expr);
    let text = match within.clone().and_then(|within| rule.text.get(within)) {
        Some(text) => excerpt(text, CLAUSE),
        None => excerpt(&part.expr.to_string(), CLAUSE),
    };
    let (value, error) = match value {
        Ok(value) => (Some(value), None),
        Err(message) => (None, Some(excerpt(&message, CLAUSE))),
    };
    let holds = value == Some(part.wanted);
    let span = within.map(|within| span(rule, within));
    ClauseTold { stands_in: part.stands_in, text, span, value, error, holds }
}

/// Where an expression stands in its policy's text.
fn within(rule: &Rule, expr: &Expr) -> Option<Range<usize>> {
    let loc = expr.source_loc()?;
    let start = rule.policy.loc()?.start();
    Some(loc.start().checked_sub(start)?..loc.end().checked_sub(start)?)
}
