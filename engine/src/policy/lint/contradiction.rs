//! `never-matches`: what a policy demands can't all be so.
//!
//! Promises: what is told holds for every request. Two demands contradict each other whether or not what they are about can be
//! read: where it can't, the policy does not hold either.

use std::collections::{HashMap, HashSet};

use cedar_policy_core::ast::{BinaryOp, EntityType, Expr, ExprKind, Literal, Var};

use super::conditions::can_be;
use super::scope::{Actions, Target};
use super::{Conjunct, Finding, Known, Linted, Rule};

const HELP: &str = "mend its scope or its condition, or take the policy away";

/// What is demanded of one expression.
#[derive(Default)]
struct Demands<'p> {
    equal: Option<Literal>,
    unequal: HashSet<&'p Literal>,
    is: Option<&'p EntityType>,
    is_not: HashSet<&'p EntityType>,
    at_least: Option<i64>,
    at_most: Option<i64>,
}

/// Whether a policy never matches; the first reason is told.
pub(super) fn check(known: &Known<'_>, linted: &Linted<'_>, found: &mut Vec<Finding>) -> bool {
    let Some((conjunct, message)) = first(linted) else { return false };
    let place = conjunct.and_then(|conjunct| conjunct.expr.source_loc());
    found.push(known.finding((Rule::NeverMatches, linted), place, message, HELP));
    true
}

fn first<'l>(linted: &'l Linted<'_>) -> Option<(Option<&'l Conjunct<'l>>, String)> {
    if let Some(Actions::In(actions)) = &linted.scope.actions
        && actions.is_empty()
    {
        return Some((None, "never matches: its list of actions is empty".to_owned()));
    }
    let mut by_var = HashMap::new();
    for (var, target) in [(Var::Principal, &linted.scope.principal), (Var::Resource, &linted.scope.resource)]
    {
        let mut demands = Demands { is: target.entity_type(), ..Demands::default() };
        if let Target::Eq(uid) = target {
            demands.equal = Some(Literal::EntityUID(uid.clone()));
        }
        by_var.insert(var, demands);
    }
    if let Some(Actions::Eq(uid)) = &linted.scope.actions {
        let demands = Demands { equal: Some(Literal::EntityUID(uid.clone())), ..Demands::default() };
        by_var.insert(Var::Action, demands);
    }
    let mut by_expr: HashMap<&Expr, Demands<'_>> = HashMap::new();
    let mut said: HashMap<&Expr, bool> = HashMap::new();
    for conjunct in &linted.conjuncts {
        let told = |why: String| Some((Some(conjunct), format!("never matches: {why}")));
        if !can_be(conjunct.expr, conjunct.holds) {
            return told(format!("`{}` is never {}", conjunct.expr, conjunct.holds));
        }
        if said.insert(conjunct.expr, conjunct.holds).is_some_and(|before| before != conjunct.holds) {
            return told(format!("`{}` is to be so, and not so", conjunct.expr));
        }
        let Some((about, demand)) = Demand::of(conjunct) else { continue };
        let demands = match about.expr_kind() {
            ExprKind::Var(var) => by_var.entry(*var).or_default(),
            _ => by_expr.entry(about).or_default(),
        };
        if let Some(why) = demands.add(demand) {
            return told(format!("`{about}` {why}"));
        }
    }
    None
}

