//! What is left of policies when all but the resource's row is known: a condition on the row.
//!
//! Promises: a row that the condition selects is one that an evaluation allows with the row's attributes laid over, and no
//! other is. What it can't say so exactly, it does not say: the policy and the clause are named. Must never: widen, or
//! guess what a row holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy_core::ast::{
    Effect, Entity, EntityReference, EntityType, EntityUID, Expr, PrincipalOrResourceConstraint as Scope,
};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use super::reach::Node;
use super::rules::{Rule, Rules, scope_matches};
use super::slice::{Overlay, Slicer};
use super::{OnPolicyError, Question};
use crate::entity::View;

mod formula;
mod operators;
mod translate;

pub use formula::{Formula, Many, Operand, Scalar};

use translate::Translator;

/// What one column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Whole numbers.
    Long,
    /// True or false.
    Bool,
    /// Ids of entities of this type.
    Entity(EntityType),
}

/// An attribute that a row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What it holds.
    pub kind: Kind,
    /// Whether it is a set of these.
    pub set: bool,
    /// Whether each row has it.
    pub always: bool,
}

/// The attributes of a row, by their paths.
pub type Attributes = BTreeMap<SmolStr, Attribute>;

/// The most that a condition may be made of.
pub const MOST: usize = 20_000;

/// Why there is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResidualError {
    /// A policy says what no condition on a row can say.
    #[error("the policy `{policy}` ({file}:{line}) can't be a condition on rows: {why}: `{clause}`")]
    Inexpressible {
        /// Which.
        policy: SmolStr,
        /// Where it stands.
        file: Arc<str>,
        /// From which line on.
        line: usize,
        /// What of it.
        clause: String,
        /// Why.
        why: String,
    },
    /// It is too much.
    #[error(
        "the filter is made of more than {MOST} conditions and values: ask with more policies out of the way"
    )]
    TooLarge,
    /// It took too long.
    #[error("the filter took longer than its time")]
    TooSlow,
    /// Too many entities count one by one.
    #[error("more than {most} entities of type `{of}` {why}: a filter can't name each of them")]
    TooMany {
        /// How many may.
        most: usize,
        /// Of which type.
        of: String,
        /// What is with them.
        why: String,
    },
    /// Roles in scopes have a say on somebody whom only the row names.
    #[error(
        "who is in `{0}` depends on roles in scopes, and so on the row: that can't be a condition on rows"
    )]
    Scoped(String),
    /// Stored data can't be read.
    #[error("stored data can't be read")]
    Unreadable,
}

impl ResidualError {
    fn of(rule: &Rule, clause: String, why: String) -> Self {
        // The folder is the operator's business.
        let file = rule.file.rsplit('/').next().unwrap_or_default().into();
        Self::Inexpressible { policy: rule.id.clone(), file, line: rule.line, clause, why }
    }
}

/// What can't be said of one policy.
#[derive(Debug)]
enum Stop {
    Inexpressible { clause: String, why: String },
    Other(ResidualError),
}

impl From<ResidualError> for Stop {
    fn from(error: ResidualError) -> Self {
        Self::Other(error)
    }
}

fn inexpressible(clause: &Expr, why: impl Into<String>) -> Stop {
    let text = clause.source_loc().and_then(|loc| loc.snippet()).unwrap_or("(a part without a place)");
    Stop::Inexpressible { clause: text.chars().take(200).collect(), why: why.into() }
}

/// Whose membership is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whose {
    /// The row's own: each entity is asked about as the resource.
    Row,
    /// That of an entity which a column names.
    Column,
}

/// The ids of entities of a type that are an entity, or in it.
pub type Members<'a> = &'a dyn Fn(&EntityUID, &EntityType, Whose) -> Result<Vec<SmolStr>, ResidualError>;

/// What a condition follows from.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The policies.
    pub rules: &'a Rules,
    /// What a failed `forbid` does.
    pub on_error: OnPolicyError,
    /// Entities, as a question about this resource sees them.
    pub view: &'a View<'a>,
    /// The question. Its resource is the row's, or one that nothing is known of.
    pub question: &'a Question,
    /// Whether it is the row's.
    pub is_known: bool,
    /// What of the row counts.
    pub overlay: Overlay,
    /// The row's attributes.
    pub attributes: &'a Attributes,
    /// Who is in what.
    pub members: Members<'a>,
    /// Whether its time is over.
    pub stop: &'a dyn Fn() -> bool,
}

/// When something is true, and when it is false. When it fails, it is neither.
#[derive(Clone, Debug)]
struct Truth {
    yes: Formula,
    no: Formula,
    /// Whether it never fails.
    sure: bool,
}

