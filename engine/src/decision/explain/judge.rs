//! What one policy's clauses and their parts say of one question.
//!
//! Promises: what Cedar's own evaluator says. What is compiled is run that way, since most of it can be; errors have Cedar's
//! own words.

use std::cell::OnceCell;
use std::sync::Arc;

use cedar_policy_core::ast::{
    Entity, EntityUID, Expr, Literal, PrincipalOrResourceConstraint, Value, ValueKind,
};
use cedar_policy_core::entities::Entities;
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;

use super::Asking;
use crate::decision::compiled::{Compiled, Pool};
use crate::decision::rules::{Rule, scope_matches};
use crate::decision::slice::Slicer;
use crate::decision::{NO_SLOTS, Question};
use crate::entity::View;
use crate::entity::interned::Interner;

/// One policy, before one question.
pub(super) struct Judge<'j, 'a> {
    pub(super) asking: &'j Asking<'a>,
    pub(super) rule: &'a Rule,
    pool: Pool<'a>,
    slice: OnceCell<Option<Entities>>,
}

/// What it takes to collect what a policy reads, and what it may take when nobody knows what that is.
const SLICE: usize = 10;
const UNBOUNDED_SLICE: usize = 2_000;

impl<'j, 'a> Judge<'j, 'a> {
    pub(super) fn new(asking: &'j Asking<'a>, rule: &'a Rule) -> Self {
        let question = asking.question;
        let roots = [&question.principal, &question.action, &question.resource];
        let pool = Pool::new(asking.view, &question.laid_over, roots);
        Self { asking, rule, pool, slice: OnceCell::new() }
    }

    /// Whether a part holds. An error has Cedar's words.
    pub(super) fn holds(&self, expr: &Expr) -> Result<bool, String> {
        if !self.asking.budget.take(1 + length(expr) / 64) {
            return Err(SPENT.to_owned());
        }
        let question = self.asking.question;
        let subjects = question.subjects();
        let compiled = Compiled::of(expr, &mut Interner::default())
            .and_then(|compiled| compiled.holds(&subjects, &self.pool).ok());
        if let Some(held) = compiled {
            return Ok(held);
        }
        match self.by_cedar(expr)?.value {
            ValueKind::Lit(Literal::Bool(held)) => Ok(held),
            _ => Err("it is not a boolean".to_owned()),
        }
    }

    /// The value of a part.
    pub(super) fn value(&self, expr: &Expr) -> Option<Value> {
        if let cedar_policy_core::ast::ExprKind::Lit(literal) = expr.expr_kind() {
            return Some(Value::from(literal.clone()));
        }
        if !self.asking.budget.take(1 + length(expr) / 64) {
            return None;
        }
        self.by_cedar(expr).ok()
    }

    fn by_cedar(&self, expr: &Expr) -> Result<Value, String> {
        let question = self.asking.question;
        let slice = self.slice.get_or_init(|| {
            let cost = if self.rule.reach.unbounded { UNBOUNDED_SLICE } else { SLICE };
            let slicer = Slicer::new(self.asking.view, &question.laid_over);
            let roots = [&question.principal, &question.action, &question.resource];
            let paid = self.asking.budget.take(cost);
            paid.then(|| slicer.collect(&self.rule.reach, roots, &question.context)).flatten()
        });
        let Some(slice) = slice else { return Err(SPENT.to_owned()) };
        let evaluator = Evaluator::new(question.to_request(), slice, Extensions::all_available());
        evaluator.interpret(expr, &NO_SLOTS).map_err(|error| error.to_string())
    }

    /// Whether a constraint of the scope holds.
    pub(super) fn in_scope(&self, constraint: &PrincipalOrResourceConstraint, uid: &EntityUID) -> bool {
        use PrincipalOrResourceConstraint::{In, IsIn};
        let entity = match constraint {
            In(_) | IsIn(..) => self.pool.get(uid).ok().flatten(),
            _ => None,
        };
        scope_matches(constraint, uid, entity)
    }

    /// The entity, if there is one.
    pub(super) fn entity(&self, uid: &EntityUID) -> Option<Arc<Entity>> {
        look_up(self.asking.question, self.asking.view, uid)
    }
}

/// The entity as a question has it, if there is one.
pub(super) fn look_up(question: &Question, view: &View<'_>, uid: &EntityUID) -> Option<Arc<Entity>> {
    let laid_over = question.laid_over.iter().find(|entity| entity.uid() == uid).cloned();
    laid_over.or_else(|| view.get(uid).ok().flatten())
}

/// Said in the place of an error, when the work has come to its bound.
const SPENT: &str = "not evaluated: the explanation has come to its bound";

/// How long the text of an expression is, about.
fn length(expr: &Expr) -> usize {
    expr.source_loc().map_or(64, |loc| loc.end().saturating_sub(loc.start()))
}
