//! Expressions as conditions on a row.
//!
//! Promises: what does not depend on the row is what Cedar's own evaluator says it is. What does is translated as Cedar
//! evaluates it: from left to right, as far as it looks, and an error is neither true nor false.

use cedar_policy_core::ast::{Entity, Expr, ExprKind, Literal, PartialValue, UnaryOp, Value, ValueKind, Var};
use cedar_policy_core::evaluator::Evaluator;
use smol_str::SmolStr;

use super::super::NO_SLOTS;
use super::super::slice::Overlay;
use super::{Attribute, Formula, Ground, Kind, Operand, ResidualError, Scalar, Stop, Truth, inexpressible};

/// What an expression comes to.
pub(super) enum Term<'a> {
    /// A value.
    Known(Value),
    /// The resource.
    Resource,
    /// What a row has under this path.
    Leaf(SmolStr, &'a Attribute),
    /// A record of what a row has under this path.
    Record(SmolStr),
    /// Something true, false, or failed.
    Truth(Truth),
    /// A failure.
    Fails,
}

/// Translates one condition.
pub(super) struct Translator<'a, 'e> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) base: Option<&'a Entity>,
    pub(super) evaluator: Evaluator<'e>,
    /// Whether the principal is the row's resource.
    pub(super) is_same: bool,
}

pub(super) type Made<'a> = Result<Term<'a>, Stop>;