impl Truth {
    fn known(holds: bool) -> Self {
        if holds { Self::sure(Formula::Always) } else { Self::sure(Formula::Never) }
    }

    fn sure(yes: Formula) -> Self {
        Self { no: yes.clone().not(), yes, sure: true }
    }

    fn fails() -> Self {
        Self { yes: Formula::Never, no: Formula::Never, sure: false }
    }

    fn not(self) -> Self {
        Self { yes: self.no, no: self.yes, sure: self.sure }
    }

    /// Cedar's `&&`.
    fn and(self, other: Self) -> Result<Self, ResidualError> {
        let guarded = if self.sure { other.no } else { Formula::and([self.yes.clone(), other.no]) };
        let no = Formula::or([self.no, guarded]);
        let yes = Formula::and([self.yes, other.yes]);
        let made = Self { yes, no, sure: self.sure && other.sure };
        if made.yes.size().saturating_add(made.no.size()) > MOST {
            return Err(ResidualError::TooLarge);
        }
        Ok(made)
    }

    /// Cedar's `||`.
    fn or(self, other: Self) -> Result<Self, ResidualError> {
        self.not().and(other.not()).map(Self::not)
    }
}

/// The condition on a row: when an evaluation of the row's resource allows, for who understands no obligation.
///
/// # Errors
/// When it can't be said exactly, or is too much.
pub fn residual(ground: &Ground<'_>) -> Result<Formula, ResidualError> {
    if ground.question.unreadable {
        return Err(ResidualError::Unreadable);
    }
    let base = base(ground)?;
    let plan = ground.rules.plan(&ground.question.action);
    let (mut permits, mut others) = (Vec::new(), Vec::new());
    let mut size = 0_usize;
    for rule in plan.rules.iter().filter_map(|place| ground.rules.all.get(*place)) {
        if (ground.stop)() {
            return Err(ResidualError::TooSlow);
        }
        let one = of_rule(ground, base.as_deref(), rule)?;
        let before = permits.len() + others.len();
        permits.extend(one.permits.filter(|formula| *formula != Formula::Never));
        others.extend(one.needs.filter(|formula| *formula != Formula::Always));
        if permits.len() + others.len() > before {
            let added = [permits.last(), others.last()].into_iter().flatten().map(Formula::size);
            size = size.saturating_add(added.sum());
        }
        if size > MOST * 4 {
            return Err(ResidualError::TooLarge);
        }
    }
    let permitted = Formula::or(permits);
    let all = Formula::and(others.into_iter().chain([permitted]));
    if all.size() > MOST { Err(ResidualError::TooLarge) } else { Ok(all) }
}

/// What one policy comes to.
#[derive(Default)]
struct Said {
    /// When it permits.
    permits: Option<Formula>,
    /// What must hold for anything to be allowed.
    needs: Option<Formula>,
}

impl Said {
    fn permits(formula: Formula) -> Self {
        Self { permits: Some(formula), needs: None }
    }

    fn needs(formula: Formula) -> Self {
        Self { permits: None, needs: Some(formula) }
    }
}

/// What is known of the resource itself: what is stored, with what the subject's properties say of the same entity.
fn base(ground: &Ground<'_>) -> Result<Option<Arc<Entity>>, ResidualError> {
    if !ground.is_known {
        return Ok(None);
    }
    let resource = &ground.question.resource;
    let laid_over = ground.question.laid_over.iter().find(|entity| entity.uid() == resource);
    match laid_over {
        Some(entity) => Ok(Some(Arc::clone(entity))),
        None => ground.view.get(resource).map_err(|_| ResidualError::Unreadable),
    }
}

fn of_rule(ground: &Ground<'_>, base: Option<&Entity>, rule: &Rule) -> Result<Said, ResidualError> {
    let question = ground.question;
    let principal = entity(ground, &question.principal)?;
    if !scope_matches(&rule.principal, &question.principal, principal.as_deref()) {
        return Ok(Said::default());
    }
    let scope = of_scope(ground, base, &rule.resource)?;
    if scope == Formula::Never {
        return Ok(Said::default());
    }
    if question.has_left_out() && question.misses_what(&rule.reach) {
        return Ok(Said::needs(scope.not()));
    }
    let truth = match &rule.condition {
        None => Truth::known(true),
        Some(condition) => of_condition(ground, base, (rule, condition)).map_err(|stop| match stop {
            Stop::Other(error) => error,
            Stop::Inexpressible { clause, why } => ResidualError::of(rule, clause, why),
        })?,
    };
    let truth = Truth::sure(scope).and(truth)?;
    Ok(match (rule.effect, ground.on_error) {
        // Nobody who filters rows can carry an obligation out: a permit that has one denies where it holds.
        (Effect::Permit, _) if rule.obligations.iter().any(|one| one.mandatory) => {
            Said::needs(truth.yes.not())
        }
        (Effect::Permit, _) if rule.obligations.is_empty() => Said::permits(truth.yes),
        (Effect::Permit, _) => return advised(rule, truth),
        (Effect::Forbid, OnPolicyError::Deny) => Said::needs(truth.no),
        (Effect::Forbid, OnPolicyError::Skip) => Said::needs(truth.yes.not()),
    })
}

