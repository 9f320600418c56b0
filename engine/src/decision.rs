//! May this principal do this to that resource? The pure answer.
//!
//! Promises: the same rules and the same question give the same answer, for ever. A `forbid` that errors
//! denies, unless the pack says otherwise. Must never: do I/O, read a clock, know HTTP or SQL.

use std::sync::{Arc, LazyLock};

use cedar_policy_core::ast::{
    Context, Effect, Entity, EntityUID, EntityUIDEntry, Literal, PrincipalOrResourceConstraint, Request,
    SlotEnv, ValueKind,
};
use cedar_policy_core::entities::Dereference;
use cedar_policy_core::evaluator::Evaluator as CedarEvaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use crate::entity::View;

mod combine;
pub mod compiled;
mod evaluator;
pub mod explain;
pub mod index;
pub mod narrow;
pub mod obligation;
pub mod permissions;
pub mod reach;
pub mod reason;
pub mod residual;
pub mod rules;
pub mod slice;
#[cfg(test)]
mod tests;
pub mod value;

pub use combine::{Combined, OnPolicyError, Verdict, combine};
pub use evaluator::Evaluator;
pub use reason::Reason;

use compiled::{GivesWay, Pool, Subjects};
use rules::{Rule, Rules, scope_matches};
use value::{Path, Record};

/// What is asked, in Cedar's terms.
#[derive(Debug)]
pub struct Question {
    /// Who.
    pub principal: EntityUID,
    /// Does what.
    pub action: EntityUID,
    /// To what.
    pub resource: EntityUID,
    /// Under which circumstances.
    pub context: Arc<Record>,
    /// Principal and resource with the application's properties laid over them.
    pub laid_over: Vec<Arc<Entity>>,
    /// What of the context Cedar can't say.
    pub context_left_out: Vec<Path>,
    /// What of the subject's properties Cedar can't say.
    pub subject_left_out: Vec<Path>,
    /// What of the resource's properties Cedar can't say.
    pub resource_left_out: Vec<Path>,
    /// Whether a stored entity that it is about can't be read: then there is nothing to judge by.
    pub unreadable: bool,
}

/// What each policy said; [`combine`] makes one answer of it.
#[derive(Debug, Default)]
pub struct Findings {
    /// Permits that hold, by their places in the rules.
    pub permits: Vec<usize>,
    /// Forbids that hold.
    pub forbids: Vec<usize>,
    /// Policies that failed, and what Cedar said.
    pub errors: Vec<(usize, String)>,
    /// Whether a policy that can apply reads a value that was left out.
    pub reads_left_out: bool,
    /// How many policies were looked at beyond their scope.
    pub judged: u32,
    /// How many policies the compiled form had nothing to say of, so that Cedar's own evaluator judged them. Those that failed
    /// are not counted: Cedar is asked for their message.
    pub left_to_cedar: u32,
    /// Whether the compiled form and Cedar's own evaluator said different things.
    pub differs: bool,
    /// Whether there was nothing to evaluate over. (Cedar refused the slice, or stored data can't be read.)
    pub unevaluated: bool,
}

/// Evaluates every policy that can apply, over entities as `view` has them.
///
/// The index tells which can match, and their compiled conditions are run; what can't be run that way, Cedar's own evaluator
/// judges.
pub fn evaluate(rules: &Rules, view: &View<'_>, question: &Question) -> Findings {
    let mut findings = Findings::default();
    if question.unreadable {
        findings.unevaluated = true;
        return findings;
    }
    let plan = rules.plan(&question.action);
    let subjects = question.subjects();
    let roots = [&question.principal, &question.action, &question.resource];
    let pool = Pool::new(view, &question.laid_over, roots);
    let judged = if question.has_left_out() {
        // Every policy in whose scope this is counts then: one that would read what was left out denies.
        let mut each = plan.rules.iter().filter_map(|place| u32::try_from(*place).ok());
        each.try_for_each(|place| judge(rules, place, question, (&subjects, &pool), &mut findings))
    } else {
        let mut judged = Ok(());
        let uids = [&question.principal, &question.resource];
        let looked = rules.indexes(plan).into_iter().try_for_each(|index| {
            index.each(&subjects, uids, &pool, |place| {
                if judged.is_ok() {
                    judged = judge(rules, place, question, (&subjects, &pool), &mut findings);
                }
            })
        });
        looked.and(judged)
    };
    if judged.is_err() || pool.is_unreadable() {
        return Findings { unevaluated: true, ..Findings::default() };
    }
    findings.in_order();
    findings
}