impl<'a> Translator<'a, '_> {
    /// When an expression is true, and when it is false.
    pub(super) fn truth(&self, expr: &Expr) -> Result<Truth, Stop> {
        let term = self.term(expr)?;
        Ok(self.as_truth(&term))
    }

    fn as_truth(&self, term: &Term<'_>) -> Truth {
        match term {
            Term::Known(Value { value: ValueKind::Lit(Literal::Bool(holds)), .. }) => Truth::known(*holds),
            Term::Truth(truth) => truth.clone(),
            Term::Leaf(path, Attribute { kind: Kind::Bool, set: false, .. }) => {
                let is = |value| {
                    let left = Operand::Attribute(path.clone());
                    Formula::Equal { left, right: Operand::Value(Scalar::Bool(value)) }
                };
                self.guarded(&[path], is(true), is(false))
            }
            _ => Truth::fails(),
        }
    }

    /// What an expression comes to.
    pub(super) fn term(&self, expr: &Expr) -> Made<'a> {
        if (self.ground.stop)() {
            return Err(ResidualError::TooSlow.into());
        }
        if !self.mentions(expr) {
            return Ok(self.evaluated(expr));
        }
        match expr.expr_kind() {
            ExprKind::Var(_) => Ok(Term::Resource),
            ExprKind::And { .. } => self.chain(expr, true),
            ExprKind::Or { .. } => self.chain(expr, false),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => Ok(Term::Truth(self.truth(arg)?.not())),
            ExprKind::UnaryApp { op, arg } => self.unary(*op, arg, expr),
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let (left, right) = (self.term(arg1)?, self.term(arg2)?);
                self.binary(*op, (left, right), expr)
            }
            ExprKind::If { test_expr, then_expr, else_expr } => self.choice(test_expr, then_expr, else_expr),
            ExprKind::GetAttr { expr: of, attr } => {
                let of = self.term(of)?;
                self.attribute(of, attr, expr)
            }
            ExprKind::HasAttr { expr: of, attr } => {
                let of = self.term(of)?;
                Ok(Term::Truth(self.has(&of, attr, expr)?))
            }
            ExprKind::ExtHasAttr { expr: of, attrs } => {
                let mut of = self.term(of)?;
                let mut all = Truth::known(true);
                for attr in attrs {
                    if all.yes == Formula::Never {
                        break;
                    }
                    all = all.and(self.has(&of, attr, expr)?)?;
                    if all.yes != Formula::Never {
                        of = self.attribute(of, attr, expr)?;
                    }
                }
                Ok(Term::Truth(all))
            }
            ExprKind::Like { expr: of, pattern } => {
                let of = self.term(of)?;
                Ok(self.like(of, pattern))
            }
            ExprKind::Is { expr: of, entity_type } => {
                let of = self.term(of)?;
                Ok(self.is(of, entity_type))
            }
            _ => Err(inexpressible(expr, "no condition can be made of it")),
        }
    }

    /// Whether it depends on the row.
    fn mentions(&self, expr: &Expr) -> bool {
        expr.subexpressions().any(|part| match part.expr_kind() {
            ExprKind::Var(Var::Resource) => true,
            ExprKind::Var(Var::Principal) => self.is_same,
            _ => false,
        })
    }

    /// What Cedar says of what does not depend on the row.
    pub(super) fn evaluated(&self, expr: &Expr) -> Term<'a> {
        self.evaluator.interpret(expr, &NO_SLOTS).map_or(Term::Fails, Term::Known)
    }

    /// `a && b && c`, or with `||`, in one row: it may be thousands of links deep to the left.
    fn chain(&self, expr: &Expr, all: bool) -> Made<'a> {
        let mut links = Vec::new();
        let mut left = expr;
        loop {
            match left.expr_kind() {
                ExprKind::And { left: further, right } if all => {
                    links.push(&**right);
                    left = further;
                }
                ExprKind::Or { left: further, right } if !all => {
                    links.push(&**right);
                    left = further;
                }
                _ => break,
            }
        }
        let mut made = self.truth(left)?;
        for link in links.into_iter().rev() {
            let ends = if all { &made.yes } else { &made.no };
            if *ends == Formula::Never {
                break;
            }
            let link = self.truth(link)?;
            made = if all { made.and(link)? } else { made.or(link)? };
        }
        Ok(Term::Truth(made))
    }

    fn choice(&self, test: &Expr, then: &Expr, other: &Expr) -> Made<'a> {
        let test_truth = self.truth(test)?;
        if test_truth.yes == Formula::Always {
            return self.term(then);
        }
        if test_truth.no == Formula::Always {
            return self.term(other);
        }
        let mut made = Truth { yes: Formula::Never, no: Formula::Never, sure: test_truth.sure };
        for (when, branch) in [(test_truth.yes, then), (test_truth.no, other)] {
            if when == Formula::Never {
                continue;
            }
            let term = self.term(branch)?;
            if !may_be_truth(&term) {
                return Err(inexpressible(branch, "what is chosen by the row is not a boolean"));
            }
            let truth = self.as_truth(&term);
            made.yes = Formula::or([made.yes, Formula::and([when.clone(), truth.yes])]);
            made.no = Formula::or([made.no, Formula::and([when, truth.no])]);
            made.sure &= truth.sure;
            if made.yes.size().saturating_add(made.no.size()) > super::MOST {
                return Err(ResidualError::TooLarge.into());
            }
        }
        Ok(Term::Truth(made))
    }

    /// `x.attr`.
    fn attribute(&self, of: Term<'a>, attr: &SmolStr, expr: &Expr) -> Made<'a> {
        match of {
            Term::Known(value) => Ok(self.evaluated(&Expr::get_attr(Expr::from(value), attr.clone()))),
            // A path is written with dots: such a name has none.
            Term::Resource | Term::Record(_) if attr.contains('.') => {
                Err(inexpressible(expr, "a name with a dot has no column"))
            }
            Term::Resource => match self.stored(attr, expr)? {
                Some(value) => Ok(Term::Known(value)),
                None => self.mapped(attr.clone(), expr),
            },
            Term::Record(path) => self.mapped(joined(&path, attr), expr),
            Term::Leaf(_, Attribute { kind: Kind::Entity(_), set: false, .. }) => {
                Err(inexpressible(expr, "what the row's entity has is not known"))
            }
            Term::Leaf(..) | Term::Truth(_) | Term::Fails => Ok(Term::Fails),
        }
    }

    /// What is stored of the resource itself, where it wins over the row.
    fn stored(&self, attr: &SmolStr, expr: &Expr) -> Result<Option<Value>, Stop> {
        let stored = match self.base.and_then(|base| base.get(attr)) {
            Some(PartialValue::Value(value)) => Some(value.clone()),
            Some(PartialValue::Residual(_)) => return Err(ResidualError::Unreadable.into()),
            None => None,
        };
        let is_mapped = self.ground.attributes.contains_key(attr) || self.is_record(attr);
        match self.ground.overlay {
            Overlay::Fill => Ok(stored),
            Overlay::Override if stored.is_some() && is_mapped => Err(inexpressible(
                expr,
                "the resource has it stored as well, and the pack prefers the row's only where there is one",
            )),
            Overlay::Override => Ok(stored),
            Overlay::Ignore if stored.is_some() => Ok(stored),
            Overlay::Ignore => Err(inexpressible(
                expr,
                "the pack ignores what applications say of resources (`properties.resource`)",
            )),
        }
    }

    /// What the row has under a path.
    fn mapped(&self, path: SmolStr, expr: &Expr) -> Made<'a> {
        if let Some(attribute) = self.ground.attributes.get(&path) {
            return Ok(Term::Leaf(path, attribute));
        }
        if self.is_record(&path) {
            return Ok(Term::Record(path));
        }
        Err(inexpressible(expr, format!("no column is mapped for `{path}`")))
    }

    fn is_record(&self, path: &SmolStr) -> bool {
        self.below(path).next().is_some()
    }

    fn below(&self, path: &SmolStr) -> impl Iterator<Item = (&'a SmolStr, &'a Attribute)> {
        let start = SmolStr::new(format!("{path}."));
        let after = self.ground.attributes.range(start.clone()..);
        after.take_while(move |(name, _)| name.starts_with(start.as_str()))
    }

    /// `x has attr`.
    fn has(&self, of: &Term<'a>, attr: &SmolStr, expr: &Expr) -> Result<Truth, Stop> {
        match of {
            Term::Known(value) => {
                let told = self.evaluated(&Expr::has_attr(Expr::from(value.clone()), attr.clone()));
                Ok(self.as_truth(&told))
            }
            Term::Resource | Term::Record(_) if attr.contains('.') => {
                Err(inexpressible(expr, "a name with a dot has no column"))
            }
            Term::Resource => match self.stored(attr, expr)? {
                Some(_) => Ok(Truth::known(true)),
                None => Ok(Truth::sure(self.is_there(attr, expr)?)),
            },
            Term::Record(path) => {
                let there = Truth::sure(self.is_there(&joined(path, attr), expr)?);
                let whole = self.is_there(path, expr)?;
                Ok(Truth { no: Formula::and([whole, there.no]), yes: there.yes, sure: false })
            }
            Term::Leaf(_, Attribute { kind: Kind::Entity(_), set: false, .. }) => {
                Err(inexpressible(expr, "what the row's entity has is not known"))
            }
            Term::Leaf(..) | Term::Truth(_) | Term::Fails => Ok(Truth::fails()),
        }
    }

    /// When a row has something under a path. A record is there when something of it is.
    fn is_there(&self, path: &SmolStr, expr: &Expr) -> Result<Formula, Stop> {
        match self.mapped(path.clone(), expr)? {
            Term::Leaf(path, attribute) => Ok(present(&path, attribute)),
            _ => Ok(Formula::or(self.below(path).map(|(path, attribute)| present(path, attribute)))),
        }
    }

    /// A truth about attributes: without one of them, it fails.
    pub(super) fn guarded(&self, paths: &[&SmolStr], yes: Formula, no: Formula) -> Truth {
        let guards = || {
            let known = paths.iter().filter_map(|path| self.ground.attributes.get_key_value(*path));
            known.map(|(path, attribute)| present(path, attribute))
        };
        let sure = guards().all(|guard| guard == Formula::Always);
        Truth { yes: Formula::and(guards().chain([yes])), no: Formula::and(guards().chain([no])), sure }
    }
}

fn present(path: &SmolStr, attribute: &Attribute) -> Formula {
    if attribute.always {
        Formula::Always
    } else {
        Formula::Present { left: Operand::Attribute(path.clone()) }
    }
}

fn joined(path: &SmolStr, attr: &SmolStr) -> SmolStr {
    SmolStr::new(format!("{path}.{attr}"))
}

/// Whether it is a boolean, or fails: what is chosen may be compared with anything otherwise.
fn may_be_truth(term: &Term<'_>) -> bool {
    match term {
        Term::Known(value) => matches!(value.value, ValueKind::Lit(Literal::Bool(_))),
        Term::Leaf(_, attribute) => attribute.kind == Kind::Bool && !attribute.set,
        Term::Truth(_) | Term::Fails => true,
        Term::Resource | Term::Record(_) => false,
    }
}