/// Advice of two permits can be in conflict only if both set a header.
fn advised(rule: &Rule, truth: Truth) -> Result<Said, ResidualError> {
    let sets = |duty: &super::obligation::Duty| matches!(duty, super::obligation::Duty::SetHeader { .. });
    if truth.yes != Formula::Never && rule.obligations.iter().any(|one| sets(&one.duty)) {
        let why = "advice that sets a header can be in conflict with another's, which denies";
        return Err(ResidualError::of(rule, "set_header".into(), why.into()));
    }
    Ok(Said::permits(truth.yes))
}

fn entity(ground: &Ground<'_>, uid: &EntityUID) -> Result<Option<Arc<Entity>>, ResidualError> {
    match ground.question.laid_over.iter().find(|entity| entity.uid() == uid) {
        Some(entity) => Ok(Some(Arc::clone(entity))),
        None => ground.view.get(uid).map_err(|_| ResidualError::Unreadable),
    }
}

/// When the resource is in a policy's scope.
fn of_scope(ground: &Ground<'_>, base: Option<&Entity>, scope: &Scope) -> Result<Formula, ResidualError> {
    let resource = &ground.question.resource;
    if ground.is_known {
        let holds = scope_matches(scope, resource, base);
        return Ok(if holds { Formula::Always } else { Formula::Never });
    }
    let is = |of: &EntityType| of == resource.entity_type();
    match scope {
        Scope::Any => Ok(Formula::Always),
        Scope::Is(of) => Ok(if is(of) { Formula::Always } else { Formula::Never }),
        Scope::Eq(EntityReference::EUID(uid)) if is(uid.entity_type()) => {
            Ok(Formula::one_of(Operand::Id, [Scalar::Text(id_of(uid))]))
        }
        Scope::In(EntityReference::EUID(group)) => within(ground, group),
        Scope::IsIn(of, EntityReference::EUID(group)) if is(of) => within(ground, group),
        Scope::Eq(_) | Scope::In(_) | Scope::IsIn(..) => Ok(Formula::Never),
    }
}

/// When the resource, of which nothing is known, is this entity or in it.
fn within(ground: &Ground<'_>, group: &EntityUID) -> Result<Formula, ResidualError> {
    let members = (ground.members)(group, ground.question.resource.entity_type(), Whose::Row)?;
    Ok(Formula::one_of(Operand::Id, members.into_iter().map(Scalar::Text)))
}

fn id_of(uid: &EntityUID) -> SmolStr {
    SmolStr::new(AsRef::<str>::as_ref(uid.eid()))
}

/// When a condition holds.
fn of_condition(
    ground: &Ground<'_>,
    base: Option<&Entity>,
    (rule, condition): (&Rule, &Expr),
) -> Result<Truth, Stop> {
    let question = ground.question;
    let slicer = Slicer::new(ground.view, &question.laid_over);
    let roots = [&question.principal, &question.action, &question.resource];
    let slice = slicer.collect(&rule.reach, roots, &question.context).ok_or(ResidualError::Unreadable)?;
    let is_same = ground.is_known && question.principal == question.resource;
    let of_type = |uid: &EntityUID| uid.entity_type() == question.resource.entity_type();
    let strange = |entity: &Entity| {
        let uid = entity.uid();
        of_type(uid) && if ground.is_known { *uid == question.resource } else { *uid != question.principal }
    };
    if let Some(read) = slice.iter().find(|entity| strange(entity)) {
        // By `resource` it may be read: that is what the row is for.
        let mut reach = rule.reach.clone();
        reach.resource = Node::default();
        if is_same {
            reach.principal = Node::default();
        }
        let beside = Slicer::new(ground.view, &question.laid_over)
            .collect(&reach, roots, &question.context)
            .ok_or(ResidualError::Unreadable)?;
        if !ground.is_known || beside.iter().any(strange) {
            let why =
                format!("it reads `{}`, whose row is not known, by another way than `resource`", read.uid());
            return Err(inexpressible(condition, why));
        }
    }
    let evaluator = Evaluator::new(question.to_request(), &slice, Extensions::all_available());
    Translator { ground, base, evaluator, is_same }.truth(condition)
}
