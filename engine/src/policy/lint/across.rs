//! `duplicate` and `shadowed-by-forbid`: what two policies are together.
//!
//! Promises: a policy is compared with those alone that an index names: by scope, action and one demand of the condition.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Effect, EntityUID};

use super::conditions::constant;
use super::scope::{Actions, Scope, Target, covers_actions};
use super::{ALLOW, Conjunct, Finding, Known, Linted, Rule};

/// A policy is compared with no more forbids, whatever their form: what is more is not told.
const MOST_COMPARED: usize = 1_000;

pub(super) fn check(known: &Known<'_>, policies: &[Linted<'_>], never: &[bool], found: &mut Vec<Finding>) {
    duplicates(known, policies, found);
    let live = || policies.iter().zip(never).filter(|(_, never)| !**never).map(|(linted, _)| linted);
    let forbids = Forbids::of(live().filter(|linted| !linted.permits()));
    for linted in live().filter(|linted| linted.permits()) {
        if let Some(forbid) = forbids.covering(known, linted) {
            let message = format!(
                "permits nothing: `{}` ({}:{}) forbids all that it could permit",
                forbid.id(),
                forbid.sourced.file,
                forbid.sourced.line
            );
            let help = "narrow the forbid, or take the permit away";
            found.push(known.finding((Rule::ShadowedByForbid, linted), None, message, help));
        }
    }
}

/// All that makes a policy what it is, but for its name.
type Whole<'l> = (Effect, &'l Scope, Vec<usize>, Vec<(String, &'l str)>);

fn duplicates(known: &Known<'_>, policies: &[Linted<'_>], found: &mut Vec<Finding>) {
    // Numbers in the place of demands, so that they can be sorted.
    let mut numbers: HashMap<Conjunct<'_>, usize> = HashMap::new();
    let mut seen: HashMap<Whole<'_>, &Linted<'_>> = HashMap::new();
    for linted in policies {
        let mut demands: Vec<usize> = linted
            .conjuncts
            .iter()
            .map(|conjunct| {
                let next = numbers.len();
                *numbers.entry(*conjunct).or_insert(next)
            })
            .collect();
        demands.sort();
        demands.dedup();
        // What it obliges to is a part of it; what it is called and may do is not.
        let annotations =
            linted.policy.annotations().map(|(name, value)| (name.to_string(), value.val.as_str()));
        let mut annotations: Vec<_> = annotations.filter(|(name, _)| name != "id" && name != ALLOW).collect();
        annotations.sort();
        let whole = (linted.policy.effect(), &linted.scope, demands, annotations);
        match seen.get(&whole) {
            Some(first) => {
                let message = format!(
                    "says what `{}` ({}:{}) says",
                    first.id(),
                    first.sourced.file,
                    first.sourced.line
                );
                found.push(known.finding((Rule::Duplicate, linted), None, message, "take one of them away"));
            }
            None => drop(seen.insert(whole, linted)),
        }
    }
}

/// How a forbid is found: by its scope, one of its actions, and the first demand of its condition.
type Key<'l> = (&'l Target, &'l Target, Option<&'l EntityUID>, Option<Conjunct<'l>>);

struct Forbids<'l> {
    by_key: HashMap<Key<'l>, Vec<&'l Linted<'l>>>,
    scopes: HashSet<(&'l Target, &'l Target)>,
}

impl<'l> Forbids<'l> {
    fn of(forbids: impl Iterator<Item = &'l Linted<'l>>) -> Self {
        let (mut by_key, mut scopes) = (HashMap::<_, Vec<_>>::new(), HashSet::new());
        for linted in forbids {
            let scope = &linted.scope;
            scopes.insert((&scope.principal, &scope.resource));
            let first = demands(linted).next();
            let actions: Vec<Option<&EntityUID>> = match &scope.actions {
                None => vec![None],
                Some(Actions::Eq(uid)) => vec![Some(uid)],
                Some(Actions::In(uids)) => uids.iter().map(|uid| Some(&**uid)).collect(),
            };
            for action in actions {
                by_key.entry((&scope.principal, &scope.resource, action, first)).or_default().push(linted);
            }
        }
        Self { by_key, scopes }
    }

    /// A forbid that holds wherever the permit does.
    fn covering(&self, known: &Known<'_>, permit: &Linted<'_>) -> Option<&'l Linted<'l>> {
        if self.by_key.is_empty() {
            return None;
        }
        let has: HashSet<Conjunct<'_>> = demands(permit).collect();
        let actions = self.actions(known, permit.scope.actions.as_ref());
        let (principals, resources) = (permit.scope.principal.covers(), permit.scope.resource.covers());
        let mut left = MOST_COMPARED;
        for principal in &principals {
            for resource in resources.iter().filter(|resource| self.scopes.contains(&(principal, *resource)))
            {
                for action in &actions {
                    for first in std::iter::once(None).chain(has.iter().copied().map(Some)) {
                        let key: Key<'_> = (principal, resource, action.as_deref(), first);
                        let Some(candidates) = self.by_key.get(&key) else { continue };
                        let candidates = candidates.iter().take(left);
                        left -= candidates.len();
                        let mut covering = candidates.filter(|forbid| {
                            demands(forbid).all(|demand| has.contains(&demand))
                                && covers_actions(
                                    forbid.scope.actions.as_ref(),
                                    permit.scope.actions.as_ref(),
                                    known.entities,
                                )
                        });
                        if let Some(forbid) = covering.next() {
                            return Some(forbid);
                        }
                    }
                }
            }
        }
        None
    }

    /// The actions by which a forbid that covers these could be found.
    fn actions(&self, known: &Known<'_>, actions: Option<&Actions>) -> Vec<Option<Arc<EntityUID>>> {
        let mut names = vec![None];
        // One that covers all covers the first.
        let first = match actions {
            Some(Actions::Eq(uid)) => Some(uid),
            Some(Actions::In(uids)) => uids.first(),
            None => None,
        };
        if let Some(uid) = first {
            names.push(Some(Arc::clone(uid)));
            let entity = known.entities.get(uid);
            names.extend(
                entity
                    .into_iter()
                    .flat_map(|entity| entity.ancestors())
                    .map(|uid| Some(Arc::new(uid.clone()))),
            );
        }
        names
    }
}

/// What a policy demands, but for what is always so.
fn demands<'l>(linted: &Linted<'l>) -> impl Iterator<Item = Conjunct<'l>> {
    linted.conjuncts.iter().copied().filter(|conjunct| constant(conjunct.expr) != Some(conjunct.holds))
}
