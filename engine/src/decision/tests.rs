//! Our evaluation against Cedar's own authorizer, over generated policies, entities and requests.
//!
//! The index by action, the slice, the scope test and the home of entities must never change a decision, its policies or
//! its errors.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use cedar_policy_core::ast::Context as CoreContext;
use proptest::prelude::*;

use super::*;
use crate::clock::Timestamp;
use crate::config::soak;
use crate::entity::{Data, EntityStore, EntityUpdate, Facts, Kind, RoleSettings, Status, Update};
use crate::policy::compile;
use crate::policy::files::SourceFile;

fn atom() -> impl Strategy<Value = String> {
    let level = 0_i64..4;
    let user = 0_usize..4;
    let group = 0_usize..4;
    prop_oneof![
        Just("principal == resource.owner".to_owned()),
        Just("resource.owner.manager == principal".to_owned()),
        Just("context.who == principal".to_owned()),
        Just("principal has manager && principal.manager has manager".to_owned()),
        Just("resource has info.ref.manager".to_owned()),
        Just("action in Action::\"all\"".to_owned()),
        Just("resource.readers.contains(principal)".to_owned()),
        level.clone().prop_map(|n| format!("resource.owner.manager.level > {n}")),
        level.clone().prop_map(|n| format!("context.n > {n}")),
        level.clone().prop_map(|n| format!("context has n && context.n == {n}")),
        level.clone().prop_map(|n| format!("resource.info.ref.level == {n}")),
        level.clone().prop_map(|n| format!("context.who.manager.level < {n}")),
        level
            .clone()
            .prop_map(|n| format!("(if context.flag then principal else resource.owner).level > {n}")),
        level.clone().prop_map(|n| format!("{{\"w\": resource.owner}}.w.level > {n}")),
        level.clone().prop_map(|n| format!("principal.hasTag(\"t\") && principal.getTag(\"t\").level > {n}")),
        (user, level).prop_map(|(u, n)| format!("User::\"u{u}\".manager.level > {n}")),
        group.clone().prop_map(|g| format!("principal in Group::\"g{g}\"")),
        group.clone().prop_map(|g| format!("resource.owner in Group::\"g{g}\"")),
        group.prop_map(|g| format!("principal.manager in [Group::\"g{g}\", Group::\"g0\"]")),
    ]
}

/// Steps that compiled conditions have ways of their own for, and tests that the index reads; some of them fail, or fail on some
/// questions.
fn further() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "resource.kind like \"*a*\"",
        "resource.kind like \"b\"",
        "context.n + 1 < 3",
        "context.n * 9223372036854775807 > 2",
        "-context.n <= -1",
        "-(-9223372036854775807 - 1) == 1",
        "[1, context.n].contains(2)",
        "[1, 2, 3].contains(context.n)",
        "[User::\"u1\", User::\"u2\"].contains(principal)",
        "[principal, resource].containsAll([resource])",
        "resource.readers.containsAny([principal, User::\"u0\"])",
        "resource.readers.isEmpty()",
        "[].isEmpty()",
        "resource.readers == [principal]",
        "{\"n\": context.n} == {\"n\": 1}",
        "{\"n\": context.n, \"p\": principal}.p == principal",
        "context == {\"flag\": true}",
        "context.who == User::\"u1\"",
        "ip(\"10.0.0.1\").isInRange(ip(\"10.0.0.0/8\"))",
        "ip(resource.kind).isLoopback()",
        "decimal(\"1.5\").lessThan(decimal(\"2.0\"))",
        "duration(\"1h\") < duration(\"2h\")",
        "resource has info.ref.level",
        "context has who.manager.manager",
        "resource.info has ref",
        "principal.hasTag(\"t\") && principal.getTag(\"t\") == principal",
        "principal.getTag(resource.kind) == 1",
        "1 < true",
        "context.flag",
        "!context.flag",
        "context.n",
        "principal in resource.readers",
        "principal in [Group::\"g1\", 1]",
        "principal is User in Group::\"g2\"",
        "resource.owner is User",
        "context.n is User",
        "true && resource.kind == \"a\"",
        "true || 1",
        "(if context.n then true else false)",
    ]);
    let kind = prop::sample::select(vec!["a", "b", "ab"]);
    let indexed = (kind, 0_i64..4, 0_usize..8, 0_usize..4).prop_map(|(kind, n, form, id)| match form {
        0 => format!("resource.kind == \"{kind}\""),
        1 => format!("resource has kind && resource.kind == \"{kind}\""),
        2 => format!("\"{kind}\" == resource.kind && context.n > 0"),
        3 => format!("context.n == {n} && resource.kind == \"{kind}\""),
        4 => format!("context has n && context.n == {n}"),
        5 => format!("principal == User::\"u{id}\" && resource.kind == \"{kind}\""),
        6 => format!("principal.level == {n}"),
        _ => format!("resource is Doc && resource in Group::\"g{id}\" && context.n == {n}"),
    });
    prop_oneof![fixed.prop_map(str::to_owned), indexed]
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![atom(), further()].prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
        ]
    })
}

