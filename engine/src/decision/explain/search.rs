//! Which permits come nearest, and which changes would permit.
//!
//! Promises: what is told works: the whole question was asked again, and is allowed. No set of changes is told of which a part
//! works alone. What was not looked at is said.

use cedar_policy_core::ast::{Effect, PrincipalOrResourceConstraint};

use super::Asking;
use super::change::{Change, ChangeTold, Edit, apply};
use super::clause::parts;
use super::judge::Judge;
use super::ways::{Ways, product};
use crate::decision::compiled::Pool;
use crate::decision::rules::Rule;
use crate::decision::{Findings, OnPolicyError, Question, Verdict, combine, evaluate};

/// How many permits are looked at, how many evaluations there are, and how many sets of changes are shown.
const PERMITS: usize = 2_000;
const EVALUATIONS: usize = 200;
const SHOWN: usize = 5;
/// How many sets are tried at most.
const CANDIDATES: usize = 1_000;

/// The permits that can be about the action, those first of which the fewest clauses fail, and how many there are in all.
pub(super) fn nearest(asking: &Asking<'_>, cut: &mut bool) -> (Vec<usize>, usize) {
    let rules = asking.rules;
    let plan = rules.plan(&asking.question.action);
    if !asking.budget.take(plan.rules.len() / 10) {
        *cut = true;
        return (Vec::new(), 0);
    }
    // The scopes of all of them, which is cheap, before the conditions of some.
    let mut permits = Vec::new();
    for place in &plan.rules {
        let Some(rule) = rules.all.get(*place).filter(|rule| rule.effect == Effect::Permit) else { continue };
        let (failing, is_out_of_reach) = scope(&Judge::new(asking, rule));
        permits.push((is_out_of_reach, failing, *place));
    }
    let count = permits.len();
    permits.sort_unstable();
    let mut ranked = Vec::new();
    for (is_out_of_reach, failing, place) in permits {
        let Some(rule) = rules.all.get(place) else { continue };
        if ranked.len() == PERMITS || !asking.budget.take(1) {
            *cut = true;
            break;
        }
        let judge = Judge::new(asking, rule);
        let fails = |part: &super::clause::Part<'_>| judge.holds(part.expr) != Ok(part.wanted);
        let failing = failing + parts(rule).0.iter().filter(|part| fails(part)).count();
        ranked.push((failing, is_out_of_reach, place));
    }
    ranked.sort_unstable();
    (ranked.into_iter().map(|(_, _, place)| place).collect(), count)
}

/// How many constraints of the scope do not hold, and whether one of them is of an id or a type, which no change reaches.
fn scope(judge: &Judge<'_, '_>) -> (usize, bool) {
    use PrincipalOrResourceConstraint::{Eq, Is, IsIn};
    let (rule, question) = (judge.rule, judge.asking.question);
    let sides = [(&rule.principal, &question.principal), (&rule.resource, &question.resource)];
    let (mut failing, mut is_out_of_reach) = (0, false);
    for (constraint, uid) in sides {
        if judge.in_scope(constraint, uid) {
            continue;
        }
        failing += 1;
        is_out_of_reach |= match constraint {
            Eq(_) | Is(_) => true,
            IsIn(of, _) => uid.entity_type() != of.as_ref(),
            _ => false,
        };
    }
    (failing, is_out_of_reach)
}

/// Sets of changes, the smallest first, each of which would permit.
pub(super) fn changes(
    asking: &Asking<'_>,
    findings: &Findings,
    nearest: &[usize],
    cut: &mut bool,
) -> Vec<Vec<ChangeTold>> {
    if findings.reads_left_out || findings.unevaluated {
        return Vec::new();
    }
    let Some(blocking) = unblocked(asking, findings) else { return Vec::new() };
    let mut candidates: Ways = Vec::new();
    if findings.permits.is_empty() {
        for rule in nearest.iter().filter_map(|place| asking.rules.all.get(*place)) {
            if candidates.len() >= CANDIDATES || !asking.budget.take(1) {
                *cut = true;
                break;
            }
            let judge = Judge::new(asking, rule);
            if !scope(&judge).1 {
                candidates.extend(product(&blocking, &judge.ways(true)));
            }
        }
    } else {
        candidates = blocking;
    }
    candidates.retain(|set| !set.is_empty());
    candidates.sort_by_key(Vec::len);
    let mut trial = Trial::new(asking);
    let found = trial.those_that_work(&candidates);
    *cut |= trial.is_spent || trial.is_cut;
    found.iter().filter_map(|set| set.iter().map(|change| change.tell(asking.question)).collect()).collect()
}

