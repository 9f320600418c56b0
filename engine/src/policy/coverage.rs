//! Which policies, and which clauses of their conditions, a pack's cases exercise.
//!
//! A policy is exercised when it holds in a case. A clause is a part of a condition that `&&` joins (each `when` and `unless`
//! is one): it is exercised when it decided both ways, in cases within the policy's scope. Cedar's own evaluator judges.

use std::sync::Arc;

use cedar_policy_core::ast::{
    Context, EntityUID, EntityUIDEntry, Expr, ExprKind, Literal, Request, SlotEnv, UnaryOp, ValueKind,
};
use cedar_policy_core::entities::Dereference;
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::parser::Loc;
use serde::Serialize;
use smol_str::SmolStr;

use super::Pack;
use super::cases::{self, Case, TENANT};
use super::problem::position;
use crate::clock::Timestamp;
use crate::decision::Question;
use crate::decision::rules::{Rule, scope_matches};
use crate::decision::slice::Slicer;

/// What cases have exercised so far.
#[derive(Debug)]
pub struct Coverage {
    policies: Vec<Policy>,
}

#[derive(Debug)]
struct Policy {
    id: SmolStr,
    file: Arc<str>,
    line: usize,
    held: bool,
    clauses: Vec<Clause>,
}

#[derive(Debug)]
struct Clause {
    expr: Expr,
    line: usize,
    text: String,
    was_true: bool,
    was_false: bool,
}

/// Something that no case exercises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// What is missing.
    pub message: String,
}

/// More of a clause's text is not shown.
const TEXT: usize = 80;

impl Coverage {
    /// Nothing of a pack's policies yet.
    pub fn of(pack: &Pack) -> Self {
        Self { policies: pack.rules.all.iter().map(Policy::of).collect() }
    }

    /// Takes a case. One that asks nothing exercises nothing.
    pub fn take(&mut self, pack: &Pack, case: &Case) {
        let Ok((data, Some(question))) = cases::question(pack, case) else { return };
        let facts = pack.facts(&data, TENANT, Timestamp(0));
        let view = facts.about(&question.resource);
        let plan = pack.rules.plan(&question.action);
        for place in &plan.rules {
            let (Some(rule), Some(policy)) = (pack.rules.all.get(*place), self.policies.get_mut(*place))
            else {
                continue;
            };
            let roots = [&question.principal, &question.action, &question.resource];
            let Some(slice) =
                Slicer::new(&view, &question.laid_over).collect(&rule.reach, roots, &question.context)
            else {
                continue;
            };
            let found = |uid: &EntityUID| match slice.entity(uid) {
                Dereference::Data(entity) => Some(entity),
                _ => None,
            };
            let in_scope = scope_matches(&rule.principal, &question.principal, found(&question.principal))
                && scope_matches(&rule.resource, &question.resource, found(&question.resource));
            if in_scope {
                policy.exercise(&Evaluator::new(request(&question), &slice, Extensions::all_available()));
            }
        }
    }

    /// How much there is, and how much of it is exercised: a policy counts once, a clause for each way.
    pub fn counts(&self) -> [usize; 2] {
        let clauses = || self.policies.iter().flat_map(|policy| &policy.clauses);
        let held = self.policies.iter().filter(|policy| policy.held).count();
        let ways: usize =
            clauses().map(|clause| usize::from(clause.was_true) + usize::from(clause.was_false)).sum();
        [self.policies.len() + 2 * clauses().count(), held + ways]
    }

    /// What no case exercises, in the order of the files.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        for policy in &self.policies {
            let mut add =
                |line, message| missing.push(Missing { file: Arc::clone(&policy.file), line, message });
            if !policy.held {
                add(policy.line, format!("policy `{}` holds in no case", policy.id));
            }
            for clause in &policy.clauses {
                let (id, text) = (&policy.id, &clause.text);
                match (clause.was_true, clause.was_false) {
                    (true, true) => {}
                    (false, false) => add(clause.line, format!("policy `{id}`: no case reaches `{text}`")),
                    (true, false) => add(clause.line, format!("policy `{id}`: `{text}` fails in no case")),
                    (false, true) => add(clause.line, format!("policy `{id}`: `{text}` holds in no case")),
                }
            }
        }
        missing
    }
}

impl Policy {
    fn of(rule: &Rule) -> Self {
        let mut clauses = Vec::new();
        if let Some(condition) = &rule.condition {
            split(condition, rule, &mut clauses);
        }
        Self { id: rule.id.clone(), file: Arc::clone(&rule.file), line: rule.line, held: false, clauses }
    }

    /// In order, up to the first that does not hold: what comes behind it decides nothing.
    fn exercise(&mut self, evaluator: &Evaluator<'_>) {
        for clause in &mut self.clauses {
            let value = evaluator.interpret(&clause.expr, &SlotEnv::default());
            let holds = value.is_ok_and(|value| matches!(value.value, ValueKind::Lit(Literal::Bool(true))));
            if !holds {
                clause.was_false = true;
                return;
            }
            clause.was_true = true;
        }
        self.held = true;
    }
}

fn split(expr: &Expr, rule: &Rule, clauses: &mut Vec<Clause>) {
    if let ExprKind::And { left, right } = expr.expr_kind() {
        split(left, rule, clauses);
        split(right, rule, clauses);
        return;
    }
    let inner = match expr.expr_kind() {
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } if expr.source_loc().is_none() => arg,
        _ => expr,
    };
    let loc = inner.source_loc();
    let line = loc.map_or(rule.line, |loc| position(&loc.src, loc.start()).0);
    let text = loc.and_then(Loc::snippet).map_or_else(|| inner.to_string(), ToOwned::to_owned);
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = text.char_indices().nth(TEXT) {
        text.truncate(cut);
        text.push('…');
    }
    clauses.push(Clause { expr: expr.clone(), line, text, was_true: false, was_false: false });
}

fn request(question: &Question) -> Request {
    let known = |uid: &EntityUID| EntityUIDEntry::known(uid.clone(), None);
    Request::new_unchecked(
        known(&question.principal),
        known(&question.action),
        known(&question.resource),
        Some(Context::Value(Arc::clone(&question.context))),
    )
}
