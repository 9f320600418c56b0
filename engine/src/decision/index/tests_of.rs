//! What a condition asks for before anything that could fail.
//!
//! Promises: wherever one of these tests is false, the whole condition is false, and Cedar has met no error on the way.

use std::collections::HashSet;

use cedar_policy_core::ast::{BinaryOp, EntityType, EntityUID, Expr, ExprKind, Literal, Var};
use smol_str::SmolStr;

/// Of what a test asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::decision) enum Root {
    Principal,
    Resource,
    Context,
}

/// What a condition asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Is(Root, EntityUID),
    In(Root, EntityUID),
    OfType(Root, EntityType),
    /// An attribute equals a literal. It is guarded, if the condition has made sure that it is there.
    Equals {
        root: Root,
        name: SmolStr,
        value: Literal,
        guarded: bool,
    },
}

/// The tests that come before everything that could fail.
pub(super) fn keys_of(condition: &Expr) -> Vec<Test> {
    let mut conjuncts = Vec::new();
    flatten(condition, &mut conjuncts);
    let mut tests = Vec::new();
    let mut there: HashSet<(Root, &SmolStr)> = HashSet::new();
    for conjunct in conjuncts {
        if let ExprKind::HasAttr { expr, attr } = conjunct.expr_kind()
            && let Some(root) = root_of(expr)
        {
            there.insert((root, attr));
            continue;
        }
        if let Some(test) = entity_test(conjunct) {
            tests.push(test);
            continue;
        }
        let Some((root, name, value)) = equality(conjunct) else {
            if cannot_fail(conjunct) {
                continue;
            }
            break;
        };
        let guarded = there.contains(&(root, name));
        tests.push(Test::Equals { root, name: name.clone(), value: value.clone(), guarded });
        if !guarded {
            // It fails where the attribute is not there, and then says nothing of what comes behind it.
            break;
        }
    }
    tests
}

/// In the order in which they are evaluated.
fn flatten<'e>(expr: &'e Expr, into: &mut Vec<&'e Expr>) {
    let mut rights = Vec::new();
    let mut left = expr;
    while let ExprKind::And { left: further, right } = left.expr_kind() {
        rights.push(right);
        left = further;
    }
    into.push(left);
    for right in rights.into_iter().rev() {
        // `a && (b && c)`: parsed policies nest to the left, and `when` clauses one level to the right.
        match right.expr_kind() {
            ExprKind::And { left, right } if !matches!(left.expr_kind(), ExprKind::And { .. }) => {
                into.extend([left.as_ref(), right.as_ref()]);
            }
            _ => into.push(right),
        }
    }
}

fn root_of(expr: &Expr) -> Option<Root> {
    match expr.expr_kind() {
        ExprKind::Var(Var::Principal) => Some(Root::Principal),
        ExprKind::Var(Var::Resource) => Some(Root::Resource),
        ExprKind::Var(Var::Context) => Some(Root::Context),
        _ => None,
    }
}

fn entity_of(expr: &Expr) -> Option<Root> {
    root_of(expr).filter(|root| *root != Root::Context)
}

fn named(expr: &Expr) -> Option<&EntityUID> {
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(uid),
        _ => None,
    }
}

/// Tests of principal and resource themselves, which never fail.
fn entity_test(expr: &Expr) -> Option<Test> {
    match expr.expr_kind() {
        ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } => {
            let pair = entity_of(arg1).zip(named(arg2)).or_else(|| entity_of(arg2).zip(named(arg1)));
            pair.map(|(root, uid)| Test::Is(root, uid.clone()))
        }
        ExprKind::BinaryApp { op: BinaryOp::In, arg1, arg2 } => {
            let pair = entity_of(arg1).zip(named(arg2));
            pair.map(|(root, uid)| Test::In(root, uid.clone()))
        }
        ExprKind::Is { expr, entity_type } => {
            entity_of(expr).map(|root| Test::OfType(root, entity_type.clone()))
        }
        _ => None,
    }
}

/// `root.name == literal`, either way round.
fn equality(expr: &Expr) -> Option<(Root, &SmolStr, &Literal)> {
    let ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } = expr.expr_kind() else { return None };
    let sides = |path: &'_ Expr, literal: &'_ Expr| -> bool {
        matches!(path.expr_kind(), ExprKind::GetAttr { .. })
            && matches!(literal.expr_kind(), ExprKind::Lit(_))
    };
    let (path, literal) = match (sides(arg1, arg2), sides(arg2, arg1)) {
        (true, _) => (arg1, arg2),
        (_, true) => (arg2, arg1),
        _ => return None,
    };
    match (path.expr_kind(), literal.expr_kind()) {
        (ExprKind::GetAttr { expr, attr }, ExprKind::Lit(literal)) => {
            root_of(expr).map(|root| (root, attr, literal))
        }
        _ => None,
    }
}

/// What is a boolean, whatever the question.
fn cannot_fail(expr: &Expr) -> bool {
    let is_plain = |expr: &Expr| matches!(expr.expr_kind(), ExprKind::Var(_) | ExprKind::Lit(_));
    match expr.expr_kind() {
        ExprKind::Lit(Literal::Bool(_)) => true,
        ExprKind::HasAttr { expr, .. } => root_of(expr).is_some(),
        ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } => is_plain(arg1) && is_plain(arg2),
        ExprKind::BinaryApp { op: BinaryOp::In, arg1, arg2 } => {
            matches!(arg1.expr_kind(), ExprKind::Var(var) if *var != Var::Context)
                && (named(arg2).is_some()
                    || matches!(arg2.expr_kind(), ExprKind::Var(var) if *var != Var::Context))
        }
        ExprKind::Is { expr, .. } => matches!(expr.expr_kind(), ExprKind::Var(var) if *var != Var::Context),
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            cannot_fail(left) && cannot_fail(right)
        }
        ExprKind::UnaryApp { op: cedar_policy_core::ast::UnaryOp::Not, arg } => cannot_fail(arg),
        _ => false,
    }
}
