//! What is held over time, and what must not be held together: instant by instant, and by a scan.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::ancestry::LONGEST_CHAIN;
use super::super::assignment::{ALWAYS, NEVER, Place};
use super::super::exclusion::{Conflict, new_conflict};
use super::super::holding::{Claim, holds, may_pass_on};
use super::model::{Model, everything, files, pick, scope, store, update};
use super::*;

/// No assignment of the model starts or ends later.
const LAST: i64 = 9;

fn place(scope: &Scope) -> Place<EntityUID> {
    match scope {
        Scope::Tenant => Place::Tenant,
        Scope::Resource(t, i) => Place::Resource(uid(&named(t, i))),
        Scope::ResourceTree(t, i) => Place::Tree(uid(&named(t, i))),
    }
}

impl Model {
    /// The roles that somebody has at an instant, each with where, whoever passed it on.
    fn held_at(&self, who: &Named, now: i64) -> BTreeSet<(Named, String)> {
        let mut states = BTreeSet::from([(who.clone(), format!("{:?}", Scope::Tenant))]);
        loop {
            let before = states.len();
            for (member, at) in states.clone() {
                states.extend(self.parents(&member).into_iter().map(|parent| (parent, at.clone())));
                let counts = |one: &&AssignmentUpdate| {
                    let (from, until) =
                        (one.starts_at.map_or(i64::MIN, |t| t.0), one.ends_at.map_or(i64::MAX, |t| t.0));
                    one.subject == member && from <= now && now < until
                };
                for one in self.assigned.values().filter(counts) {
                    let wide = at == format!("{:?}", Scope::Tenant);
                    let at = if wide { format!("{:?}", one.scope) } else { at.clone() };
                    states.insert((one.role.clone(), at));
                }
            }
            if states.len() == before {
                return states;
            }
        }
    }

    fn is_holder(&self, who: &Named) -> bool {
        let own = self.files.contains_key(who);
        if let Some(row) = self.rows.get(who).filter(|_| !own) {
            return row.kind.is_principal();
        }
        let assigned = self.assigned.values().any(|one| one.subject == *who);
        match who.0.as_str() {
            "User" => own || assigned,
            "Group" | "Role" => false,
            _ => assigned,
        }
    }

    fn conflicts(&self, now: i64) -> BTreeSet<(Named, Named, Named)> {
        let mut all = BTreeSet::new();
        let exclude = |one: &Named, other: &Named| {
            let row = self.rows.get(one).filter(|_| !self.files.contains_key(one));
            one != other && row.is_some_and(|row| row.settings.exclusive_with.contains(&other.1))
        };
        let apart = |one: &String, other: &String| {
            one.starts_with("Resource(") && other.starts_with("Resource(") && one != other
        };
        for who in everything().into_iter().filter(|one| self.is_holder(one)) {
            for now in now..=LAST {
                let held = self.held_at(&who, now);
                for (first, here) in &held {
                    for (second, there) in &held {
                        let excluded = exclude(first, second) || exclude(second, first);
                        if first < second && excluded && !apart(here, there) {
                            all.insert((who.clone(), first.clone(), second.clone()));
                        }
                    }
                }
            }
        }
        all
    }
}

fn words(conflict: &Conflict) -> (Named, Named, Named) {
    let name = |uid: &EntityUID| named(&uid.entity_type().to_string(), uid.eid().as_ref());
    (name(&conflict.principal), name(&conflict.first), name(&conflict.second))
}

