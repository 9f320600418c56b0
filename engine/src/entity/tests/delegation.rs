//! Roles for a time, in a scope, and passed on.

use super::*;

fn at(id: &str, subject: &str, from: i64, until: i64) -> AssignmentUpdate {
    let (starts_at, ends_at) = (Some(Timestamp(from)), Some(Timestamp(until)));
    AssignmentUpdate { starts_at, ends_at, ..assignment(id, named("User", subject), "admin") }
}

fn passed_on(id: &str, from: &str, to: &str) -> AssignmentUpdate {
    let delegated_by = Some(named("User", from));
    AssignmentUpdate { delegated_by, ..assignment(id, named("User", to), "admin") }
}

fn data(all: impl IntoIterator<Item = AssignmentUpdate>) -> Data {
    Data::default().apply(all.into_iter().map(Update::Assignment))
}

#[test]
fn a_role_counts_from_its_start_to_before_its_end() {
    let data = data([at("a", "u", 10, 20), at("b", "u", 30, 31)]);
    let who = named("User", "u");
    let held: Vec<i64> = (0..40).filter(|now| is_in(&data, &who, "admin", *now)).collect();
    assert_eq!(held, (10..20).chain([30]).collect::<Vec<_>>());
    // Backwards: what was remembered of later does not count earlier.
    assert!((0..10).rev().all(|now| !is_in(&data, &who, "admin", now)));
}

#[test]
fn a_chain_of_five_delegations_holds_and_one_of_six_does_not() {
    let direct = assignment("0", named("User", "u0"), "admin");
    let chain = (0..8).map(|n| passed_on(&format!("{}", n + 1), &format!("u{n}"), &format!("u{}", n + 1)));
    let data = data(chain.chain([direct]));
    let held: Vec<_> =
        (0..9).filter(|n| is_in(&data, &named("User", &format!("u{n}")), "admin", 0)).collect();
    assert_eq!(held, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_two_pass_on_to_each_other_nobody_has() {
    let data = data([passed_on("a", "u", "v"), passed_on("b", "v", "u"), passed_on("c", "w", "w")]);
    assert!(["u", "v", "w"].iter().all(|id| !is_in(&data, &named("User", id), "admin", 0)));
}

#[test]
fn nobody_passes_on_what_it_has_elsewhere_or_no_more() {
    let doc = |id: &str| Scope::Resource("Doc".into(), id.into());
    let own = AssignmentUpdate { scope: doc("d0"), ..at("own", "u", 0, 50) };
    let wide = passed_on("wide", "u", "v");
    let here = AssignmentUpdate { scope: doc("d0"), ..passed_on("here", "u", "w") };
    let there = AssignmentUpdate { scope: doc("d1"), ..passed_on("there", "u", "x") };
    let data = data([own, wide, here, there]);
    let has = |id: &str, now| is_in(&data, &named("User", id), "admin", now);
    assert!(has("u", 0) && has("w", 0), "the delegator has it for this document");
    assert!(!has("v", 0), "not everywhere");
    assert!(!has("x", 0), "not for another");
    assert!(has("w", 49) && !has("w", 50), "not after its own has ended");
}

#[test]
fn a_delegation_ends_while_the_delegator_is_locked() {
    let data = data([assignment("own", named("User", "u"), "admin"), passed_on("a", "u", "v")]);
    let row = |status, version| {
        let row = EntityUpdate { pack: "other".into(), status, version, ..entity(Kind::User, "Person", "u") };
        Update::Entity(row)
    };
    let who = named("User", "v");
    assert!(is_in(&data, &who, "admin", 0));
    let locked = data.apply([row(Status::Locked, 2)]);
    assert!(!is_in(&locked, &who, "admin", 0));
    assert!(is_in(&data, &who, "admin", 0), "the old snapshot stands");
    assert!(is_in(&locked.apply([row(Status::Active, 3)]), &who, "admin", 0));
}

#[test]
fn a_senior_role_may_be_passed_on_as_a_junior_one() {
    let owner = EntityUpdate { parents: vec![named("Role", "admin")], ..entity(Kind::Role, "Role", "owner") };
    let own = assignment("own", named("User", "u"), "owner");
    let data = Data::default().apply([
        Update::Entity(owner),
        Update::Assignment(own),
        Update::Assignment(passed_on("a", "u", "v")),
    ]);
    let who = named("User", "v");
    assert!(is_in(&data, &who, "admin", 0));
    assert!(!is_in(&data, &who, "owner", 0));
    let junior = entity(Kind::Role, "Role", "owner");
    assert!(!is_in(&data.apply([Update::Entity(junior)]), &who, "admin", 0), "owner inherits it no more");
}