/// One demand.
enum Demand<'p> {
    Equal(&'p Literal, bool),
    Is(&'p EntityType, bool),
    AtLeast(i64),
    AtMost(i64),
}

impl<'p> Demand<'p> {
    fn of(conjunct: &Conjunct<'p>) -> Option<(&'p Expr, Self)> {
        let holds = conjunct.holds;
        match conjunct.expr.expr_kind() {
            ExprKind::Is { expr, entity_type } => Some((expr, Self::Is(entity_type, holds))),
            ExprKind::BinaryApp { op: BinaryOp::Eq, arg1, arg2 } => {
                match (arg1.expr_kind(), arg2.expr_kind()) {
                    (_, ExprKind::Lit(literal)) => Some((arg1, Self::Equal(literal, holds))),
                    (ExprKind::Lit(literal), _) => Some((arg2, Self::Equal(literal, holds))),
                    _ => None,
                }
            }
            ExprKind::BinaryApp { op: op @ (BinaryOp::Less | BinaryOp::LessEq), arg1, arg2 } => {
                let is_strict = *op == BinaryOp::Less;
                match (arg1.expr_kind(), arg2.expr_kind()) {
                    (_, ExprKind::Lit(Literal::Long(bound))) => {
                        Some((arg1, Self::below(*bound, is_strict, holds)))
                    }
                    (ExprKind::Lit(Literal::Long(bound)), _) => {
                        Some((arg2, Self::above(*bound, is_strict, holds)))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// `x < bound` or `x <= bound`, or that not.
    fn below(bound: i64, is_strict: bool, holds: bool) -> Self {
        match (holds, is_strict) {
            (true, true) => Self::AtMost(bound.saturating_sub(1)),
            (true, false) => Self::AtMost(bound),
            (false, true) => Self::AtLeast(bound),
            (false, false) => Self::AtLeast(bound.saturating_add(1)),
        }
    }

    /// `bound < x` or `bound <= x`, or that not.
    fn above(bound: i64, is_strict: bool, holds: bool) -> Self {
        match (holds, is_strict) {
            (true, true) => Self::AtLeast(bound.saturating_add(1)),
            (true, false) => Self::AtLeast(bound),
            (false, true) => Self::AtMost(bound),
            (false, false) => Self::AtMost(bound.saturating_sub(1)),
        }
    }
}

impl<'p> Demands<'p> {
    /// Takes one more; gives why not all can be so.
    fn add(&mut self, demand: Demand<'p>) -> Option<String> {
        match demand {
            Demand::Equal(literal, true) => match &self.equal {
                Some(before) if before != literal => {
                    return Some(format!("is to be `{before}` and `{literal}`"));
                }
                _ => self.equal = Some(literal.clone()),
            },
            Demand::Equal(literal, false) => drop(self.unequal.insert(literal)),
            Demand::Is(kind, true) => match self.is {
                Some(before) if before != kind => {
                    return Some(format!("is to be of the types `{before}` and `{kind}`"));
                }
                _ => self.is = Some(kind),
            },
            Demand::Is(kind, false) => drop(self.is_not.insert(kind)),
            Demand::AtLeast(bound) => {
                self.at_least = Some(self.at_least.map_or(bound, |least| least.max(bound)));
            }
            Demand::AtMost(bound) => {
                self.at_most = Some(self.at_most.map_or(bound, |most| most.min(bound)));
            }
        }
        self.contradiction()
    }

    fn contradiction(&self) -> Option<String> {
        if let Some(equal) = self.equal.as_ref().filter(|equal| self.unequal.contains(equal)) {
            return Some(format!("is to be `{equal}`, and not to be it"));
        }
        if let (Some(least), Some(most)) = (self.at_least, self.at_most)
            && least > most
        {
            return Some(format!("is to be at least {least} and at most {most}"));
        }
        if let Some(Literal::Long(equal)) = self.equal {
            let fits = self.at_least.is_none_or(|least| least <= equal)
                && self.at_most.is_none_or(|most| equal <= most);
            if !fits {
                return Some(format!("is to be {equal}, and beyond what else is demanded of it"));
            }
        }
        let of_equal = match &self.equal {
            Some(Literal::EntityUID(uid)) => Some(uid.entity_type()),
            _ => None,
        };
        let kind = of_equal.or(self.is)?;
        if self.is.is_some_and(|is| is != kind) || self.is_not.contains(kind) {
            return Some(format!("is of the type `{kind}`, and not to be of it or to be of another"));
        }
        None
    }
}
