//! What explanations say: clauses and their places, what would change an answer, and that it does so by Cedar's own judgement.

use std::str::FromStr;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Request};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::clock::Timestamp;
use crate::decision::tests::{Home, at_home, context, entities, policies};
use crate::decision::{combine, evaluate};
use crate::entity::{EntityStore, Facts};
use crate::policy::compile;
use crate::policy::files::SourceFile;

/// A question about a world, as it is asked.
#[derive(Clone, Debug)]
struct Case {
    policies: String,
    world: Json,
    context: Json,
    asked: [String; 3],
}

fn file(text: String) -> SourceFile {
    SourceFile { shown: "a/world.cedar".into(), text }
}

impl Case {
    fn of(policies: &str, world: Json, context: Json) -> Self {
        let asked = ["User::\"u0\"", "Action::\"read\"", "Doc::\"d0\""].map(ToOwned::to_owned);
        Self { policies: policies.to_owned(), world, context, asked }
    }

    fn request(&self) -> Request {
        let [principal, action, resource] =
            self.asked.each_ref().map(|text| EntityUid::from_str(text).unwrap());
        let context = Context::from_json_value(self.context.clone(), None).unwrap();
        Request::new(principal, action, resource, context, None).unwrap()
    }

    fn explain(&self, home: Home, budget: &Budget) -> (Verdict, Why) {
        let policies = compile::parse_text(&file(self.policies.clone())).unwrap();
        let (files, data) = at_home(&self.world, home);
        let store: EntityStore = compile::parse_entities(Some(&file(files.to_string())), None).unwrap();
        let rules = compile::prepare(policies, &store).unwrap();
        let request = self.request();
        let core: &cedar_policy_core::ast::Request = request.as_ref();
        let Some(cedar_policy_core::ast::Context::Value(record)) = core.context() else {
            panic!("no values")
        };
        let question = Question {
            principal: core.principal().uid().unwrap().clone(),
            action: core.action().uid().unwrap().clone(),
            resource: core.resource().uid().unwrap().clone(),
            context: record.clone(),
            laid_over: Vec::new(),
            context_left_out: Vec::new(),
            subject_left_out: Vec::new(),
            resource_left_out: Vec::new(),
            unreadable: false,
        };
        let data = data.pack("default", "world").map(AsRef::as_ref);
        let facts = Facts { data, now: Timestamp(0), ..Facts::of_files(&store) };
        let view = facts.about(&question.resource);
        let findings = evaluate(&rules, &view, &question);
        let (on_error, understands) = (OnPolicyError::Skip, &|_: &str| true);
        let combined = combine(&rules, &findings, on_error, understands);
        let asking =
            Asking { rules: &rules, view: &view, question: &question, on_error, understands, budget };
        (combined.verdict, explain(&asking, &findings, &combined))
    }

    fn texts(&self) -> Vec<Vec<String>> {
        let (_, why) = self.explain(Home::Files, &Budget::new());
        let text = |change: ChangeTold| change.text;
        why.changes.into_iter().map(|set| set.into_iter().map(text).collect()).collect()
    }

    /// What Cedar's own authorizer says of it.
    fn decision(&self) -> Decision {
        let set = PolicySet::from_str(&self.policies).unwrap();
        let all = Entities::from_json_value(self.world.clone(), None).unwrap();
        Authorizer::new().is_authorized(&self.request(), &set, &all).decision()
    }

    /// The same, after somebody did what was told.
    fn after(&self, set: &[ChangeTold]) -> Self {
        let mut case = self.clone();
        for change in set {
            case.change(change);
        }
        case
    }

