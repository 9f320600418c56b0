//! Conditions, taken apart: what must hold each for itself, and what is always so.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp};

use super::scope::Target;
use super::{Conjunct, Finding, Known, Linted, Rule};

/// Splits a condition at each `&&` that must hold, and each `||` that must not.
pub(super) fn split<'p>(expr: &'p Expr, holds: bool, conjuncts: &mut Vec<Conjunct<'p>>) {
    match (expr.expr_kind(), holds) {
        (ExprKind::And { left, right }, true) | (ExprKind::Or { left, right }, false) => {
            split(left, holds, conjuncts);
            split(right, holds, conjuncts);
        }
        (ExprKind::UnaryApp { op: UnaryOp::Not, arg }, _) => split(arg, !holds, conjuncts),
        _ => conjuncts.push(Conjunct { expr, holds }),
    }
}

/// What an expression is, whatever it is asked about; none when that depends, or it may fail.
pub(super) fn constant(expr: &Expr) -> Option<bool> {
    match expr.expr_kind() {
        ExprKind::Lit(Literal::Bool(value)) => Some(*value),
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } => constant(arg).map(|value| !value),
        ExprKind::And { left, right } => match constant(left)? {
            true => constant(right),
            false => Some(false),
        },
        ExprKind::Or { left, right } => match constant(left)? {
            true => Some(true),
            false => constant(right),
        },
        ExprKind::If { test_expr, then_expr, else_expr } => {
            constant(if constant(test_expr)? { then_expr } else { else_expr })
        }
        ExprKind::BinaryApp { op, arg1, arg2 } => compared(*op, arg1, arg2),
        _ => None,
    }
}

fn compared(op: BinaryOp, one: &Expr, other: &Expr) -> Option<bool> {
    match (op, one.expr_kind(), other.expr_kind()) {
        (BinaryOp::Eq, ExprKind::Lit(one), ExprKind::Lit(other)) => Some(one == other),
        (BinaryOp::Eq, ExprKind::Var(one), ExprKind::Var(other)) if one == other => Some(true),
        (BinaryOp::Less, ExprKind::Lit(Literal::Long(one)), ExprKind::Lit(Literal::Long(other))) => {
            Some(one < other)
        }
        (BinaryOp::LessEq, ExprKind::Lit(Literal::Long(one)), ExprKind::Lit(Literal::Long(other))) => {
            Some(one <= other)
        }
        _ => None,
    }
}

/// Whether an expression can be this at all: it may fail instead.
pub(super) fn can_be(expr: &Expr, value: bool) -> bool {
    match (expr.expr_kind(), value) {
        (ExprKind::UnaryApp { op: UnaryOp::Not, arg }, _) => can_be(arg, !value),
        (ExprKind::And { left, right }, true) | (ExprKind::Or { left, right }, false) => {
            can_be(left, value) && can_be(right, value)
        }
        (ExprKind::And { left, right }, false) | (ExprKind::Or { left, right }, true) => {
            can_be(left, value) || can_be(right, value)
        }
        _ => constant(expr) != Some(!value),
    }
}

/// A permit with nothing in its scope, and nothing that could fail to hold.
pub(super) fn always_allows(known: &Known<'_>, linted: &Linted<'_>, found: &mut Vec<Finding>) {
    let scope = &linted.scope;
    let is_open = [&scope.principal, &scope.resource].into_iter().all(|target| *target == Target::Any)
        && scope.actions.is_none();
    let holds = |conjunct: &Conjunct<'_>| constant(conjunct.expr) == Some(conjunct.holds);
    if linted.permits() && is_open && linted.conjuncts.iter().all(holds) {
        let message = "permits everything to everybody".to_owned();
        let help = "name principals, actions or resources in its scope, or a condition; or write `@lint_allow(\"always-allows\")`";
        found.push(known.finding((Rule::AlwaysAllows, linted), None, message, help));
    }
}
