//! Candidates by what policies name: only those whom a `permit` can be about.
//!
//! For each permit that can hold for the action and the given side, its scope and its condition tell whom: one entity, who
//! has a value, or all that is in one. Where they name nobody, a role in a scope may: what is only permitted to its holders
//! is in that scope. Promises: never too few; whoever comes is evaluated all the same. Must never: decide.

use std::collections::{BTreeSet, HashSet};

use cedar_policy_core::ast::{
    Effect, EntityReference, EntityType, EntityUID, PrincipalOrResourceConstraint as Scope, Var,
};

use crate::decision::Question;
use crate::decision::compiled::Pool;
use crate::decision::narrow::{Narrow, Source, Whom};
use crate::decision::rules::Rules;
use crate::entity::ancestry::{Ancestry, Asked, LONGEST_CHAIN};
use crate::entity::families::written;
use crate::entity::{Facts, Unreadable};

/// The side of the question that is given.
#[derive(Clone, Copy, Debug)]
pub(in crate::evaluation) enum Given<'a> {
    /// Who: resources are searched for.
    Principal(&'a EntityUID),
    /// To what: principals are searched for.
    Resource(&'a EntityUID),
}

/// The given side, as far as scopes can tell.
struct Known<'a> {
    uid: &'a EntityUID,
    ancestors: HashSet<EntityUID>,
    /// Where roles in scopes make it more.
    targets: HashSet<EntityUID>,
}

/// Where permits send a search; none when only trying all will do. `question` has anything in the place of what is searched
/// for, and `is_open` tells whether the request says attributes of that.
pub(in crate::evaluation) fn sources(
    facts: Facts<'_>,
    rules: &Rules,
    (question, is_open): (&Question, bool),
    given: Given<'_>,
) -> Option<BTreeSet<Source>> {
    let known = Known::of(facts, given).ok()?;
    let view = facts.about(&question.resource);
    let (searched, searched_for) = match given {
        Given::Principal(_) => (Var::Resource, &question.resource),
        Given::Resource(_) => (Var::Principal, &question.principal),
    };
    let entity_type = searched_for.entity_type();
    let subjects = question.subjects();
    let roots = [&question.principal, &question.action, &question.resource];
    let has_assignments = facts.data.is_some_and(|data| !data.assignment_trie().is_empty());
    let narrow = Narrow {
        searched,
        entity_type,
        subjects,
        pool: Pool::new(&view, &question.laid_over, roots),
        targets: &known.targets,
        has_scopes: has_assignments && searched == Var::Resource,
        is_open,
        size: &|source| size(facts, entity_type, source),
    };
    let mut all = Whom::nobody();
    let permits = rules.plan(&question.action).rules.iter().filter_map(|place| rules.all.get(*place));
    for rule in permits.filter(|rule| rule.effect == Effect::Permit) {
        let (own, other) = match given {
            Given::Principal(_) => (&rule.principal, &rule.resource),
            Given::Resource(_) => (&rule.resource, &rule.principal),
        };
        let always = known.fits(own);
        if !always && !known.may_fit(own) {
            continue;
        }
        let mut whom = in_scope(other, entity_type);
        if !always {
            let within = known.targets.iter().cloned().map(Source::Within);
            whom = narrow.and(whom, Whom::Those(within.collect()));
        }
        if let Some(condition) = &rule.condition
            && whom != Whom::nobody()
        {
            whom = narrow.and(whom, narrow.whom(condition));
        }
        all = all.or(whom);
        if all == Whom::Anybody {
            return None;
        }
    }
    match all {
        Whom::Anybody => None,
        Whom::Those(mut sources) => {
            // Of itself, the given side may be asked about otherwise than of all others.
            if entity_type == known.uid.entity_type() {
                sources.insert(Source::Only(known.uid.clone()));
            }
            Some(sources)
        }
    }
}