    fn change(&mut self, change: &ChangeTold) {
        let Some(entity) = &change.entity else { return edit(&mut self.context, change) };
        let uid = json!({"type": entity.type_name, "id": entity.id});
        let all = self.world.as_array_mut().unwrap();
        if !all.iter().any(|one| one["uid"] == uid) {
            all.push(json!({"uid": uid, "attrs": {}, "parents": []}));
        }
        let one = all.iter_mut().find(|one| one["uid"] == uid).unwrap();
        let parents = one["parents"].as_array_mut().unwrap();
        match &change.parent {
            None => edit(&mut one["attrs"], change),
            Some(parent) if change.change == ChangeKind::AddParent => {
                parents.push(json!({"type": parent.type_name, "id": parent.id}));
            }
            Some(parent) => {
                let before = parents.len();
                parents.retain(|one| *one != json!({"type": parent.type_name, "id": parent.id}));
                assert!(parents.len() < before, "{change:?}");
            }
        }
    }
}

fn edit(object: &mut Json, change: &ChangeTold) {
    let (last, above) = change.path.split_last().unwrap();
    let object = above.iter().fold(object, |object, name| {
        if object.get(name).is_none() {
            object[name] = json!({});
        }
        &mut object[name]
    });
    let value = change.value.clone().unwrap_or_default();
    match change.change {
        ChangeKind::Set => object[last] = value,
        ChangeKind::Remove => drop(object.as_object_mut().unwrap().remove(last).unwrap()),
        ChangeKind::AddElements => {
            let mut all = object.get(last).and_then(Json::as_array).cloned().unwrap_or_default();
            all.extend(value.as_array().unwrap().iter().cloned());
            object[last] = all.into();
        }
        ChangeKind::RemoveElements => {
            let gone = value.as_array().unwrap();
            object[last].as_array_mut().unwrap().retain(|one| !gone.contains(one));
        }
        ChangeKind::AddParent | ChangeKind::RemoveParent => panic!("no attribute: {change:?}"),
    }
}