/// One policy, if the question is in its scope.
fn judge(
    rules: &Rules,
    place: u32,
    question: &Question,
    (subjects, pool): (&Subjects<'_>, &Pool<'_>),
    findings: &mut Findings,
) -> Result<(), GivesWay> {
    let Some((place, rule)) = usize::try_from(place).ok().and_then(|at| Some((at, rules.all.get(at)?)))
    else {
        return Ok(());
    };
    let in_scope = scope_holds(&rule.principal, &question.principal, pool)?
        && scope_holds(&rule.resource, &question.resource, pool)?;
    if !in_scope {
        return Ok(());
    }
    if question.has_left_out() && question.misses_what(&rule.reach) {
        findings.reads_left_out = true;
    }
    findings.judged += 1;
    let compiled = match (&rule.condition, &rule.compiled) {
        (None, _) => Ok(true),
        (Some(_), Some(compiled)) => compiled.holds(subjects, pool),
        (Some(_), None) => Err(GivesWay),
    };
    let held = match compiled {
        Ok(held) => Ok(held),
        Err(GivesWay) if pool.is_unreadable() => return Err(GivesWay),
        Err(GivesWay) => {
            let held = by_cedar(rule, question, pool)?;
            // One that fails is left to Cedar for its message alone.
            findings.left_to_cedar += u32::from(held.is_ok() || rule.compiled.is_none());
            held
        }
    };
    findings.note(place, rule.effect, held);
    Ok(())
}

/// What Cedar's own evaluator says of one policy.
fn by_cedar(rule: &Rule, question: &Question, pool: &Pool<'_>) -> Result<Result<bool, String>, GivesWay> {
    let roots = [&question.principal, &question.action, &question.resource];
    let slicer = slice::Slicer::new(pool.view(), &question.laid_over);
    let slice = slicer.collect(&rule.reach, roots, &question.context).ok_or(GivesWay)?;
    let evaluator = CedarEvaluator::new(question.to_request(), &slice, Extensions::all_available());
    Ok(holds(rule, &evaluator))
}

/// The same as [`evaluate`], by Cedar's own evaluator and without an index: what the compiled one is measured by.
pub fn evaluate_by_cedar(rules: &Rules, view: &View<'_>, question: &Question) -> Findings {
    let mut findings = Findings::default();
    let plan = rules.plan(&question.action);
    let roots = [&question.principal, &question.action, &question.resource];
    let slicer = slice::Slicer::new(view, &question.laid_over);
    let slice = slicer.collect(rules.reach(plan), roots, &question.context);
    let Some(slice) = slice.filter(|_| !question.unreadable) else {
        findings.unevaluated = true;
        return findings;
    };
    let principal = found(slice.entity(&question.principal));
    let resource = found(slice.entity(&question.resource));
    let evaluator = CedarEvaluator::new(question.to_request(), &slice, Extensions::all_available());
    let left_out = question.has_left_out();
    for place in &plan.rules {
        let Some(rule) = rules.all.get(*place) else { continue };
        let in_scope = scope_matches(&rule.principal, &question.principal, principal)
            && scope_matches(&rule.resource, &question.resource, resource);
        if !in_scope {
            continue;
        }
        if left_out && question.misses_what(&rule.reach) {
            findings.reads_left_out = true;
        }
        findings.note(*place, rule.effect, holds(rule, &evaluator));
    }
    findings
}

impl Findings {
    /// Whether both say the same of the policies.
    fn says_what(&self, other: &Self) -> bool {
        let said = |findings: &Self| (findings.reads_left_out, findings.unevaluated);
        (&self.permits, &self.forbids, &self.errors, said(self))
            == (&other.permits, &other.forbids, &other.errors, said(other))
    }

    fn note(&mut self, place: usize, effect: Effect, held: Result<bool, String>) {
        match held {
            Ok(false) => {}
            Ok(true) if effect == Effect::Permit => self.permits.push(place),
            Ok(true) => self.forbids.push(place),
            Err(message) => self.errors.push((place, message)),
        }
    }