/// How many there are, about.
fn size(facts: Facts<'_>, entity_type: &EntityType, source: &Source) -> usize {
    /// What is in something that has more in it: it is not counted.
    const DEEP: usize = 10_000;
    match source {
        Source::Only(_) => 1,
        Source::Within(uid) => {
            let own = facts.files.members(uid).len();
            let stored = facts.data.and_then(|data| Some((data.families(), data.key(uid)?)));
            let stored = stored.map_or(0, |(families, key)| {
                let deep = if families.branch_types(key).is_empty() { 0 } else { DEEP };
                families.count(key) + deep
            });
            1 + own + stored
        }
        Source::Having(attribute, value) => {
            let own = facts.files.by_value(attribute);
            let own = own.get(&(entity_type.clone(), value.clone())).map_or(0, Vec::len);
            let stored = facts.data.and_then(|data| Some((data, data.types().known(entity_type)?)));
            own + stored.map_or(0, |(data, number)| data.by_value(attribute).count((number, &written(value))))
        }
    }
}

/// Whom of this type a scope can be about.
fn in_scope(scope: &Scope, entity_type: &EntityType) -> Whom {
    let one = |source| Whom::Those(BTreeSet::from([source]));
    match scope {
        Scope::Any => Whom::Anybody,
        Scope::Is(of) if **of == *entity_type => Whom::Anybody,
        Scope::Eq(EntityReference::EUID(uid)) if uid.entity_type() == entity_type => {
            one(Source::Only(uid.as_ref().clone()))
        }
        Scope::In(EntityReference::EUID(uid)) => one(Source::Within(uid.as_ref().clone())),
        Scope::IsIn(of, EntityReference::EUID(uid)) if **of == *entity_type => {
            one(Source::Within(uid.as_ref().clone()))
        }
        // Slots are never filled.
        Scope::Is(_) | Scope::Eq(_) | Scope::In(_) | Scope::IsIn(..) => Whom::nobody(),
    }
}

impl<'a> Known<'a> {
    fn of(facts: Facts<'a>, given: Given<'a>) -> Result<Self, Unreadable> {
        match given {
            Given::Resource(uid) => {
                let entity = facts.about(uid).get(uid)?;
                let ancestors = entity.iter().flat_map(|entity| entity.ancestors()).cloned().collect();
                Ok(Self { uid, ancestors, targets: HashSet::new() })
            }
            Given::Principal(uid) => {
                let Some(data) = facts.data else {
                    let entity = facts.files.get(uid);
                    let ancestors = entity.into_iter().flat_map(|entity| entity.ancestors());
                    return Ok(Self {
                        uid,
                        ancestors: ancestors.cloned().collect(),
                        targets: HashSet::new(),
                    });
                };
                let mut ancestry = Ancestry::new(facts, data);
                let ancestors = ancestry.reach(uid, &Asked::tenant(), LONGEST_CHAIN)?;
                Ok(Self { uid, ancestors, targets: ancestry.targets })
            }
        }
    }

    /// Whether a scope holds, whatever is searched for.
    fn fits(&self, scope: &Scope) -> bool {
        let is = |of: &EntityType| self.uid.entity_type() == of;
        let within = |group: &EntityReference| match group {
            EntityReference::EUID(group) => **group == *self.uid || self.ancestors.contains(&**group),
            EntityReference::Slot(_) => false,
        };
        match scope {
            Scope::Any => true,
            Scope::Eq(EntityReference::EUID(uid)) => **uid == *self.uid,
            Scope::Eq(EntityReference::Slot(_)) => false,
            Scope::In(group) => within(group),
            Scope::Is(of) => is(of),
            Scope::IsIn(of, group) => is(of) && within(group),
        }
    }

    /// Whether a role in a scope could make it hold.
    fn may_fit(&self, scope: &Scope) -> bool {
        match scope {
            Scope::In(_) => !self.targets.is_empty(),
            Scope::IsIn(of, _) => !self.targets.is_empty() && self.uid.entity_type() == &**of,
            Scope::Any | Scope::Eq(_) | Scope::Is(_) => false,
        }
    }
}
