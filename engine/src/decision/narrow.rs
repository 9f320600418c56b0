//! Whom a condition can be about, when one side of the question is known.
//!
//! What reads only the known side is evaluated; a comparison of the other side with a value tells who it can be. Promises:
//! never too few: whoever is left out can't make the condition true. Must never: decide.

use std::collections::{BTreeSet, HashSet};

use cedar_policy_core::ast::{
    BinaryOp, Entity, EntityType, EntityUID, Expr, ExprKind, Literal, UnaryOp, Value, ValueKind, Var,
};
use smol_str::SmolStr;

use super::compiled::{Compiled, Pool, Subjects};
use crate::entity::interned::Interner;

/// Where somebody can be found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// This one.
    Only(EntityUID),
    /// Whose attribute is this, or a set that has it.
    Having(SmolStr, Literal),
    /// This one, and all that is in it.
    Within(EntityUID),
}

/// Whom a condition can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// It does not tell.
    Anybody,
    /// Those alone.
    Those(BTreeSet<Source>),
}

/// More than these tell nothing.
const MOST: usize = 100_000;
/// So many are soon tried.
const FEW: usize = 100;
/// A condition that nests deeper tells nothing.
const DEEPEST: usize = 128;

impl Whom {
    /// Nobody.
    pub fn nobody() -> Self {
        Self::Those(BTreeSet::new())
    }

    /// Those of one or of the other.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Those(mut these), Self::Those(those)) if these.len() + those.len() <= MOST => {
                these.extend(those);
                Self::Those(these)
            }
            _ => Self::Anybody,
        }
    }

    fn of(sources: impl IntoIterator<Item = Source>) -> Self {
        let sources: BTreeSet<Source> = sources.into_iter().take(MOST + 1).collect();
        if sources.len() > MOST { Self::Anybody } else { Self::Those(sources) }
    }
}

/// What is known, and what is asked for.
pub struct Narrow<'n> {
    /// The variable of the side that is searched for.
    pub searched: Var,
    /// Its type.
    pub entity_type: &'n EntityType,
    /// The question, with anything in the place of what is searched for.
    pub subjects: Subjects<'n>,
    /// Its entities.
    pub pool: Pool<'n>,
    /// Where roles in scopes make the known side more than can be seen here.
    pub targets: &'n HashSet<EntityUID>,
    /// Whether they may make others more.
    pub has_scopes: bool,
    /// Whether the request itself says attributes of what is searched for.
    pub is_open: bool,
    /// How many there are, about.
    pub size: &'n dyn Fn(&Source) -> usize,
}