fn scope(variable: &'static str, types: [&'static str; 2]) -> impl Strategy<Value = String> {
    (0_usize..6, 0_usize..4, 0_usize..2).prop_map(move |(form, n, of)| {
        let (entity_type, letter) = (types[of], types[of].to_lowercase().chars().next().unwrap_or('u'));
        match form {
            0 | 1 => variable.to_owned(),
            2 => format!("{variable} == {entity_type}::\"{letter}{n}\""),
            3 => format!("{variable} is {entity_type}"),
            4 => format!("{variable} in Group::\"g{n}\""),
            _ => format!("{variable} is {entity_type} in Group::\"g{n}\""),
        }
    })
}

pub(super) fn policies() -> impl Strategy<Value = String> {
    let action = prop_oneof![
        Just("action"),
        Just("action == Action::\"read\""),
        Just("action in Action::\"all\""),
        Just("action in [Action::\"write\", Action::\"some\"]"),
    ];
    let effect = prop_oneof![2 => Just("permit"), 1 => Just("forbid")];
    let clause = prop_oneof![Just("when"), Just("unless")];
    let one = (
        effect,
        scope("principal", ["User", "Doc"]),
        action,
        scope("resource", ["Doc", "User"]),
        clause,
        // A test alone is what the index reads.
        prop_oneof![3 => condition(), 1 => further()],
    )
        .prop_map(|(effect, principal, action, resource, clause, condition)| {
            format!("{effect}({principal}, {action}, {resource}) {clause} {{ {condition} }};")
        });
    prop::collection::vec(one, 1..6).prop_map(|all| all.join("\n"))
}

/// A world: who is in which group, who manages whom, who owns what.
pub(super) fn entities() -> impl Strategy<Value = serde_json::Value> {
    let user = (0_usize..5, 0_i64..4, 0_usize..5, any::<bool>());
    let doc = (0_usize..5, 0_usize..5, 0_usize..5);
    (prop::collection::vec(user, 4), prop::collection::vec(doc, 4)).prop_map(|(users, docs)| {
        let reference = |n: usize| serde_json::json!({"__entity": {"type": "User", "id": format!("u{n}")}});
        let group = |n: usize| serde_json::json!({"type": "Group", "id": format!("g{n}")});
        let mut all = vec![
            serde_json::json!({"uid": {"type": "Action", "id": "read"}, "attrs": {}, "parents": [{"type": "Action", "id": "some"}]}),
            serde_json::json!({"uid": {"type": "Action", "id": "some"}, "attrs": {}, "parents": [{"type": "Action", "id": "all"}]}),
            serde_json::json!({"uid": group(1), "attrs": {}, "parents": [group(2)]}),
            serde_json::json!({"uid": group(2), "attrs": {}, "parents": [group(3)]}),
        ];
        for (n, (manager, level, member, complete)) in users.into_iter().enumerate() {
            let attrs = if complete { serde_json::json!({"level": level, "manager": reference(manager)}) } else { serde_json::json!({}) };
            let tags = if complete { serde_json::json!({"t": reference(manager)}) } else { serde_json::json!({}) };
            all.push(serde_json::json!({"uid": {"type": "User", "id": format!("u{n}")}, "attrs": attrs, "tags": tags, "parents": [group(member)]}));
        }
        for (n, (owner, other, folder)) in docs.into_iter().enumerate() {
            let mut attrs = serde_json::json!({"owner": reference(owner), "info": {"ref": reference(other)}, "readers": [reference(other)]});
            match owner {
                0 => {}
                1 => attrs["kind"] = serde_json::json!(1),
                _ => attrs["kind"] = serde_json::json!(if other % 2 == 0 { "a" } else { "b" }),
            }
            all.push(serde_json::json!({"uid": {"type": "Doc", "id": format!("d{n}")}, "attrs": attrs, "parents": [group(folder)]}));
        }
        serde_json::Value::from(all)
    })
}

pub(super) fn context() -> impl Strategy<Value = serde_json::Value> {
    (prop::option::of(0_i64..4), any::<bool>(), 0_usize..5).prop_map(|(n, flag, who)| {
        let mut context =
            serde_json::json!({"flag": flag, "who": {"__entity": {"type": "User", "id": format!("u{who}")}}});
        if let Some(n) = n {
            context["n"] = n.into();
        }
        context
    })
}

/// Where the entities of a world are, the actions apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Home {
    Files,
    Store,
    /// Every other one in the files.
    Both,
}

