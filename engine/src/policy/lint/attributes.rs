//! `missing-attribute` and `error-forbid`: an attribute is read that a stored entity lacks, and nothing asks first
//! whether it is there.
//!
//! Where there is a schema, the validator tells what is optional; this is about entities as they are, without one.

use std::collections::{HashMap, HashSet};

use cedar_policy_core::ast::{EntityType, Expr, ExprKind, UnaryOp, Var};
use smol_str::SmolStr;

use super::scope::Target;
use super::{Finding, Known, Linted, Rule};

/// Which attributes entities of a type have: how many of them each.
#[derive(Default)]
pub(super) struct Stored<'k> {
    types: HashMap<&'k EntityType, OfType<'k>>,
}

#[derive(Default)]
struct OfType<'k> {
    count: usize,
    attributes: HashMap<&'k SmolStr, usize>,
}

/// `principal.level`, as a guard or a read has it.
type Read<'p> = (Var, &'p SmolStr);

impl<'k> Stored<'k> {
    pub(super) fn of(known: &Known<'k>) -> Self {
        let mut types: HashMap<&EntityType, OfType<'_>> = HashMap::new();
        if known.schema.is_some() {
            return Self::default();
        }
        for entity in known.entities.iter() {
            let of_type = types.entry(entity.uid().entity_type()).or_default();
            of_type.count += 1;
            for (name, _) in entity.attrs() {
                *of_type.attributes.entry(name).or_default() += 1;
            }
        }
        Self { types }
    }

    pub(super) fn check(&self, known: &Known<'_>, linted: &Linted<'_>, found: &mut Vec<Finding>) {
        let Some(condition) = linted.policy.non_scope_constraints().filter(|_| !self.types.is_empty()) else {
            return;
        };
        let mut walk = Walk { guards: HashMap::new(), unguarded: Vec::new() };
        walk.visit(condition);
        let mut told = HashSet::new();
        for (expr, (var, attribute)) in walk.unguarded {
            let Some(lacking) =
                self.lacking(linted, var, attribute).filter(|_| told.insert((var, attribute)))
            else {
                continue;
            };
            let (rule, follows) = match linted.permits() {
                true => (Rule::MissingAttribute, "the policy fails, and permits nothing"),
                false => (
                    Rule::ErrorForbid,
                    "the policy fails, which denies (or with `on_policy_error = \"skip\"` forbids nothing)",
                ),
            };
            let message = format!("reads `{var}.{attribute}`, which {lacking}: there {follows}");
            let help = "guard it: `… has attribute && …`; or give the attribute to all";
            found.push(known.finding((rule, linted), expr.source_loc(), message, help));
        }
    }

    /// Which stored entities lack an attribute that others of their type have.
    fn lacking(&self, linted: &Linted<'_>, var: Var, attribute: &SmolStr) -> Option<String> {
        let target = match var {
            Var::Principal => &linted.scope.principal,
            Var::Resource => &linted.scope.resource,
            Var::Action | Var::Context => return None,
        };
        let told = |kind: &EntityType, lack: usize| {
            let them = if lack == 1 { "entity" } else { "entities" };
            format!("{lack} stored {them} of the type `{kind}` lack")
        };
        let of = |kind: &EntityType| {
            let of_type = self.types.get(kind)?;
            let have = of_type.attributes.get(attribute).copied().unwrap_or_default();
            Some((of_type.count - have, have))
        };
        if let Some(kind) = target.entity_type() {
            let (lack, _) = of(kind)?;
            // One entity alone is meant: whether it lacks it is not looked at by type.
            return (lack > 0 && !matches!(target, Target::Eq(_))).then(|| told(kind, lack));
        }
        let mut kinds: Vec<_> = self.types.keys().copied().collect();
        kinds.sort();
        kinds.into_iter().find_map(|kind| {
            let (lack, have) = of(kind)?;
            // A type of which none has it is not what the policy is about.
            (lack > 0 && have > 0).then(|| told(kind, lack))
        })
    }
}

/// Looks for reads of attributes that nothing guards.
struct Walk<'p> {
    guards: HashMap<Read<'p>, usize>,
    unguarded: Vec<(&'p Expr, Read<'p>)>,
}

