//! What is listed against every decision that can be asked.

use proptest::prelude::*;

use super::super::tests::{Home, at_home, context, entities, policies};
use super::super::value::Record;
use super::super::{Question, Verdict, combine, evaluate};
use super::scopes::MOST_SCOPES;
use super::*;
use crate::clock::Timestamp;
use crate::entity::ancestry::Ancestry;
use crate::entity::{AssignmentUpdate, Data, EntityStore, Kind, Scope, Update};
use crate::policy::compile;
use crate::policy::files::SourceFile;

const ACTIONS: [&str; 5] = ["read", "write", "some", "all", "other"];

fn uid(entity_type: &str, id: &str) -> EntityUID {
    EntityUID::with_eid_and_type(entity_type, id).unwrap()
}

fn named(entity_type: &str, id: String) -> (String, String) {
    (entity_type.into(), id)
}

fn assignment() -> impl Strategy<Value = Update> {
    let scope = prop_oneof![
        2 => Just(Scope::Tenant),
        2 => (0_usize..5).prop_map(|n| Scope::Resource("Doc".into(), format!("d{n}"))),
        2 => (0_usize..4).prop_map(|n| Scope::ResourceTree("Group".into(), format!("g{n}"))),
        1 => (0_usize..4).prop_map(|n| Scope::ResourceTree("Doc".into(), format!("d{n}"))),
    ];
    let subject = prop_oneof![
        3 => (0_usize..4).prop_map(|n| named("User", format!("u{n}"))),
        1 => (0_usize..4).prop_map(|n| named("Group", format!("g{n}"))),
    ];
    (0_u8..6, subject, 0_usize..4, scope, prop::bool::weighted(0.8)).prop_map(
        |(id, subject, role, scope, now)| {
            Update::Assignment(AssignmentUpdate {
                tenant: "default".into(),
                pack: "world".into(),
                id: id.to_string(),
                subject,
                role: named("Group", format!("g{role}")),
                scope,
                starts_at: if now { None } else { Some(Timestamp(1)) },
                ends_at: None,
                delegated_by: None,
                version: 1,
            })
        },
    )
}

/// The list that counts for a resource; none, where several do.
fn list_for<'p>(found: &'p Permissions, facts: Facts<'_>, resource: &EntityUID) -> Option<&'p [Permission]> {
    let Some(data) = facts.data else { return Some(&found.everywhere) };
    let tree = |uid: &EntityUID| Ancestry::new(facts, data).tree(uid).unwrap();
    let around = tree(resource);
    let is_in = |place: &Place<EntityUID>| match place {
        Place::Tenant => true,
        Place::Resource(one) => one == resource,
        Place::Tree(one) => one == resource || around.contains(one),
    };
    let all: Vec<_> = found.scoped.iter().filter(|scoped| is_in(&scoped.place)).collect();
    let covers = |wide: &Place<EntityUID>, narrow: &Place<EntityUID>| match (wide, narrow) {
        (Place::Tree(_), Place::Resource(_)) => true,
        (Place::Tree(wide), Place::Tree(narrow)) => wide == narrow || tree(narrow).contains(wide),
        (one, other) => one == other,
    };
    let narrowest = all.iter().find(|narrow| all.iter().all(|wide| covers(&wide.place, &narrow.place)));
    match narrowest {
        Some(scoped) => Some(&scoped.permissions),
        None => all.is_empty().then_some(&found.everywhere),
    }
}

fn listed<'p>(
    list: &'p [Permission],
    rules: &Rules,
    question: &Question,
    one: bool,
) -> Option<&'p Permission> {
    let action = rules.actions().find(|known| **known == question.action).cloned();
    let resource_type = question.resource.entity_type();
    let is_named = one || rules.all.iter().any(|rule| type_named(&rule.resource) == Some(resource_type));
    let resource_type = is_named.then(|| resource_type.clone());
    list.iter().find(|found| found.action == action && found.resource_type == resource_type)
}

fn question(principal: &EntityUID, action: &str, resource: EntityUID, context: &Record) -> Question {
    Question {
        principal: principal.clone(),
        action: uid("Action", action),
        resource,
        context: std::sync::Arc::new(context.clone()),
        laid_over: Vec::new(),
        context_left_out: Vec::new(),
        subject_left_out: Vec::new(),
        resource_left_out: Vec::new(),
        unreadable: false,
    }
}

