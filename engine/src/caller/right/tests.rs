//! What callers may do by roles of the store, and for how long that is remembered.

use super::*;
use crate::entity::{AssignmentUpdate, Data, EntityUpdate, Kind, RoleSettings, Scope, Status, Update};
use crate::policy::{MANAGEMENT, Sources};
use crate::store::callers::CallerRow;

const AUDITOR: &str = "permit(principal in Portcullis::Role::\"auditor\",
    action == Portcullis::Action::\"read_decisions\", resource);";
const MANIFEST: &str = "name = \"portcullis\"\n[properties]\nsubject = \"override\"\nresource = \"override\"\n[types]\n\
    caller = \"Portcullis::Caller\"\ntenant = \"Portcullis::Tenant\"\nAction = \"Portcullis::Action\"";

fn snapshot() -> impl Fn(Data) -> Snapshot {
    let folder = tempfile::tempdir().unwrap();
    let management = folder.path().join("management");
    std::fs::create_dir(&management).unwrap();
    std::fs::write(management.join("pack.toml"), MANIFEST).unwrap();
    std::fs::write(management.join("a.cedar"), AUDITOR).unwrap();
    let packs = folder.path().join("packs");
    std::fs::create_dir(&packs).unwrap();
    let loaded = Sources::of(packs, Some(management)).load().unwrap();
    move |data| loaded.at(1, Arc::new(data))
}

fn caller(id: &str) -> Caller {
    Caller::from_row(CallerRow {
        id: id.into(),
        tenant_id: "default".into(),
        name: id.into(),
        key_hash: String::new(),
        packs: vec![EVERY.into()],
        default_pack: None,
        rights: Vec::new(),
        created_at: Timestamp(0),
        expires_at: None,
        revoked_at: None,
    })
}

fn auditor(id: &str, who: &str, [from, until]: [i64; 2]) -> AssignmentUpdate {
    AssignmentUpdate {
        tenant: "default".into(),
        pack: MANAGEMENT.into(),
        id: id.into(),
        subject: ("Portcullis::Caller".into(), who.into()),
        role: ("Portcullis::Role".into(), "auditor".into()),
        scope: Scope::Tenant,
        starts_at: Some(Timestamp(from)),
        ends_at: Some(Timestamp(until)),
        delegated_by: None,
        version: 1,
    }
}

const READING: (Right, &About<'_>) =
    (Right::ReadDecisions, &About { pack: None, target_type: None, target_id: None, role: None });

fn may_read(snapshot: &Snapshot, caller: &Caller, now: i64) -> bool {
    may(snapshot, caller, Right::ReadDecisions, RightOn::Tenant("default"), Timestamp(now))
}

#[test]
fn a_role_counts_to_the_instant_though_the_answer_is_remembered() {
    let at = snapshot();
    let caller = caller("clr_a");
    let data = Data::default().apply([
        Update::Assignment(auditor("1", "clr_a", [10, 20])),
        Update::Assignment(auditor("2", "clr_a", [30, 40])),
    ]);
    let snapshot = at(data);
    let times = (0..50).chain((0..50).rev()).chain([5, 15, 25, 35, 45, 9, 10, 19, 20]);
    for now in times {
        let expected = (10..20).contains(&now) || (30..40).contains(&now);
        assert_eq!(may_read(&snapshot, &caller, now), expected, "at {now}");
        let decided = decide(&snapshot, &caller, READING, RightOn::Tenant("default"), Timestamp(now));
        assert_eq!(decided.verdict == Verdict::Allow, expected);
        assert!(!may(&snapshot, &caller, Right::Manage, RightOn::Tenant("default"), Timestamp(now)));
    }
}

#[test]
fn what_is_remembered_ends_with_the_data() {
    let at = snapshot();
    let (caller, other) = (caller("clr_a"), caller("clr_b"));
    let with = Data::default().apply([Update::Assignment(auditor("1", "clr_a", [0, 99]))]);
    let gone = Update::AssignmentGone {
        tenant: "default".into(),
        pack: MANAGEMENT.into(),
        id: "1".into(),
        version: 2,
    };
    let (before, during, after) = (at(Data::default()), at(with.clone()), at(with.apply([gone])));
    for _ in 0..2 {
        assert!(!may_read(&before, &caller, 5));
        assert!(may_read(&during, &caller, 5) && !may_read(&during, &other, 5));
        assert!(!may_read(&after, &caller, 5));
    }
    let elsewhere = AssignmentUpdate { tenant: "other".into(), ..auditor("1", "clr_a", [0, 99]) };
    let elsewhere = at(Data::default().apply([Update::Assignment(elsewhere)]));
    assert!(!may_read(&elsewhere, &caller, 5), "another tenant's role is not the caller's");
}

#[test]
fn a_role_that_a_locked_principal_passed_on_is_gone() {
    let at = snapshot();
    let caller = caller("clr_a");
    let boss = ("Portcullis::User".to_owned(), "boss".to_owned());
    let own = AssignmentUpdate { subject: boss.clone(), ..auditor("1", "", [0, 99]) };
    let passed_on = AssignmentUpdate { delegated_by: Some(boss), ..auditor("2", "clr_a", [0, 99]) };
    let data = Data::default().apply([Update::Assignment(own), Update::Assignment(passed_on)]);
    assert!(may_read(&at(data.clone()), &caller, 5));
    let locked = EntityUpdate {
        tenant: "default".into(),
        pack: MANAGEMENT.into(),
        entity_type: "Portcullis::User".into(),
        id: "boss".into(),
        kind: Kind::User,
        attributes: "{}".into(),
        tags: "{}".into(),
        parents: Vec::new(),
        status: Status::Locked,
        settings: RoleSettings::default(),
        version: 3,
    };
    assert!(!may_read(&at(data.apply([Update::Entity(locked)])), &caller, 5));
}

#[test]
fn stored_data_that_cannot_be_read_gives_no_right() {
    let at = snapshot();
    let caller = caller("clr_a");
    let broken = AssignmentUpdate { role: ("no name".into(), "x".into()), ..auditor("2", "clr_a", [0, 99]) };
    let data = Data::default()
        .apply([Update::Assignment(auditor("1", "clr_a", [0, 99])), Update::Assignment(broken)]);
    let snapshot = at(data);
    assert!(!may_read(&snapshot, &caller, 5));
    let decided = decide(&snapshot, &caller, READING, RightOn::Tenant("default"), Timestamp(5));
    assert_eq!(decided.reasons, [Reason::EvaluationFailed]);
}