/// How all forbids that deny could be made not to hold; none when they can't.
fn unblocked(asking: &Asking<'_>, findings: &Findings) -> Option<Ways> {
    let rule = |place: &usize| asking.rules.all.get(*place);
    let failed =
        findings.errors.iter().map(|(place, _)| place).filter(|_| asking.on_error == OnPolicyError::Deny);
    let is_forbid = |rule: &&Rule| rule.effect == Effect::Forbid;
    let mut all: Ways = vec![Vec::new()];
    for rule in findings.forbids.iter().chain(failed).filter_map(rule).filter(is_forbid) {
        all = product(&all, &Judge::new(asking, rule).ways(false));
        if all.is_empty() {
            return None;
        }
    }
    Some(all)
}

/// Asks again, as often as may be.
struct Trial<'t, 'a> {
    asking: &'t Asking<'a>,
    left: usize,
    is_spent: bool,
    /// Whether there is one that is too long to be shown.
    is_cut: bool,
    /// What one evaluation takes of the budget.
    cost: usize,
}

impl<'t, 'a> Trial<'t, 'a> {
    fn new(asking: &'t Asking<'a>) -> Self {
        Self { asking, left: EVALUATIONS, is_spent: false, is_cut: false, cost: cost(asking) }
    }

    fn those_that_work(&mut self, candidates: &Ways) -> Ways {
        let mut found: Ways = Vec::new();
        for candidate in candidates {
            if self.is_spent {
                break;
            }
            let holds = |set: &Vec<Change>| set.iter().all(|change| candidate.contains(change));
            if found.iter().any(holds) || !self.permits(candidate) {
                continue;
            }
            if found.len() == SHOWN {
                self.is_spent = true;
                break;
            }
            let smallest = self.smallest(candidate);
            if smallest.iter().any(|change| change.tell(self.asking.question).is_none()) {
                self.is_cut = true;
            } else {
                found.retain(|set| !smallest.iter().all(|change| set.contains(change)));
                found.push(smallest);
            }
        }
        found.sort_by_key(Vec::len);
        found
    }

    /// A part of a set that works, of which no part works.
    fn smallest(&mut self, set: &[Change]) -> Vec<Change> {
        let mut set = set.to_vec();
        let mut place = 0;
        while set.len() > 1 && place < set.len() {
            let mut fewer = set.clone();
            fewer.remove(place);
            if self.permits(&fewer) {
                set = fewer;
                place = 0;
            } else {
                place += 1;
            }
        }
        set
    }

    /// Whether the question is allowed with these changes, however far leaving a group goes.
    fn permits(&mut self, set: &[Change]) -> bool {
        let leaves = set.iter().any(|change| matches!(change.edit, Edit::Leave(_)));
        let ways = if leaves { &[true, false][..] } else { &[true][..] };
        ways.iter().all(|thorough| {
            if self.left == 0 || !self.asking.budget.take(self.cost) {
                self.is_spent = true;
                return false;
            }
            self.left -= 1;
            let changed = apply(self.asking.question, self.asking.view, set, *thorough);
            changed.is_some_and(|changed| is_allowed(self.asking, &changed))
        })
    }
}

fn is_allowed(asking: &Asking<'_>, question: &Question) -> bool {
    let findings = evaluate(asking.rules, asking.view, question);
    combine(asking.rules, &findings, asking.on_error, asking.understands).verdict == Verdict::Allow
}

/// What it takes to evaluate a policy; one that may read anything, and is Cedar's to judge, takes much.
fn weight(rule: &Rule) -> usize {
    let reads_all = rule.reach.unbounded && rule.condition.is_some() && rule.compiled.is_none();
    1 + rule.text.len() / 256 + if reads_all { 2_000 } else { 0 }
}

/// What it takes to ask once: by the texts of the policies that the index finds.
fn cost(asking: &Asking<'_>) -> usize {
    let question = asking.question;
    let subjects = question.subjects();
    let roots = [&question.principal, &question.action, &question.resource];
    let pool = Pool::new(asking.view, &question.laid_over, roots);
    let mut cost = 5;
    for index in asking.rules.indexes(asking.rules.plan(&question.action)) {
        let found = index.each(&subjects, [&question.principal, &question.resource], &pool, |place| {
            let rule = usize::try_from(place).ok().and_then(|place| asking.rules.all.get(place));
            cost += rule.map_or(0, weight);
        });
        if found.is_err() {
            return usize::MAX;
        }
    }
    cost
}