/// The part of the world that is in files, and the rest as the store has it.
pub(super) fn at_home(world: &serde_json::Value, home: Home) -> (serde_json::Value, Data) {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let all = world.as_array().unwrap().iter().enumerate();
    let (files, stored): (Vec<_>, Vec<_>) = all.partition(|(place, entity)| {
        entity["uid"]["type"] == "Action" || home == Home::Files || (home == Home::Both && place % 2 == 0)
    });
    let json = |value: &serde_json::Value| if value.is_null() { "{}".to_owned() } else { value.to_string() };
    let data = Data::default().apply(stored.into_iter().map(|(_, entity)| {
        let parents = entity["parents"].as_array().unwrap().iter();
        Update::Entity(EntityUpdate {
            tenant: "default".into(),
            pack: "world".into(),
            entity_type: text(&entity["uid"]["type"]),
            id: text(&entity["uid"]["id"]),
            kind: Kind::Entity,
            attributes: json(&entity["attrs"]),
            tags: json(&entity["tags"]),
            parents: parents.map(|parent| (text(&parent["type"]), text(&parent["id"]))).collect(),
            status: Status::Active,
            settings: RoleSettings::default(),
            version: 1,
        })
    }));
    (files.into_iter().map(|(_, entity)| entity.clone()).collect(), data)
}

fn ours(
    text: &str,
    entities: &serde_json::Value,
    request: &Request,
    home: Home,
) -> (Verdict, BTreeSet<String>, BTreeSet<String>) {
    let file = |text: String| SourceFile { shown: "generated".into(), text };
    let policies = compile::parse_text(&file(text.to_owned())).unwrap();
    let (files, data) = at_home(entities, home);
    let store: EntityStore = compile::parse_entities(Some(&file(files.to_string())), None).unwrap();
    let rules = compile::prepare(policies, &store).unwrap();
    let core: &cedar_policy_core::ast::Request = request.as_ref();
    let Some(CoreContext::Value(record)) = core.context() else { panic!("the context is a value") };
    let question = Question {
        principal: core.principal().uid().unwrap().clone(),
        action: core.action().uid().unwrap().clone(),
        resource: core.resource().uid().unwrap().clone(),
        context: Arc::clone(record),
        laid_over: Vec::new(),
        context_left_out: Vec::new(),
        subject_left_out: Vec::new(),
        resource_left_out: Vec::new(),
        unreadable: false,
    };
    let facts = Facts {
        data: data.pack("default", "world").map(Arc::as_ref),
        now: Timestamp(0),
        ..Facts::of_files(&store)
    };
    let findings = evaluate(&rules, &facts.about(&question.resource), &question);
    let judge = evaluate_by_cedar(&rules, &facts.about(&question.resource), &question);
    assert_eq!((&findings.permits, &findings.forbids), (&judge.permits, &judge.forbids), "{text}");
    assert_eq!(findings.errors, judge.errors, "{text}");
    let combined = combine(&rules, &findings, OnPolicyError::Skip, &|_| true);
    let reasons = combined.reasons.iter().filter(|reason| matches!(reason, Reason::Policy(_)));
    let errors: Vec<usize> = findings.errors.iter().map(|(place, _)| *place).collect();
    let names = |ids: Vec<SmolStr>| ids.into_iter().map(|id| id.to_string()).collect();
    (combined.verdict, reasons.map(|reason| reason.text().to_string()).collect(), names(ids(&rules, &errors)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: soak(10_000, 1_000_000), ..ProptestConfig::default() })]

    #[test]
    fn we_decide_as_cedar_does(
        text in policies(),
        world in entities(),
        context in context(),
        principal in 0_usize..5,
        action in prop_oneof![Just("read"), Just("write"), Just("other")],
        resource in 0_usize..5,
        home in prop_oneof![Just(Home::Files), Just(Home::Store), Just(Home::Both)],
    ) {
        let uid = |text: String| EntityUid::from_str(&text).unwrap();
        let context = Context::from_json_value(context, None).unwrap();
        let request = Request::new(
            uid(format!("User::\"u{principal}\"")),
            uid(format!("Action::\"{action}\"")),
            uid(format!("Doc::\"d{resource}\"")),
            context,
            None,
        ).unwrap();
        let set = PolicySet::from_str(&text).unwrap();
        let all = Entities::from_json_value(world.clone(), None).unwrap();
        let theirs = Authorizer::new().is_authorized(&request, &set, &all);
        let verdict = if theirs.decision() == Decision::Allow { Verdict::Allow } else { Verdict::Deny };
        let reasons: BTreeSet<String> = theirs.diagnostics().reason().map(ToString::to_string).collect();
        let errors: BTreeSet<String> = theirs.diagnostics().errors().map(|error| {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            error.policy_id().to_string()
        }).collect();
        let theirs = (verdict, reasons, errors);
        prop_assert_eq!(ours(&text, &world, &request, home), theirs, "{:?} {}", home, text);
    }
}