fn subject_of(update: &Update) -> Option<Named> {
    match update {
        Update::Entity(row) if row.kind != Kind::Role => Some((row.entity_type.clone(), row.id.clone())),
        Update::Assignment(row) => Some(row.subject.clone()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn roles_that_exclude_each_other_are_found_when_they_come_together_and_only_then(
        updates in prop::collection::vec(update(), 1..24),
        last in update(),
        files in files(),
        now in 0..LAST,
    ) {
        let store = store(&files);
        let mut model = Model { files, ..Model::default() };
        updates.iter().for_each(|update| model.change(update));
        let (earlier, before) = (model.conflicts(now), Data::default().apply(updates));
        model.change(&last);
        let subject = subject_of(&last);
        let replaced = match &last {
            Update::Assignment(row) => before.pack(TENANT, PACK).is_some_and(|data| data.assignment(&row.id).is_some()),
            _ => false,
        };
        let after = before.apply([last]);
        let kinds = kinds();
        let (before, after) = (facts(&store, &kinds, &before, now), facts(&store, &kinds, &after, now));
        let later = model.conflicts(now);
        let news: BTreeSet<_> = later.difference(&earlier).cloned().collect();
        let found = new_conflict(before, after, None).unwrap().map(|found| words(&found));
        prop_assert_eq!(found.is_some(), !news.is_empty(), "{:?} {:?}", &found, &news);
        prop_assert!(found.is_none_or(|found| news.contains(&found)));
        // A change of one entity is found by looking at it. (An assignment that moves to another changes two.)
        if let Some(subject) = subject.filter(|_| !replaced) {
            let around = new_conflict(before, after, Some(&uid(&subject))).unwrap();
            prop_assert_eq!(around.is_some(), !news.is_empty(), "{:?} {:?}", &around, &news);
        }
    }

    #[test]
    fn what_is_held_is_what_decisions_would_count_instant_by_instant(
        updates in prop::collection::vec(update(), 1..24),
        files in files(),
        (subject, role, scope) in (pick("User", 3), 0_usize..3, scope()),
        (now, from, until) in (0_i64..8, prop::option::of(0_i64..8), prop::option::of(1_i64..9)),
    ) {
        let store = store(&files);
        let mut model = Model { files, ..Model::default() };
        updates.iter().for_each(|update| model.change(update));
        let data = Data::default().apply(updates);
        let kinds = kinds();
        let facts = facts(&store, &kinds, &data, now);
        let role = named("Role", &format!("role{role}"));
        let window = Window {
            from: from.map_or(ALWAYS, Timestamp),
            until: until.map_or(NEVER, Timestamp),
        };
        let claim = Claim { role: uid(&role), place: place(&scope), window };
        let active = model.statuses.get(&subject).is_none_or(|status| *status == Status::Active);
        let expected = |chain| {
            let mut instants = from.unwrap_or(now).max(now)..until.unwrap_or(LAST + 1);
            active && instants.all(|now| model.reach(&subject, &scope, Timestamp(now), chain).contains(&role))
        };
        prop_assert_eq!(holds(facts, &uid(&subject), &claim).unwrap(), expected(LONGEST_CHAIN));
        prop_assert_eq!(may_pass_on(facts, &uid(&subject), &claim).unwrap(), expected(LONGEST_CHAIN - 1));
    }
}

fn kinds() -> Vec<(Kind, EntityType)> {
    let kind = |kind, name| (kind, EntityType::from_normalized_str(name).unwrap());
    vec![kind(Kind::User, "User"), kind(Kind::Group, "Group"), kind(Kind::Role, "Role")]
}

fn excluding(id: &str, other: &str) -> Update {
    let settings = RoleSettings { exclusive_with: vec![other.into()], ..RoleSettings::default() };
    Update::Entity(EntityUpdate { settings, ..entity(Kind::Role, "Role", id) })
}

#[test]
fn callers_of_the_management_pack_count_though_they_have_no_row() {
    let (store, kinds) = (EntityStore::default(), kinds());
    let first = AssignmentUpdate { subject: named("Caller", "c"), ..assignment("1", named("", ""), "a") };
    let second = AssignmentUpdate { role: named("Role", "b"), id: "2".into(), ..first.clone() };
    let before = Data::default().apply([excluding("a", "b"), Update::Assignment(first)]);
    let after = before.apply([Update::Assignment(second)]);
    let [before, after] = [&before, &after].map(|data| facts(&store, &kinds, data, 0));
    let caller = uid(&named("Caller", "c"));
    for changed in [None, Some(&caller)] {
        let found = new_conflict(before, after, changed).unwrap().unwrap();
        assert_eq!(words(&found), (named("Caller", "c"), named("Role", "a"), named("Role", "b")));
        assert_eq!(new_conflict(after, after, changed).unwrap(), None, "it is no news");
    }
}

#[test]
fn who_comes_to_count_as_a_holder_comes_to_have_its_conflict() {
    let doc = named("Doc", "d");
    let assigned = |id: &str, role: &str| Update::Assignment(assignment(id, doc.clone(), role));
    let row = Update::Entity(entity(Kind::Entity, "Doc", "d"));
    let with_row = [excluding("a", "b"), row, assigned("1", "a"), assigned("2", "b")];
    let before = Data::default().apply(with_row);
    let after = Data::default().apply([excluding("a", "b"), assigned("1", "a"), assigned("2", "b")]);
    let (store, kinds) = (EntityStore::default(), kinds());
    let [before, after] = [&before, &after].map(|data| facts(&store, &kinds, data, 0));
    let found = new_conflict(before, after, None).unwrap().unwrap();
    assert_eq!(words(&found), (doc, named("Role", "a"), named("Role", "b")));
    assert_eq!(new_conflict(after, before, None).unwrap(), None);
}

#[test]
fn a_conflict_is_found_among_many_principals_and_groups() {
    let group = |n: usize| named("Group", &format!("g{n}"));
    let groups = (0..1_000).map(|n| {
        let parents = if n % 50 == 0 { Vec::new() } else { vec![group(n - 1)] };
        Update::Entity(EntityUpdate { parents, ..entity(Kind::Group, "Group", &format!("g{n}")) })
    });
    let users = (0..50_000).map(|n| {
        let row = entity(Kind::User, "User", &format!("u{n}"));
        Update::Entity(EntityUpdate { parents: vec![group(n % 1_000)], ..row })
    });
    let all_have_one = (0..20).map(|n| Update::Assignment(assignment(&n.to_string(), group(n * 50), "a")));
    let before = Data::default().apply(groups.chain(users).chain([excluding("a", "b")]).chain(all_have_one));
    let after = before.apply([Update::Assignment(assignment("last", group(999), "b"))]);
    let (store, kinds) = (EntityStore::default(), kinds());
    let [before, after] = [&before, &after].map(|data| facts(&store, &kinds, data, 0));
    assert_eq!(new_conflict(before, before, None).unwrap(), None);
    let found = new_conflict(before, after, Some(&uid(&group(999)))).unwrap().unwrap();
    assert_eq!(found.principal.entity_type().to_string(), "User");
}