    /// In the order of the policies, whatever the index's order was.
    fn in_order(&mut self) {
        self.permits.sort_unstable();
        self.permits.dedup();
        self.forbids.sort_unstable();
        self.forbids.dedup();
        self.errors.sort_unstable();
        self.errors.dedup();
    }
}

/// Whether the question is within a scope; the entity is looked up only if its groups matter.
fn scope_holds(
    constraint: &PrincipalOrResourceConstraint,
    uid: &EntityUID,
    pool: &Pool<'_>,
) -> Result<bool, GivesWay> {
    use PrincipalOrResourceConstraint::{In, IsIn};
    let entity = match constraint {
        In(_) | IsIn(..) => pool.get(uid)?,
        _ => None,
    };
    Ok(scope_matches(constraint, uid, entity))
}

fn found(entity: Dereference<'_, Entity>) -> Option<&Entity> {
    match entity {
        Dereference::Data(entity) => Some(entity),
        _ => None,
    }
}

/// Policies are not templates: they have no slots to fill.
static NO_SLOTS: LazyLock<SlotEnv> = LazyLock::new(SlotEnv::default);

fn holds(rule: &Rule, evaluator: &CedarEvaluator<'_>) -> Result<bool, String> {
    let Some(condition) = &rule.condition else { return Ok(true) };
    match evaluator.interpret(condition, &NO_SLOTS) {
        Ok(value) => match value.value {
            ValueKind::Lit(Literal::Bool(holds)) => Ok(holds),
            _ => Err("the condition is not a boolean".to_owned()),
        },
        Err(error) => Err(error.to_string()),
    }
}

impl Question {
    /// What a condition's variables stand for.
    pub fn subjects(&self) -> Subjects<'_> {
        let Self { principal, action, resource, context, .. } = self;
        Subjects { principal, action, resource, context }
    }

    fn to_request(&self) -> Request {
        let known = |uid: &EntityUID| EntityUIDEntry::known(uid.clone(), None);
        Request::new_unchecked(
            known(&self.principal),
            known(&self.action),
            known(&self.resource),
            Some(Context::Value(Arc::clone(&self.context))),
        )
    }

    fn has_left_out(&self) -> bool {
        let all = [&self.context_left_out, &self.subject_left_out, &self.resource_left_out];
        all.into_iter().any(|paths| !paths.is_empty())
    }

    fn misses_what(&self, reach: &reach::Reach) -> bool {
        let mut properties = self.subject_left_out.iter().chain(&self.resource_left_out);
        self.context_left_out.iter().any(|path| reach.reads_context(path))
            || properties.any(|path| reach.reads_entity(path))
    }

    /// The JSON pointers (RFC 6901) of what was left out, within the request. Where they are many or long, the
    /// pointer of the object that they are in stands for the rest.
    pub fn left_out_pointers(&self) -> Vec<String> {
        let roots = [
            ("/context", &self.context_left_out),
            ("/subject/properties", &self.subject_left_out),
            ("/resource/properties", &self.resource_left_out),
        ];
        let mut pointers = Vec::new();
        for (root, paths) in roots {
            let exact = paths.iter().take(POINTERS).map_while(|path| pointer(root, path));
            let before = pointers.len();
            pointers.extend(exact);
            if pointers.len() - before < paths.len() {
                pointers.push(root.to_owned());
            }
        }
        pointers
    }
}

/// How many pointers of one object are named, and how long one may be: an answer and its record must not be many times
/// the size of the request.
const POINTERS: usize = 32;
const POINTER_BYTES: usize = 512;

fn pointer(root: &str, path: &Path) -> Option<String> {
    let length: usize = path.iter().map(|name| name.len() + 1).sum();
    if length > POINTER_BYTES {
        return None;
    }
    let escaped = path.iter().map(|name| format!("/{}", name.replace('~', "~0").replace('/', "~1")));
    Some(std::iter::once(root.to_owned()).chain(escaped).collect())
}

/// The ids of rules, in the order of the policies.
pub fn ids(rules: &Rules, places: &[usize]) -> Vec<SmolStr> {
    places.iter().filter_map(|place| rules.all.get(*place)).map(|rule| rule.id.clone()).collect()
}
