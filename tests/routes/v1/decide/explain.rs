//! `explain: true`: clauses with values, what they read, and changes that permit once they are made.

use std::sync::OnceLock;

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use crate::assertions::{members, names};
use crate::directory::client;

const POLICIES: &str = r#"// Who may do what.
@id("staff-reads")
permit(principal in Group::"staff", action == Action::"read", resource is Doc)
when { principal.level >= 3 && resource.kind == "open" }
unless { context has night && context.night };

@id("named-reads")
permit(principal == User::"root", action == Action::"read", resource);

@id("mfa-edits")
permit(principal, action == Action::"edit", resource)
when { context has mfa && context.mfa }
unless { resource has locked && resource.locked };

@id("tagged-edits")
permit(principal, action == Action::"edit", resource)
when { resource.tags.contains(principal.team) || (context has action && context.action.force) };

@id("suspended")
forbid(principal in Group::"suspended", action, resource);

@id("sealed")
forbid(principal, action, resource) when { resource has sealed && resource.sealed };

@id("owner-closes")
permit(principal, action == Action::"close", resource)
when { resource has owner && resource.owner == principal };

@id("masked-prints")
@obligation("mask:/salary")
permit(principal, action == Action::"print", resource);
"#;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let pack = Pack::new("why")
            .manifest("[properties]\nsubject = \"override\"\nresource = \"override\"\n[types]\nuser = \"User\"\ndoc = \"Doc\"\ngroup = \"Group\"")
            .cedar(POLICIES)
            .entities(&json!([
                {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": []}
            ]));
        Server::with(pack)
    })
}

fn question(subject: &str, action: &str, resource: Value) -> Value {
    json!({
        "subject": {"type": "user", "id": subject, "properties": {"level": 1, "team": "red"}},
        "action": {"name": action},
        "resource": {"type": "doc", "id": "plan", "properties": resource},
        "context": {}
    })
}

fn explained(asked: &Value) -> Value {
    let mut asked = asked.clone();
    asked["explain"] = json!(true);
    server().post("/v1/decide", &asked).expect_status(200).json()
}

fn allows(asked: &Value) -> bool {
    server().post("/v1/decide", asked).expect_status(200).json()["decision"] == json!(true)
}

