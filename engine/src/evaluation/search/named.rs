//! Candidates by what policies name: only those whom a `permit` can be about.
//!
//! For each permit that can hold for the action and the given side, its scope tells whom: one entity, or all that is in
//! one. Where it names nobody, a role in a scope may: what is only permitted to its holders is in that scope. Promises:
//! never too few; whoever comes is evaluated all the same. Must never: decide.

use std::collections::{BTreeSet, HashSet};

use cedar_policy_core::ast::{
    Effect, EntityReference, EntityType, EntityUID, PrincipalOrResourceConstraint as Scope,
};
use smol_str::SmolStr;

use super::candidates::{BETWEEN, Beyond, Bounds};
use crate::decision::rules::Rules;
use crate::entity::ancestry::{Ancestry, Asked, LONGEST_CHAIN};
use crate::entity::{Facts, Unreadable};

/// Whom a permit can be about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::evaluation) enum Source {
    /// This one.
    Only(EntityUID),
    /// This one, and all that is in it.
    Within(EntityUID),
}

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

/// Where permits send a search; none when only trying all will do.
pub(in crate::evaluation) fn sources(
    facts: Facts<'_>,
    (rules, action): (&Rules, &EntityUID),
    given: Given<'_>,
    entity_type: &EntityType,
) -> Option<BTreeSet<Source>> {
    let known = Known::of(facts, given).ok()?;
    let permits = rules.plan(action).rules.iter().filter_map(|place| rules.all.get(*place));
    let mut sources = BTreeSet::new();
    for rule in permits.filter(|rule| rule.effect == Effect::Permit) {
        let (own, other) = match given {
            Given::Principal(_) => (&rule.principal, &rule.resource),
            Given::Resource(_) => (&rule.resource, &rule.principal),
        };
        let always = known.fits(own);
        if !always && !known.may_fit(own) {
            continue;
        }
        match source(other, entity_type) {
            Whom::Nobody => {}
            Whom::Those(source) => {
                sources.insert(source);
            }
            Whom::Anybody if always => return None,
            Whom::Anybody => sources.extend(known.targets.iter().cloned().map(Source::Within)),
        }
    }
    Some(sources)
}

enum Whom {
    Nobody,
    Those(Source),
    Anybody,
}

/// Whom of this type a scope can be about.
fn source(scope: &Scope, entity_type: &EntityType) -> Whom {
    match scope {
        Scope::Any => Whom::Anybody,
        Scope::Is(of) if **of == *entity_type => Whom::Anybody,
        Scope::Eq(EntityReference::EUID(uid)) if uid.entity_type() == entity_type => {
            Whom::Those(Source::Only(uid.as_ref().clone()))
        }
        Scope::In(EntityReference::EUID(uid)) => Whom::Those(Source::Within(uid.as_ref().clone())),
        Scope::IsIn(of, EntityReference::EUID(uid)) if **of == *entity_type => {
            Whom::Those(Source::Within(uid.as_ref().clone()))
        }
        // Slots are never filled.
        Scope::Is(_) | Scope::Eq(_) | Scope::In(_) | Scope::IsIn(..) => Whom::Nobody,
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

/// Everybody of a type whom these sources name; none when they are too many to follow, or data can't be read.
///
/// # Errors
/// When there is no time left.
pub(in crate::evaluation) fn gather(
    facts: Facts<'_>,
    sources: &BTreeSet<Source>,
    entity_type: &EntityType,
    bounds: &Bounds<'_>,
) -> Result<Option<Vec<SmolStr>>, Beyond> {
    let mut seen: HashSet<EntityUID> = HashSet::new();
    let mut ids = Vec::new();
    let mut looked = 0_usize;
    let mut waiting = Vec::new();
    let only = |source: &&Source| matches!(source, Source::Only(_));
    for uid in sources.iter().filter(only).map(Source::uid) {
        ids.extend(existing(facts, uid, entity_type));
    }
    waiting.extend(sources.iter().filter(|source| !only(source)).map(|source| source.uid().clone()));
    while let Some(uid) = waiting.pop() {
        looked += 1;
        if looked.is_multiple_of(BETWEEN) && (bounds.stop)() {
            return Err(Beyond::Time);
        }
        if seen.contains(&uid) {
            continue;
        }
        if seen.len() >= bounds.candidates || waiting.len() > bounds.candidates {
            return Ok(None);
        }
        waiting.extend(facts.files.members(&uid).iter().cloned());
        if let Some((data, key)) = facts.data.and_then(|data| Some((data, data.key(&uid)?))) {
            for child in data.families().children(key) {
                let Ok(child) = data.uid(child) else { return Ok(None) };
                waiting.push(child);
            }
        }
        ids.extend(existing(facts, &uid, entity_type));
        seen.insert(uid);
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(ids))
}

impl Source {
    fn uid(&self) -> &EntityUID {
        match self {
            Self::Only(uid) | Self::Within(uid) => uid,
        }
    }
}

/// Its id, if trying all would find it.
fn existing(facts: Facts<'_>, uid: &EntityUID, entity_type: &EntityType) -> Option<SmolStr> {
    let in_data = || {
        let data = facts.data?;
        let key = data.key(uid)?;
        Some(data.row(key).is_some() || data.assigned(key).is_some())
    };
    let exists =
        uid.entity_type() == entity_type && (facts.files.get(uid).is_some() || in_data().unwrap_or_default());
    exists.then(|| SmolStr::new(AsRef::<str>::as_ref(uid.eid())))
}
