//! Many of everything: what it takes, and that it comes to an end.

use super::*;

fn documents(count: usize) -> impl Iterator<Item = (EntityUpdate, usize)> {
    (0..count).map(|n| {
        let owner = n % 5_000;
        let attributes = format!(
            r#"{{"classification":"internal","owner":{{"__entity":{{"id":"user-{owner}","type":"Documents::User"}}}}}}"#
        );
        let folder = format!("f-{}", n % 1_000);
        let raw = format!(
            r#"{{"uid":{{"type":"Documents::Document","id":"doc-{n}"}},"attrs":{attributes},"parents":[{{"type":"Documents::Folder","id":"{folder}"}}]}}"#
        );
        let parents = vec![named("Documents::Folder", &folder)];
        let row = entity(Kind::Entity, "Documents::Document", &format!("doc-{n}"));
        (EntityUpdate { attributes, parents, ..row }, raw.len())
    })
}

#[test]
fn entities_take_less_than_their_json() {
    let mut raw = 0;
    let updates = documents(50_000).map(|(row, bytes)| {
        raw += bytes;
        Update::Entity(row)
    });
    let data = Data::default().apply(updates);
    let resident = data.pack(TENANT, PACK).unwrap().resident_bytes();
    assert!(resident * 10 < raw * 12, "{resident} bytes for {raw} bytes of JSON");
    // One change of each makes nothing larger.
    let data = documents(50_000).fold(data, |data, (row, _)| data.apply([Update::Entity(row)]));
    let resident = data.pack(TENANT, PACK).unwrap().resident_bytes();
    assert!(resident * 10 < raw * 12, "{resident} bytes for {raw} bytes of JSON after changes");
}

#[test]
fn what_is_remembered_stays_within_its_room() {
    let data = Data::default().apply(documents(20_000).map(|(row, _)| Update::Entity(row)));
    let (files, principals) = (EntityStore::default(), principals());
    let room = 4 << 20;
    let mut pack = data.pack(TENANT, PACK).unwrap().as_ref().clone();
    pack.memory = Arc::new(Memory::with_bytes(room));
    for n in 0..20_000 {
        let resource = uid(&named("Documents::Document", &format!("doc-{n}")));
        let facts = Facts { data: Some(&pack), ..facts(&files, &principals, &data, 0) };
        let found = facts.about(&resource).get(&resource).unwrap().unwrap();
        assert!(found.is_descendant_of(&uid(&named("Documents::Folder", &format!("f-{}", n % 1_000)))));
    }
    assert!((room / 4..=room).contains(&pack.memory.bytes()), "{} bytes", pack.memory.bytes());
}

#[test]
fn ten_thousand_groups_and_fifty_levels() {
    let level = |n: usize| named("Group", &format!("level-{n}"));
    let levels = (0..50).map(|n| {
        let parents = if n == 0 { vec![] } else { vec![level(n - 1)] };
        EntityUpdate { parents, ..entity(Kind::Group, "Group", &format!("level-{n}")) }
    });
    let groups = (0..10_000).map(|n| named("Group", &format!("g{n}")));
    let user =
        EntityUpdate { parents: groups.chain([level(49)]).collect(), ..entity(Kind::User, "User", "u") };
    let held = [assignment("a", level(0), "top"), assignment("b", named("Group", "g9999"), "last")];
    let updates = levels.chain([user]).map(Update::Entity).chain(held.into_iter().map(Update::Assignment));
    let data = Data::default().apply(updates);
    let (files, principals, resource) = (EntityStore::default(), principals(), uid(&named("Doc", "d")));
    let who = uid(&named("User", "u"));
    let (first, again) = {
        let get = || facts(&files, &principals, &data, 0).about(&resource).get(&who).unwrap().unwrap();
        (get(), get())
    };
    assert!(Arc::ptr_eq(&first, &again), "it is remembered");
    assert_eq!(first.ancestors().count(), 10_000 + 50 + 2);
    for role in ["top", "last"] {
        assert!(first.is_descendant_of(&uid(&named("Role", role))));
        assert!(is_in(&data, &named("User", "u"), role, 0));
    }
    let gone = |id: &str| Update::AssignmentGone {
        tenant: TENANT.into(),
        pack: PACK.into(),
        id: id.into(),
        version: 2,
    };
    assert!(!is_in(&data.apply([gone("a")]), &named("User", "u"), "top", 0));
    assert!(!is_in(&data.apply([gone("b")]), &named("User", "u"), "last", 0));
}

#[test]
fn circles_come_to_an_end() {
    let ring = (0..1_000).map(|n| EntityUpdate {
        parents: vec![named("Group", &format!("g{}", (n + 1) % 1_000))],
        ..entity(Kind::Group, "Group", &format!("g{n}"))
    });
    let data = Data::default().apply(ring.map(Update::Entity));
    let (files, principals, resource) = (EntityStore::default(), principals(), uid(&named("Group", "g0")));
    let found = facts(&files, &principals, &data, 0).about(&resource).get(&resource).unwrap().unwrap();
    assert_eq!(found.ancestors().count(), 999);
}

#[test]
fn too_much_to_look_at_is_refused_and_not_judged_by_half() {
    // Each group's many assignments are passed on by somebody who is in all groups himself.
    let groups: Vec<_> = (0..300).map(|n| named("Group", &format!("g{n}"))).collect();
    let users = (0..300).map(|n| {
        let row = entity(Kind::User, "User", &format!("u{n}"));
        Update::Entity(EntityUpdate { parents: groups.clone(), ..row })
    });
    let held = (0..300).flat_map(|group| {
        (0..20).map(move |n| {
            let delegated_by = Some(named("User", &format!("u{}", (group * 7 + n) % 300)));
            let one =
                assignment(&format!("{group}-{n}"), named("Group", &format!("g{group}")), &format!("r{n}"));
            Update::Assignment(AssignmentUpdate { delegated_by, ..one })
        })
    });
    let data = Data::default().apply(users.chain(held));
    let (files, principals, resource) = (EntityStore::default(), principals(), uid(&named("Doc", "d")));
    let found = facts(&files, &principals, &data, 0).about(&resource).get(&uid(&named("User", "u0")));
    assert_eq!(found.map(drop), Err(Unreadable));
}