fn texts(explanation: &Value) -> Vec<Vec<&str>> {
    let sets = explanation["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    sets.iter()
        .map(|set| set.as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect())
        .collect()
}

#[test]
fn a_denial_shows_the_nearest_permits_by_clause_with_places_in_the_file() {
    let answer = explained(&question("ann", "read", json!({"kind": "closed"})));
    let explanation = &answer["explanation"];
    assert_eq!(
        members(explanation),
        names(["policies", "errors", "nearest", "mattered", "changes", "cut"]),
        "{explanation}"
    );
    assert_eq!((&explanation["policies"], &explanation["cut"]), (&json!([]), &json!(false)));
    let nearest = explanation["nearest"].as_array().unwrap();
    let found: Vec<_> =
        nearest.iter().map(|one| (one["id"].as_str().unwrap(), one["failing"].as_u64().unwrap())).collect();
    assert_eq!(found, [("named-reads", 1), ("staff-reads", 3)]);
    let clauses = nearest[1]["clauses"].as_array().unwrap();
    let told: Vec<_> = clauses
        .iter()
        .map(|one| {
            (
                one["in"].as_str().unwrap(),
                one["text"].as_str().unwrap(),
                one["value"].as_bool(),
                one["holds"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("principal", "principal in Group::\"staff\"", Some(false), false),
            ("action", "action == Action::\"read\"", Some(true), true),
            ("resource", "resource is Doc", Some(true), true),
            ("when", "principal.level >= 3", Some(false), false),
            ("when", "resource.kind == \"open\"", Some(false), false),
            ("unless", "context has night && context.night", Some(false), true),
        ]
    );
    for clause in clauses.iter().chain(nearest) {
        let offset = |end: &str| usize::try_from(clause["span"][end]["offset"].as_u64().unwrap()).unwrap();
        assert_eq!(clause["text"], json!(POLICIES[offset("start")..offset("end")]));
    }
    assert_eq!(nearest[1]["span"]["start"], json!({"line": 2, "column": 1, "offset": 20}));
    let set = ["put principal in Group::\"staff\"", "principal.level = 3", "resource.kind = \"open\""];
    assert_eq!(texts(explanation), [set]);
}

#[test]
fn what_clauses_read_is_shown_with_its_values() {
    let answer = explained(&question("ann", "read", json!({"kind": "k".repeat(5_000)})));
    let mattered = answer["explanation"]["mattered"].as_array().unwrap();
    let one =
        |read: &str| mattered.iter().find(|one| one["read"] == read).unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(
        *one("principal.level"),
        json!({"read": "principal.level", "entity": {"type": "User", "id": "ann"}, "value": 1, "cut": false})
    );
    assert_eq!(*one("context.night"), json!({"read": "context.night", "cut": false}));
    assert_eq!(one("resource.kind")["cut"], json!(true));
    assert!(answer.to_string().len() < 20_000);
}

#[test]
fn an_error_of_a_clause_is_in_cedars_words() {
    let mut asked = question("ann", "read", json!({"size": 1}));
    asked["subject"]["properties"] = json!({});
    let answer = explained(&asked);
    let nearest = answer["explanation"]["nearest"].as_array().unwrap();
    let clause = nearest
        .iter()
        .flat_map(|one| one["clauses"].as_array().unwrap())
        .find(|one| one["text"] == "resource.kind == \"open\"");
    let clause = clause.unwrap();
    assert!(clause["error"].as_str().unwrap().contains("kind") && clause.get("value").is_none(), "{clause}");
}

#[test]
fn an_allow_shows_its_policies_and_no_changes() {
    let mut asked = question("ann", "edit", json!({"tags": []}));
    asked["context"] = json!({"mfa": true});
    let answer = explained(&asked);
    let explanation = &answer["explanation"];
    assert_eq!(members(explanation), names(["policies", "errors", "mattered", "cut"]));
    let [policy] = explanation["policies"].as_array().unwrap().as_slice() else { panic!("{explanation}") };
    assert_eq!(
        (&policy["id"], &policy["effect"], &policy["failing"]),
        (&json!("mfa-edits"), &json!("permit"), &json!(0))
    );
}

#[test]
fn a_forbid_that_denies_is_lifted_by_what_makes_it_false() {
    let mut asked = question("ann", "edit", json!({"tags": ["red"], "sealed": true}));
    let answer = explained(&asked);
    assert_eq!(answer["explanation"]["policies"][0]["id"], json!("sealed"));
    let changes = texts(&answer["explanation"]);
    assert!(changes.contains(&vec!["resource.sealed = false"]), "{changes:?}");
    asked["resource"]["properties"]["sealed"] = json!(false);
    assert!(allows(&asked));
}

#[test]
fn a_permit_whose_obligation_denies_is_shown() {
    let answer = explained(&question("ann", "print", json!({})));
    assert_eq!(answer["reasons"], json!(["obligation_unsupported"]));
    let policies = answer["explanation"]["policies"].as_array().unwrap();
    assert!(policies.len() == 1 && policies[0]["id"] == json!("masked-prints"), "{answer}");
    assert!(texts(&answer["explanation"]).is_empty(), "{answer}");
}

/// Applies what was told, as the application would: attributes as properties, actions' properties, memberships in the store.
fn apply(asked: &mut Value, change: &Value) {
    let path: Vec<&str> =
        change["path"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    if let Some(parent) = change.get("parent") {
        assert_eq!(
            (&change["change"], &change["of"]),
            (&json!("add_parent"), &json!("principal")),
            "{change}"
        );
        let principal = json!({"id": change["entity"]["id"], "groups": [parent["id"]]});
        let made = server().post("/v1/principals?pack=why", &principal);
        assert_eq!(made.status, 201, "{}", made.text());
        return;
    }
    let (mut at, path) = match (change["of"].as_str().unwrap(), path.as_slice()) {
        ("principal", path) => (&mut asked["subject"]["properties"], path),
        ("resource", path) => (&mut asked["resource"]["properties"], path),
        ("context", ["action", rest @ ..]) => (&mut asked["action"]["properties"], rest),
        ("context", path) => (&mut asked["context"], path),
        other => panic!("{other:?}"),
    };
    for name in path {
        if at.get(name).is_none() {
            at[name] = Value::Null;
        }
        at = &mut at[name];
    }
    match change["change"].as_str().unwrap() {
        "set" => *at = change["value"].clone(),
        "remove" => *at = Value::Null,
        "add_elements" => {
            let mut all = at.as_array().cloned().unwrap_or_default();
            all.extend(change["value"].as_array().unwrap().iter().cloned());
            *at = all.into();
        }
        "remove_elements" => {
            at.as_array_mut().unwrap().retain(|one| !change["value"].as_array().unwrap().contains(one))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn each_change_made_by_the_application_permits() {
    let mut tried = 0;
    for action in ["read", "edit"] {
        for level in [json!(null), json!(1), json!(9)] {
            for (number, resource) in [
                json!({}),
                json!({"kind": "closed", "tags": []}),
                json!({"kind": "open", "tags": ["blue"], "locked": true}),
                json!({"kind": "open", "sealed": true}),
                json!({"tags": ["red"], "sealed": true, "locked": true}),
            ]
            .into_iter()
            .enumerate()
            {
                for (place, context) in
                    [json!({}), json!({"night": true, "mfa": false})].into_iter().enumerate()
                {
                    let who = format!("user-{action}-{level}-{number}-{place}");
                    let mut asked = question(&who, action, resource.clone());
                    asked["subject"]["properties"]["level"] = level.clone();
                    asked["context"] = context;
                    let answer = explained(&asked);
                    assert_eq!(answer["decision"], json!(allows(&asked)), "asking why changes nothing");
                    let sets = answer["explanation"]["changes"].as_array().cloned().unwrap_or_default();
                    assert!(answer["decision"] == json!(false) || sets.is_empty());
                    for (place, set) in sets.iter().enumerate() {
                        let set = set.as_array().unwrap();
                        // What is put into a group stays there: only the last set may do so.
                        if place + 1 < sets.len() && set.iter().any(|one| one.get("parent").is_some()) {
                            continue;
                        }
                        let mut asked = asked.clone();
                        set.iter().for_each(|change| apply(&mut asked, change));
                        assert!(allows(&asked), "{set:?}\n{asked}");
                        tried += 1;
                    }
                }
            }
        }
    }
    assert!(tried > 60, "{tried}");
}

#[test]
fn what_nobody_but_the_server_says_and_who_asks_are_no_changes() {
    let answer = explained(&question("ann", "close", json!({})));
    let changes = texts(&answer["explanation"]);
    assert_eq!(
        changes,
        [["resource.owner = User::\"ann\""]],
        "an entity is told, though only stored data can name one"
    );
    let answer = explained(&question("ann", "fly", json!({})));
    assert!(texts(&answer["explanation"]).is_empty(), "{answer}");
}

#[test]
fn another_tenants_entities_are_not_in_an_explanation() {
    let ours = client(server(), "ours", &["assert_subject", "change_entities"]);
    let theirs = client(server(), "theirs", &["assert_subject", "change_entities"]);
    let entity = json!({"type": "doc", "id": "plan", "attributes": {"kind": "very-secret-kind"}});
    let made = theirs.post("/v1/entities?pack=why", &entity);
    assert_eq!(made.status, 201, "{}", made.text());
    let mut asked = question("ann", "read", json!({}));
    (asked["explain"], asked["pack"]) = (json!(true), json!("why"));
    let seen =
        |client: &portcullis_tests::Client| client.post("/v1/decide", &asked).expect_status(200).text();
    assert!(seen(&theirs).contains("very-secret-kind"));
    assert!(!seen(&ours).contains("very-secret-kind"));
}

#[test]
fn a_batch_of_a_thousand_that_explain_themselves_ends() {
    let items: Vec<Value> = (0..1_000)
        .map(|n| json!({"resource": {"type": "doc", "id": format!("d{n}"), "properties": {"kind": "x"}}}))
        .collect();
    let mut asked = question("ann", "read", json!({}));
    (asked["explain"], asked["evaluations"]) = (json!(true), items.into());
    let answer = server().post("/v1/decide", &asked).expect_status(200);
    assert!(answer.text().len() < 8 << 20, "{} bytes", answer.text().len());
    let answer = answer.json();
    let all = answer["evaluations"].as_array().unwrap();
    assert_eq!(all.len(), 1_000);
    assert!(all.iter().all(|one| one["decision"] == json!(false) && one["explanation"].is_object()));
    let [first, last] = [&all[0], &all[999]].map(|one| &one["explanation"]);
    assert!(
        first["cut"] == json!(false) && first["nearest"].is_array() && first["changes"].is_array(),
        "{first}"
    );
    assert!(last["cut"] == json!(true) || last["nearest"] == first["nearest"], "{last}");
}