impl Narrow<'_> {
    /// Whom an expression can be about, if it is to be true.
    pub fn whom(&self, expr: &Expr) -> Whom {
        self.at(expr, 0)
    }

    /// Those of both, or of that which are fewer.
    pub fn and(&self, one: Whom, other: Whom) -> Whom {
        match (one, other) {
            (Whom::Anybody, those) | (those, Whom::Anybody) => those,
            (Whom::Those(one), Whom::Those(other)) => {
                let (one, other) = if has_value(&other) { (one, other) } else { (other, one) };
                let few = self.count(&one);
                // Who has a value is counted only where it can matter.
                let is_fewer = few == 0 || (few <= FEW && has_value(&other)) || few <= self.count(&other);
                Whom::Those(if is_fewer { one } else { other })
            }
        }
    }

    fn count(&self, sources: &BTreeSet<Source>) -> usize {
        sources.iter().fold(0_usize, |sum, source| sum.saturating_add((self.size)(source)))
    }

    fn at(&self, expr: &Expr, depth: usize) -> Whom {
        if depth > DEEPEST {
            return Whom::Anybody;
        }
        let below = |expr: &Expr| self.at(expr, depth + 1);
        match expr.expr_kind() {
            ExprKind::And { .. } => {
                // One row, however it was nested to the left.
                let (mut left, mut whom) = (expr, Whom::Anybody);
                while let ExprKind::And { left: further, right } = left.expr_kind() {
                    whom = self.and(below(right), whom);
                    left = further;
                }
                self.and(below(left), whom)
            }
            ExprKind::Or { .. } => {
                let (mut left, mut whom) = (expr, Whom::nobody());
                while let ExprKind::Or { left: further, right } = left.expr_kind() {
                    whom = whom.or(below(right));
                    if whom == Whom::Anybody {
                        return whom;
                    }
                    left = further;
                }
                whom.or(below(left))
            }
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.and(below(test_expr), below(then_expr)).or(below(else_expr))
            }
            _ if !self.is_about(expr) => self.known(expr),
            _ => self.test(expr),
        }
    }

    /// Whether what is searched for is part of it.
    fn is_about(&self, expr: &Expr) -> bool {
        expr.subexpressions()
            .any(|part| matches!(part.expr_kind(), ExprKind::Var(var) if *var == self.searched))
    }

    /// What is true or false whoever it is about.
    fn known(&self, expr: &Expr) -> Whom {
        if !self.is_settled(expr) {
            return Whom::Anybody;
        }
        let compiled = Compiled::of(expr, &mut Interner::default());
        match compiled.map(|compiled| compiled.holds(&self.subjects, &self.pool)) {
            Some(Ok(false)) => Whom::nobody(),
            _ => Whom::Anybody,
        }
    }

    /// Whether it is the same for everybody: what others are in may not be.
    fn is_settled(&self, expr: &Expr) -> bool {
        let is_settled = |part: &Expr| match part.expr_kind() {
            ExprKind::BinaryApp { op: BinaryOp::In, arg1, .. } => match arg1.expr_kind() {
                ExprKind::Var(_) => self.targets.is_empty(),
                _ => !self.has_scopes,
            },
            _ => true,
        };
        !self.is_about(expr) && expr.subexpressions().all(is_settled)
    }

    fn value(&self, expr: &Expr) -> Option<Value> {
        if !self.is_settled(expr) {
            return None;
        }
        Compiled::of(expr, &mut Interner::default())?.value(&self.subjects, &self.pool).ok()
    }

    /// The literals that a value is or has; none when it has others.
    fn literals(&self, expr: &Expr) -> Option<Vec<Literal>> {
        match self.value(expr)?.value {
            ValueKind::Lit(literal) => Some(vec![literal]),
            ValueKind::Set(set) => set
                .iter()
                .map(|item| match item.value_kind() {
                    ValueKind::Lit(literal) => Some(literal.clone()),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }

    fn literal(&self, expr: &Expr) -> Option<Literal> {
        match self.value(expr)?.value {
            ValueKind::Lit(literal) => Some(literal),
            _ => None,
        }
    }

    /// A test of what is searched for.
    fn test(&self, expr: &Expr) -> Whom {
        let found = match expr.expr_kind() {
            ExprKind::Is { expr, entity_type } if self.is_searched(expr) => {
                return if entity_type == self.entity_type { Whom::Anybody } else { Whom::nobody() };
            }
            ExprKind::GetAttr { .. } => self.having(expr, Some(vec![true.into()])),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.having(arg, Some(vec![false.into()])),
            ExprKind::BinaryApp { op, arg1, arg2 } => self.binary(*op, arg1, arg2),
            _ => None,
        };
        found.unwrap_or(Whom::Anybody)
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr) -> Option<Whom> {
        match op {
            BinaryOp::Eq if self.is_searched(left) => self.only(vec![self.literal(right)?]),
            BinaryOp::Eq if self.is_searched(right) => self.only(vec![self.literal(left)?]),
            BinaryOp::Eq => {
                let (path, other) = if self.is_about(left) { (left, right) } else { (right, left) };
                self.having(path, self.literal(other).map(|literal| vec![literal]))
            }
            BinaryOp::In if self.is_searched(left) => {
                let groups = entities(self.literals(right)?);
                Some(Whom::of(groups.into_iter().map(Source::Within)))
            }
            BinaryOp::In => self.reached(left, right),
            BinaryOp::Contains if self.is_searched(right) => self.only(self.literals(left)?),
            BinaryOp::Contains if self.is_about(left) => self.having(left, Some(vec![self.literal(right)?])),
            BinaryOp::Contains => self.having(right, Some(self.literals(left)?)),
            BinaryOp::ContainsAll if self.is_about(left) => {
                // Any one of them tells; without one, everybody has all.
                let one = self.literals(right)?.pop()?;
                self.having(left, Some(vec![one]))
            }
            BinaryOp::ContainsAny if self.is_about(left) => self.having(left, Some(self.literals(right)?)),
            BinaryOp::ContainsAny => self.having(right, Some(self.literals(left)?)),
            _ => None,
        }
    }

    /// `known in searched.attribute`: it has the known one, or what that is in.
    fn reached(&self, left: &Expr, right: &Expr) -> Option<Whom> {
        let Literal::EntityUID(uid) = self.literal(left)? else { return None };
        if self.has_scopes && *uid != *self.given() {
            return None;
        }
        let mut all: HashSet<EntityUID> = HashSet::from([uid.as_ref().clone()]);
        let entity = self.pool.get(&uid).ok()?;
        all.extend(entity.into_iter().flat_map(Entity::ancestors).cloned());
        let literals = all.into_iter().map(Literal::from).collect();
        let scoped = self.targets.iter().cloned().map(Source::Within);
        Some(self.having(right, Some(literals))?.or(Whom::of(scoped)))
    }

    fn given(&self) -> &EntityUID {
        if self.searched == Var::Principal { self.subjects.resource } else { self.subjects.principal }
    }

    fn is_searched(&self, expr: &Expr) -> bool {
        matches!(expr.expr_kind(), ExprKind::Var(var) if *var == self.searched)
    }

    fn only(&self, literals: Vec<Literal>) -> Option<Whom> {
        let uids = entities(literals).into_iter().filter(|uid| uid.entity_type() == self.entity_type);
        Some(Whom::of(uids.map(Source::Only)))
    }

    /// Those of whom an attribute is one of these, or has one of these.
    fn having(&self, path: &Expr, literals: Option<Vec<Literal>>) -> Option<Whom> {
        let ExprKind::GetAttr { expr, attr } = path.expr_kind() else { return None };
        if !self.is_searched(expr) || self.is_open {
            return None;
        }
        Some(Whom::of(literals?.into_iter().map(|literal| Source::Having(attr.clone(), literal))))
    }
}

fn has_value(sources: &BTreeSet<Source>) -> bool {
    sources.iter().any(|source| matches!(source, Source::Having(..)))
}

/// What is no entity equals none, and nothing is in it.
fn entities(literals: Vec<Literal>) -> Vec<EntityUID> {
    let uid = |literal| match literal {
        Literal::EntityUID(uid) => Some(uid.as_ref().clone()),
        _ => None,
    };
    literals.into_iter().filter_map(uid).collect()
}