impl<'p> Walk<'p> {
    fn visit(&mut self, expr: &'p Expr) {
        match expr.expr_kind() {
            ExprKind::And { .. } => self.visit_chain(expr, true),
            ExprKind::Or { .. } => self.visit_chain(expr, false),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.visit(test_expr);
                for (branch, value) in [(then_expr, true), (else_expr, false)] {
                    let guards = guards_of(test_expr, value);
                    self.push(&guards);
                    self.visit(branch);
                    self.pop(&guards);
                }
            }
            ExprKind::GetAttr { expr: of, attr } => match of.expr_kind() {
                ExprKind::Var(var) if !self.guards.contains_key(&(*var, attr)) => {
                    self.unguarded.push((expr, (*var, attr)));
                }
                _ => self.visit(of),
            },
            ExprKind::UnaryApp { arg, .. } => self.visit(arg),
            ExprKind::BinaryApp { arg1, arg2, .. } => {
                self.visit(arg1);
                self.visit(arg2);
            }
            ExprKind::ExtensionFunctionApp { args, .. } => args.iter().for_each(|arg| self.visit(arg)),
            ExprKind::HasAttr { expr: of, .. }
            | ExprKind::ExtHasAttr { expr: of, .. }
            | ExprKind::Like { expr: of, .. }
            | ExprKind::Is { expr: of, .. } => self.visit(of),
            ExprKind::Set(members) => members.iter().for_each(|member| self.visit(member)),
            ExprKind::Record(members) => members.values().for_each(|member| self.visit(member)),
            _ => {}
        }
    }

    /// The parts of `a && b && c` (or of `||`), each guarded by what those before it were.
    fn visit_chain(&mut self, expr: &'p Expr, is_and: bool) {
        let mut parts = Vec::new();
        chain(expr, is_and, &mut parts);
        let mut guards = Vec::new();
        for part in parts {
            self.visit(part);
            let more = guards_of(part, is_and);
            self.push(&more);
            guards.extend(more);
        }
        self.pop(&guards);
    }

    fn push(&mut self, guards: &[Read<'p>]) {
        for guard in guards {
            *self.guards.entry(*guard).or_default() += 1;
        }
    }

    fn pop(&mut self, guards: &[Read<'p>]) {
        for guard in guards {
            if let Some(count) = self.guards.get_mut(guard) {
                *count -= 1;
                if *count == 0 {
                    self.guards.remove(guard);
                }
            }
        }
    }
}

fn chain<'p>(expr: &'p Expr, is_and: bool, parts: &mut Vec<&'p Expr>) {
    match (expr.expr_kind(), is_and) {
        (ExprKind::And { left, right }, true) | (ExprKind::Or { left, right }, false) => {
            chain(left, is_and, parts);
            chain(right, is_and, parts);
        }
        _ => parts.push(expr),
    }
}

/// What is there when an expression came out so.
fn guards_of(expr: &Expr, value: bool) -> Vec<Read<'_>> {
    let mut guards = Vec::new();
    gather(expr, value, &mut guards);
    guards
}

fn gather<'p>(expr: &'p Expr, value: bool, guards: &mut Vec<Read<'p>>) {
    match (expr.expr_kind(), value) {
        (ExprKind::HasAttr { expr: of, attr }, true) => {
            if let ExprKind::Var(var) = of.expr_kind() {
                guards.push((*var, attr));
            }
        }
        (ExprKind::ExtHasAttr { expr: of, attrs }, true) => {
            if let ExprKind::Var(var) = of.expr_kind() {
                guards.push((*var, attrs.first()));
            }
        }
        (ExprKind::And { left, right }, true) | (ExprKind::Or { left, right }, false) => {
            gather(left, value, guards);
            gather(right, value, guards);
        }
        // Either side may have been it: what both say is there.
        (ExprKind::Or { left, right }, true) | (ExprKind::And { left, right }, false) => {
            let other = guards_of(right, value);
            guards.extend(guards_of(left, value).into_iter().filter(|guard| other.contains(guard)));
        }
        (ExprKind::UnaryApp { op: UnaryOp::Not, arg }, _) => gather(arg, !value, guards),
        // What was read without failing is there.
        (ExprKind::GetAttr { expr: of, attr }, _) => {
            if let ExprKind::Var(var) = of.expr_kind() {
                guards.push((*var, attr));
            }
        }
        _ => {}
    }
}
