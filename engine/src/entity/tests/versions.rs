//! Data and its changes: however they are cut, whatever is shared.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::model::update;
use super::*;

/// All that data holds, in words.
fn dump(data: &Data) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (tenant, pack, data) in data.iter() {
        let uid = |key| data.uid(key).unwrap().to_string();
        for row in data.rows() {
            let parents: Vec<_> = row.parents().map(uid).collect();
            let values = row.values(data.types()).map(|values| format!("{values:?}"));
            let status = (row.kind(), row.status(), row.version(), row.settings());
            all.insert(format!("{tenant} {pack} {} {status:?} {parents:?} {values:?}", uid(row.key())));
        }
        for one in data.assignments() {
            let target = one.place.target().map(|held| uid(held.key()));
            let delegator = one.delegated_by.as_ref().map(|held| uid(held.key()));
            let (subject, role) = (uid(one.subject.key()), uid(one.role.key()));
            let times = (one.starts_at, one.ends_at, &one.id);
            all.insert(format!("{tenant} {pack} {subject} {role} {target:?} {delegator:?} {times:?}"));
            let held = data.assigned(one.subject.key()).unwrap();
            assert!(held.iter().any(|other| other.id == one.id));
        }
    }
    for kind in Kind::PRINCIPALS {
        for id in 0..3 {
            let id = format!("user{id}");
            all.insert(format!("{kind:?} {id} {:?}", data.inactive(TENANT).status(kind, &id)));
        }
    }
    all
}

proptest! {
    #[test]
    fn however_changes_are_cut_the_data_is_the_same(
        updates in prop::collection::vec(update(), 1..60),
        cuts in prop::collection::vec(1_usize..9, 1..60),
    ) {
        let at_once = Data::default().apply(updates.clone());
        let mut by_parts = Data::default();
        let mut kept = Vec::new();
        let mut rest = updates.into_iter();
        for (place, cut) in cuts.into_iter().chain([usize::MAX]).enumerate() {
            // Every other part finds data that somebody shares.
            if place % 2 == 0 {
                kept.push((by_parts.clone(), dump(&by_parts)));
            }
            by_parts.take(rest.by_ref().take(cut));
        }
        prop_assert_eq!(dump(&at_once), dump(&by_parts));
        for (data, before) in kept {
            prop_assert_eq!(dump(&data), before);
        }
    }
}

#[test]
fn tenants_and_packs_are_apart() {
    let role = Update::Assignment(assignment("a", named("User", "u"), "admin"));
    let data = Data::default().apply([role]);
    assert!(is_in(&data, &named("User", "u"), "admin", 0));
    assert!(data.pack("other", PACK).is_none() && data.pack(TENANT, "other").is_none());
    let other =
        EntityUpdate { tenant: "other".into(), status: Status::Locked, ..entity(Kind::User, "User", "u") };
    let data = data.apply([Update::Entity(other)]);
    assert_eq!(data.inactive(TENANT).status(Kind::User, "u"), Status::Active);
    assert_eq!(data.inactive("other").status(Kind::User, "u"), Status::Locked);
    assert!(data.pack("other", PACK).unwrap().assignment("a").is_none());
}

#[test]
fn what_is_older_changes_nothing() {
    let at =
        |version, status| Update::Entity(EntityUpdate { version, status, ..entity(Kind::User, "User", "u") });
    let gone = |version| Update::EntityGone {
        tenant: TENANT.into(),
        pack: PACK.into(),
        entity_type: "User".into(),
        id: "u".into(),
        kind: Kind::User,
        status: Status::Active,
        version,
    };
    let data = Data::default().apply([at(5, Status::Disabled), at(4, Status::Active), gone(3)]);
    assert_eq!(data.inactive(TENANT).status(Kind::User, "u"), Status::Disabled);
    assert_eq!(data.pack(TENANT, PACK).unwrap().entity_count(), 1);
}

#[test]
fn a_principal_is_inactive_in_its_tenant_until_no_row_says_so() {
    let row = |pack: &str, status| {
        Update::Entity(EntityUpdate { pack: pack.into(), status, ..entity(Kind::User, "User", "u") })
    };
    let gone = |status| Update::EntityGone {
        tenant: TENANT.into(),
        pack: "a".into(),
        entity_type: "User".into(),
        id: "u".into(),
        kind: Kind::User,
        status,
        version: 9,
    };
    let status = |data: &Data| data.inactive(TENANT).status(Kind::User, "u");
    let data = Data::default().apply([row("a", Status::Locked), row("b", Status::Disabled)]);
    assert_eq!(status(&data), Status::Disabled);
    let data = data.apply([row("b", Status::Active)]);
    assert_eq!(status(&data), Status::Locked);
    let deleted = data.apply([gone(Status::Locked)]);
    assert_eq!(status(&deleted), Status::Locked, "deletion opens nothing");
    let anew = EntityUpdate { pack: "a".into(), version: 10, ..entity(Kind::User, "User", "u") };
    assert_eq!(status(&deleted.apply([Update::Entity(anew)])), Status::Active);
    assert_eq!(data.inactive(TENANT).status(Kind::Device, "u"), Status::Active, "another kind is another");
    assert_eq!(data.inactive(TENANT).status(Kind::User, "v"), Status::Active);
}

#[test]
fn a_principal_is_known_by_its_cedar_type_however_it_is_named() {
    let row = |kind, entity_type: &str, id: &str, pack: &str| {
        let row = entity(kind, entity_type, id);
        Update::Entity(EntityUpdate { pack: pack.into(), status: Status::Locked, ..row })
    };
    let data = Data::default().apply([
        row(Kind::User, "App::Person", "ann", "elsewhere"),
        row(Kind::User, "Old", "bob", PACK),
        row(Kind::Group, "Group", "g", PACK),
    ]);
    let (files, principals) = (EntityStore::default(), principals());
    let facts = facts(&files, &principals, &data, 0);
    let status = |entity_type, id| facts.status(&uid(&named(entity_type, id)));
    assert_eq!(status("User", "ann"), Status::Locked, "by the kind, from another pack");
    assert_eq!(status("App::Person", "ann"), Status::Active, "another pack's type is another entity here");
    assert_eq!(status("Old", "bob"), Status::Locked, "by this pack's own row");
    assert_eq!(status("User", "bob"), Status::Locked);
    assert_eq!(status("Service", "bob"), Status::Active);
    assert_eq!(status("Group", "g"), Status::Active, "groups have no status");
}