fn world() -> Json {
    json!([
        {"uid": {"type": "User", "id": "u0"}, "attrs": {"level": 1, "tags": ["a"], "name": "ann"},
         "parents": [{"type": "Group", "id": "g1"}]},
        {"uid": {"type": "User", "id": "u1"}, "attrs": {"level": 3}, "parents": []},
        {"uid": {"type": "Group", "id": "g1"}, "attrs": {}, "parents": [{"type": "Group", "id": "g2"}]},
        {"uid": {"type": "Group", "id": "g2"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Doc", "id": "d0"}, "parents": [],
         "attrs": {"owner": {"__entity": {"type": "User", "id": "u1"}}, "public": false, "kind": "draft",
                   "info": {"size": 3}}}
    ])
}

fn told(policies: &str) -> Vec<Vec<String>> {
    Case::of(policies, world(), json!({"ip": "10.0.0.1"})).texts()
}

fn when(condition: &str) -> Vec<Vec<String>> {
    told(&format!("permit(principal, action, resource) when {{ {condition} }};"))
}

#[test]
fn each_form_of_a_clause_has_its_changes() {
    for (condition, changes) in [
        ("resource.public", &["resource.public = true"][..]),
        ("resource.kind == \"final\"", &["resource.kind = \"final\""]),
        ("resource.kind != \"draft\"", &["resource.kind = \"not draft\""]),
        ("principal.level >= 3", &["principal.level = 3"]),
        ("principal.level > 3 && principal.level < 9", &["principal.level = 4"]),
        ("3 < principal.level", &["principal.level = 4"]),
        ("principal has vip && principal.vip == \"gold\"", &["principal.vip = \"gold\""]),
        ("principal has vip", &["principal.vip = true"]),
        ("!(principal has level)", &["remove principal.level"]),
        ("resource.info.size == 4", &["resource.info.size = 4"]),
        (
            "resource.info has color.name && resource.info.color.name == \"red\"",
            &["resource.info.color.name = \"red\""],
        ),
        ("principal.tags.contains(\"b\")", &["add [\"b\"] to principal.tags"]),
        (
            "principal.tags.containsAll([\"a\", \"b\", \"c\"])",
            &["add [\"a\", \"b\", \"c\"] to principal.tags"],
        ),
        ("!principal.tags.contains(\"a\")", &["remove [\"a\"] from principal.tags"]),
        ("principal.name like \"*@x.org\"", &["principal.name = \"@x.org\""]),
        ("principal in Group::\"g9\"", &["put principal in Group::\"g9\""]),
        ("!(principal in Group::\"g1\")", &["take principal out of Group::\"g1\""]),
        ("!(principal in Group::\"g2\")", &["take principal out of Group::\"g1\""]),
        ("resource.owner == principal", &["resource.owner = User::\"u0\""]),
        ("resource.owner.level > 3", &["User::\"u1\".level = 4"]),
        ("context.mfa", &["context.mfa = true"]),
        ("ip(context.ip).isInRange(ip(\"192.168.0.0/16\"))", &["context.ip = \"192.168.0.0\""]),
        ("context.verified.mfa", &[]),
        ("principal is Doc", &[]),
        ("principal == User::\"u1\"", &[]),
        ("if resource.public then true else principal.level == 7", &["resource.public = true"]),
    ] {
        let expected: Vec<Vec<String>> =
            changes.iter().take(1).map(|text| vec![(*text).to_owned()]).collect();
        let found = when(condition);
        assert_eq!(found.first(), expected.first(), "{condition}: {found:?}");
    }
}

#[test]
fn both_sides_of_an_or_are_told_and_no_set_that_holds_a_smaller_one() {
    let found = when("resource.public || (principal.level == 5 && context.mfa)");
    assert_eq!(found.first(), Some(&vec!["resource.public = true".to_owned()]));
    let found = when("(principal.level == 5 && context has mfa && context.mfa) || principal.level == 6");
    assert_eq!(found[0], ["principal.level = 6"]);
    assert_eq!(found[1], ["principal.level = 5", "context.mfa = true"]);
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn a_forbid_is_lifted_only_with_a_permit_at_hand() {
    let forbid = "forbid(principal, action, resource) when { resource.kind == \"draft\" };";
    assert_eq!(
        told(&format!("permit(principal, action, resource); {forbid}"))[0],
        ["resource.kind = \"not draft\""]
    );
    let both = told(&format!("permit(principal in Group::\"g7\", action, resource); {forbid}"));
    assert_eq!(both, [["resource.kind = \"not draft\"", "put principal in Group::\"g7\""]]);
    let never = told("permit(principal, action, resource); forbid(principal, action, resource);");
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn clauses_have_their_places_and_values_and_all_that_fail_are_seen() {
    let text = "// first\n@id(\"ü\") permit(principal in Group::\"g9\",\n  action, resource is Doc)\n\
                when { resource.public &&\n  principal.level > 3 && context.none }\nunless { principal.level == 1 || resource.public };";
    let case = Case::of(text, world(), json!({}));
    let (verdict, why) = case.explain(Home::Files, &Budget::new());
    assert_eq!(verdict, Verdict::Deny);
    let [policy] = why.nearest.as_slice() else { panic!("{why:?}") };
    assert_eq!((policy.file.as_str(), policy.failing, policy.id.as_str()), ("world.cedar", 5, "ü"));
    let clauses: Vec<_> = policy
        .clauses
        .iter()
        .map(|clause| (clause.stands_in, clause.text.as_str(), clause.value, clause.holds))
        .collect();
    assert_eq!(
        clauses,
        [
            (In::Principal, "principal in Group::\"g9\"", Some(false), false),
            (In::Action, "action", Some(true), true),
            (In::Resource, "resource is Doc", Some(true), true),
            (In::When, "resource.public", Some(false), false),
            (In::When, "principal.level > 3", Some(false), false),
            (In::When, "context.none", None, false),
            (In::Unless, "principal.level == 1", Some(true), false),
            (In::Unless, "resource.public", Some(false), true),
        ]
    );
    assert!(policy.clauses[5].error.as_deref().unwrap().contains("none"), "{policy:?}");
    for clause in &policy.clauses {
        let span = clause.span.unwrap();
        assert_eq!(text.get(span.start.offset..span.end.offset), Some(clause.text.as_str()));
        let lines: Vec<&str> = text.lines().collect();
        let line: String = lines[span.start.line - 1].chars().skip(span.start.column - 1).collect();
        assert!(line.starts_with(&clause.text), "{clause:?}");
    }
    let read: Vec<_> = why.mattered.iter().map(|one| one.read.as_str()).collect();
    assert_eq!(read, ["resource.public", "principal.level", "context.none"]);
}

#[test]
fn nearest_permits_are_few_and_the_rest_is_counted() {
    let mut text: String = (0..30)
        .map(|n| format!("permit(principal == User::\"x{n}\", action, resource) when {{ false }};"))
        .collect();
    text.push_str("permit(principal, action, resource) when { resource.public };");
    let (_, why) = Case::of(&text, world(), json!({})).explain(Home::Files, &Budget::new());
    assert_eq!((why.nearest.len(), why.further), (10, 21));
    assert_eq!(why.nearest[0].failing, 1);
}

#[test]
fn the_work_has_a_bound_and_what_it_cut_is_said() {
    let many: String = (0..3_000)
        .map(|n| format!("permit(principal, action, resource) when {{ context.a{n} == {n} }};"))
        .collect();
    let long = (0..3_000).map(|n| format!("context.a{n} == {n}")).collect::<Vec<_>>().join(" && ");
    let either = (0..3_000).map(|n| format!("context.a{n} == {n}")).collect::<Vec<_>>().join(" || ");
    let nested = (0..100)
        .fold("false".to_owned(), |inner, n| format!("if context.c{n} then {inner} else context.d{n}"));
    // Every level asks what would make the next one true, and what would make it false.
    let doubled = (0..60)
        .fold("context.a".to_owned(), |inner, n| format!("if ({inner}) then context.b{n} else context.c{n}"));
    let twice = (0..60)
        .fold("context.a".to_owned(), |inner, n| format!("!(context.b{n} && ({inner})) || context.c{n}"));
    for text in [many].into_iter().chain(
        [long, either, nested, doubled, twice]
            .map(|one| format!("permit(principal, action, resource) when {{ {one} }};")),
    ) {
        let case = Case::of(&text, world(), json!({}));
        let explained = crate::policy::bounds::on_deep_stack(|| {
            let budget = Budget::of(20_000);
            case.explain(Home::Files, &budget).1
        });
        let why = explained.unwrap();
        assert!(why.nearest.iter().all(|policy| policy.text.len() < 5_000 && policy.clauses.len() < 110));
        assert!(why.mattered.len() <= 100 && why.changes.len() <= 5);
        assert!(why.cut || why.nearest[0].clauses.len() < 10, "{why:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn each_change_that_is_told_permits_by_cedars_own_judgement(
        policies in policies(),
        world in entities(),
        context in context(),
        principal in 0_usize..5,
        resource in 0_usize..5,
        home in prop_oneof![Just(Home::Files), Just(Home::Store), Just(Home::Both)],
    ) {
        let asked = [format!("User::\"u{principal}\""), "Action::\"read\"".to_owned(), format!("Doc::\"d{resource}\"")];
        let case = Case { policies, world, context, asked };
        let (verdict, why) = case.explain(home, &Budget::new());
        let theirs = case.decision();
        prop_assert_eq!(verdict == Verdict::Allow, theirs == Decision::Allow);
        prop_assert!(verdict == Verdict::Deny || why.changes.is_empty());
        for set in &why.changes {
            let after = case.after(set);
            prop_assert_eq!(after.decision(), Decision::Allow, "{:?}\n{}\n{}", set, case.policies, case.world);
        }
    }
}