fn record(context: serde_json::Value) -> Record {
    let context = cedar_policy::Context::from_json_value(context, None).unwrap();
    let context: cedar_policy_core::ast::Context = context.as_ref().clone();
    match context {
        cedar_policy_core::ast::Context::Value(record) => record.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_decision_contradicts_what_is_listed(
        text in policies(),
        world in entities(),
        held in prop::collection::vec(assignment(), 0..5),
        contexts in prop::collection::vec(context(), 3),
        principal in 0_usize..5,
        skip in any::<bool>(),
    ) {
        let file = |text: String| SourceFile { shown: "generated".into(), text };
        let (files, data) = at_home(&world, Home::Both);
        let data = data.apply(held);
        let store: EntityStore = compile::parse_entities(Some(&file(files.to_string())), None).unwrap();
        let rules = compile::prepare(compile::parse_text(&file(text.clone())).unwrap(), &store).unwrap();
        let data = data.pack("default", "world").map(std::sync::Arc::as_ref);
        let facts = Facts { data, ..Facts::of_files(&store) };
        let on_error = if skip { OnPolicyError::Skip } else { OnPolicyError::Deny };
        let principal = uid("User", &format!("u{principal}"));
        let found = permissions(Ground { rules: &rules, schema: None, on_error, facts }, &principal).unwrap();
        let contexts: Vec<_> = contexts.into_iter().map(record).collect();
        let resources = (0..5).flat_map(|n| [uid("Doc", &format!("d{n}")), uid("User", &format!("u{n}")), uid("Group", &format!("g{n}"))]);
        for resource in resources {
            let Some(list) = list_for(&found, facts, &resource) else { continue };
            let one = found.scoped.iter().any(|scoped| scoped.place == Place::Resource(resource.clone()));
            for (action, context) in ACTIONS.into_iter().flat_map(|action| contexts.iter().map(move |context| (action, context))) {
                let question = question(&principal, action, resource.clone(), context);
                let findings = evaluate(&rules, &facts.about(&question.resource), &question);
                let verdict = combine(&rules, &findings, on_error, &|_| true).verdict;
                let listed = listed(list, &rules, &question, one);
                let fits = match listed.map(|listed| listed.when) {
                    None => verdict == Verdict::Deny,
                    Some(When::Always) => verdict == Verdict::Allow,
                    Some(When::Conditional) => true,
                };
                prop_assert!(fits, "{action} {resource}: {verdict:?} and {listed:?}\n{text}\n{found:?}");
                // Whoever determined an allow is among those who are listed.
                let may = |place: &usize| listed.is_some_and(|listed| {
                    let id = &rules.all[*place].id;
                    listed.permits.iter().any(|says| says.policy == *id)
                });
                prop_assert!(verdict == Verdict::Deny || findings.permits.iter().all(may), "{listed:?}\n{text}");
            }
        }
    }
}

fn listing(policies: &str, schema: Option<&str>, data: &Data, kinds: &[(Kind, EntityType)]) -> Permissions {
    let file = |text: &str| SourceFile { shown: "x".into(), text: text.into() };
    let schema = schema.map(|text| compile::parse_schema(&file(text)).unwrap());
    let store = compile::parse_entities(None, schema.as_ref()).unwrap();
    let rules = compile::prepare(compile::parse_text(&file(policies)).unwrap(), &store).unwrap();
    let facts = Facts {
        data: data.pack("default", "world").map(std::sync::Arc::as_ref),
        inactive: Some(data.inactive("default")),
        pack: "world",
        kinds,
        ..Facts::of_files(&store)
    };
    let ground = Ground { rules: &rules, schema: schema.as_ref(), on_error: OnPolicyError::Deny, facts };
    permissions(ground, &uid("User", "ann")).unwrap()
}

fn given(role: &str, scope: Scope) -> Update {
    Update::Assignment(AssignmentUpdate {
        tenant: "default".into(),
        pack: "world".into(),
        id: format!("{role} {scope:?}"),
        subject: named("User", "ann".into()),
        role: named("Role", role.into()),
        scope,
        starts_at: None,
        ends_at: None,
        delegated_by: None,
        version: 1,
    })
}

fn shown(list: &[Permission]) -> Vec<String> {
    let says = |list: &[Says]| {
        list.iter().map(|says| format!("{} {:?}", says.policy, says.when)).collect::<Vec<_>>()
    };
    list.iter()
        .map(|one| {
            let action =
                one.action.as_ref().map(|action| -> String { AsRef::<str>::as_ref(action.eid()).into() });
            let resource = one.resource_type.as_ref().map(ToString::to_string);
            format!(
                "{} {} {:?} by {:?} but {:?}",
                action.unwrap_or("*".into()),
                resource.unwrap_or("*".into()),
                one.when,
                says(&one.permits),
                says(&one.forbids)
            )
        })
        .collect()
}

const SCHEMA: &str = "entity User in [Group, Role]; entity Group; entity Role; entity Folder in [Folder];
    entity Doc in [Folder] { owner: User, secret: Bool };
    action read, edit appliesTo { principal: User, resource: [Doc, Folder] };
    action erase appliesTo { principal: User, resource: Doc };
    action log_in appliesTo { principal: Group, resource: Folder };";

const POLICIES: &str = r#"
    @id("viewers") permit(principal in Role::"viewer", action == Action::"read", resource);
    @id("editors") permit(principal in Role::"editor", action in [Action::"read", Action::"edit"], resource is Doc);
    @id("owners") permit(principal, action, resource is Doc) when { resource.owner == principal };
    @id("secrets") forbid(principal, action == Action::"read", resource is Doc) when { resource.secret };
    @id("never") forbid(principal, action == Action::"erase", resource);"#;

#[test]
fn roles_show_where_they_count_and_forbids_beside_them() {
    let folder = |id: &str| Scope::ResourceTree("Folder".into(), id.into());
    let data = Data::default().apply([given("viewer", Scope::Tenant), given("editor", folder("f"))]);
    let found = listing(POLICIES, Some(SCHEMA), &data, &[]);
    assert_eq!(
        shown(&found.everywhere),
        [
            "edit Doc Conditional by [\"owners Conditional\"] but []",
            "read Doc Conditional by [\"viewers Always\", \"owners Conditional\"] but [\"secrets Conditional\"]",
            "read Folder Always by [\"viewers Always\"] but []",
        ]
    );
    let [scoped] = found.scoped.as_slice() else { panic!("{:?}", found.scoped) };
    assert_eq!(scoped.place, Place::Tree(uid("Folder", "f")));
    assert_eq!(
        shown(&scoped.permissions),
        [
            "edit Doc Always by [\"editors Always\", \"owners Conditional\"] but []",
            "read Doc Conditional by [\"viewers Always\", \"editors Always\", \"owners Conditional\"] but [\"secrets Conditional\"]",
            "read Folder Always by [\"viewers Always\"] but []",
        ]
    );
    assert_eq!(found.scopes_left_out, 0);
}

#[test]
fn without_a_schema_what_policies_name_is_listed_and_the_rest_as_one() {
    let policies = r#"@id("all") permit(principal == User::"ann", action, resource);
        @id("docs") forbid(principal, action == Action::"erase", resource is Doc);"#;
    let found = listing(policies, None, &Data::default(), &[]);
    assert_eq!(
        shown(&found.everywhere),
        [
            "* * Always by [\"all Always\"] but []",
            "* Doc Always by [\"all Always\"] but []",
            "erase * Always by [\"all Always\"] but []",
        ]
    );
}

#[test]
fn a_locked_principal_may_do_nothing() {
    let kinds = [(Kind::User, uid("User", "").entity_type().clone())];
    let user = |status| {
        let row = crate::entity::EntityUpdate {
            tenant: "default".into(),
            pack: "world".into(),
            entity_type: "User".into(),
            id: "ann".into(),
            kind: Kind::User,
            attributes: "{}".into(),
            tags: "{}".into(),
            parents: vec![named("Role", "viewer".into())],
            status,
            settings: crate::entity::RoleSettings::default(),
            version: 1,
        };
        Data::default().apply([Update::Entity(row)])
    };
    let active = listing(POLICIES, Some(SCHEMA), &user(crate::entity::Status::Active), &kinds);
    assert!(!active.everywhere.is_empty());
    let locked = listing(POLICIES, Some(SCHEMA), &user(crate::entity::Status::Locked), &kinds);
    assert_eq!(locked, Permissions::default());
}

#[test]
fn many_scopes_are_counted_and_not_all_worked_out() {
    let data = Data::default()
        .apply((0..250).map(|n| given("editor", Scope::Resource("Doc".into(), n.to_string()))));
    let found = listing(POLICIES, Some(SCHEMA), &data, &[]);
    assert_eq!((found.scoped.len(), found.scopes_left_out), (MOST_SCOPES, 250 - MOST_SCOPES));
}
