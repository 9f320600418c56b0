//! `POST /v1/policies/simulate`: policies that are in the request, and never what is served.

use portcullis_tests::Answer;
use serde_json::{Value, json};

use crate::assertions::{members, names, set};
use crate::fixtures::{native, question, records};

const PATH: &str = "/v1/policies/simulate";

const SCHEMA: &str = "entity User { level: Long }; entity Doc;
action read appliesTo { principal: User, resource: Doc, context: { ip?: ipaddr } };";

fn request(user: &str) -> Value {
    json!({
        "principal": {"type": "User", "id": user},
        "action": {"type": "Action", "id": "read"},
        "resource": {"type": "Doc", "id": "d"},
        "context": {}
    })
}

fn body(policies: &str) -> Value {
    json!({"policies": policies, "entities": [], "requests": [request("alice")]})
}

fn send(body: &Value) -> Answer {
    native().post(PATH, body)
}

#[track_caller]
fn simulate(body: &Value) -> Value {
    send(body).expect_status(200).json()
}

#[test]
fn an_answer_has_these_members() {
    let answer = simulate(&body("permit(principal, action, resource);"));
    assert_eq!(members(&answer), names(["validation", "results"]));
    assert_eq!(answer["validation"], json!({"valid": true, "errors": []}));
    assert_eq!(answer["results"], json!([{"decision": "allow", "reasons": ["policy0"], "errors": []}]));
}

#[test]
fn policies_are_named_in_their_order() {
    let text = "permit(principal == User::\"bob\", action, resource);
        permit(principal, action, resource);
        forbid(principal == User::\"eve\", action, resource);";
    let mut asked = body(text);
    asked["requests"] = json!([request("alice"), request("bob"), request("eve")]);
    let results = simulate(&asked)["results"].clone();
    assert_eq!(set(&results[0]["reasons"]), names(["policy1"]));
    assert_eq!(set(&results[1]["reasons"]), names(["policy0", "policy1"]));
    assert_eq!(results[2], json!({"decision": "deny", "reasons": ["policy2"], "errors": []}));
}

#[test]
fn policies_are_named_by_their_ids_when_all_have_one() {
    let all =
        "@id(\"a\") permit(principal, action, resource); @id(\"b\") permit(principal, action, resource);";
    let answer = simulate(&body(all));
    assert_eq!(set(&answer["results"][0]["reasons"]), names(["a", "b"]));
    let some = "@id(\"a\") permit(principal, action, resource); permit(principal, action, resource);";
    let answer = simulate(&body(some));
    assert_eq!(set(&answer["results"][0]["reasons"]), names(["policy0", "policy1"]));
}

#[test]
fn eleven_policies_keep_their_numbers() {
    let text = "forbid(principal, action, resource) when { false };".repeat(10)
        + "permit(principal, action, resource);";
    assert_eq!(simulate(&body(&text))["results"][0]["reasons"], json!(["policy10"]));
}

#[test]
fn how_it_was_evaluated_is_told_on_request() {
    let mut asked =
        body("permit(principal, action, resource); forbid(principal == User::\"bob\", action, resource);");
    asked["evaluation"] = json!(true);
    assert_eq!(
        simulate(&asked)["results"][0],
        json!({"decision": "allow", "reasons": ["policy0"], "errors": [], "evaluation": {"evaluated": 1, "left_to_cedar": 0}})
    );
}

#[test]
fn without_a_permit_there_is_no_reason() {
    let answer = simulate(&body("permit(principal == User::\"bob\", action, resource);"));
    assert_eq!(answer["results"][0], json!({"decision": "deny", "reasons": [], "errors": []}));
    let answer = simulate(&body(""));
    assert_eq!(answer["results"][0]["decision"], json!("deny"));
}

#[test]
fn entities_and_context_are_in_cedars_json() {
    let text = "permit(principal, action, resource) when {
        principal in Group::\"staff\" && resource.owner == principal && context.ip.isLoopback() };";
    let mut asked = body(text);
    asked["entities"] = json!([
        {"uid": {"type": "User", "id": "alice"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
        {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": []},
        {"uid": {"type": "Doc", "id": "d"}, "parents": [],
         "attrs": {"owner": {"__entity": {"type": "User", "id": "alice"}}}}
    ]);
    asked["requests"][0]["context"] = json!({"ip": {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}});
    let answer = simulate(&asked);
    assert_eq!(answer["results"][0]["decision"], json!("allow"), "{answer}");
}

const BROKEN_FORBID: &str = "permit(principal, action, resource);
    forbid(principal, action, resource) when { principal.absent == 1 };
    permit(principal, action, resource) when { principal.missing };";

#[test]
fn a_forbid_that_errors_denies_unless_skipped() {
    let mut asked = body(BROKEN_FORBID);
    for on_policy_error in [None, Some("deny")] {
        if let Some(value) = on_policy_error {
            asked["on_policy_error"] = json!(value);
        }
        assert_eq!(simulate(&asked)["results"][0]["decision"], json!("deny"), "{on_policy_error:?}");
    }
    asked["on_policy_error"] = json!("skip");
    let result = &simulate(&asked)["results"][0];
    assert_eq!(result["decision"], json!("allow"));
    assert_eq!(result["reasons"], json!(["policy0"]));
    let errors = result["errors"].as_array().unwrap();
    let failed: Vec<&str> = errors.iter().map(|error| error["policy"].as_str().unwrap()).collect();
    assert!(failed.len() == 2 && failed.contains(&"policy1") && failed.contains(&"policy2"), "{result}");
    assert!(errors.iter().all(|error| error["message"].as_str().is_some_and(|text| !text.is_empty())));
}

#[test]
fn validation_says_whether_the_policies_fit_the_schema() {
    let mut asked =
        body("permit(principal, action == Action::\"read\", resource) when { principal.level > 3 };");
    asked["schema"] = json!(SCHEMA);
    assert_eq!(simulate(&asked)["validation"], json!({"valid": true, "errors": []}));
    asked["policies"] =
        json!("permit(principal, action == Action::\"read\", resource) when { principal.levle > 3 };");
    let validation = &simulate(&asked)["validation"];
    assert_eq!(validation["valid"], json!(false));
    assert!(validation["errors"].to_string().contains("levle"), "{validation}");
    assert!(!validation["errors"].as_array().unwrap().is_empty());
}

#[test]
fn invalid_policies_are_evaluated_all_the_same() {
    let mut asked =
        body("permit(principal, action, resource) when { resource == Doc::\"d\" || principal.absent };");
    asked["schema"] = json!(SCHEMA);
    let answer = simulate(&asked);
    assert_eq!(answer["validation"]["valid"], json!(false), "{answer}");
    assert_eq!(answer["results"][0]["decision"], json!("allow"), "{answer}");
}

#[test]
fn a_request_that_does_not_fit_the_schema_is_denied_when_asked_so() {
    let mut asked = body("permit(principal, action, resource);");
    asked["schema"] = json!(SCHEMA);
    asked["requests"] = json!([request("alice"), request("alice")]);
    asked["requests"][1]["principal"]["type"] = json!("Doc");
    let decisions =
        |answer: &Value| (answer["results"][0]["decision"].clone(), answer["results"][1]["decision"].clone());
    assert_eq!(decisions(&simulate(&asked)), (json!("allow"), json!("allow")));
    asked["validate_requests"] = json!(true);
    let answer = simulate(&asked);
    assert_eq!(decisions(&answer), (json!("allow"), json!("deny")), "{answer}");
    let error = &answer["results"][1]["errors"][0];
    assert_eq!(error["policy"], json!(null), "{answer}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
}

#[track_caller]
fn invalid(asked: &Value) {
    let answer = send(asked).expect_status(400);
    assert_eq!(answer.problem(), "policies_invalid", "{}", answer.text());
    let errors = answer.json()["errors"].clone();
    assert!(errors.as_array().is_some_and(|errors| !errors.is_empty()), "{}", answer.text());
}

#[test]
fn what_does_not_parse_is_refused_with_its_errors() {
    invalid(&body("permit(principal, action, resource)"));
    invalid(&body("permit(principal, action, resource) when { principal. };"));
    let sound = body("permit(principal, action, resource);");
    let mut asked = sound.clone();
    asked["schema"] = json!("entity User {");
    invalid(&asked);
    let mut asked = sound;
    asked["entities"] = json!([{"uid": {"type": "not a type", "id": "x"}, "attrs": {}, "parents": []}]);
    invalid(&asked);
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let sound = body("permit(principal, action, resource);");
    for (field, wrong) in [
        ("policies", json!(1)),
        ("entities", json!({})),
        ("requests", json!({})),
        ("schema", json!(1)),
        ("on_policy_error", json!("ignore")),
        ("validate_requests", json!("yes")),
        ("surprise", json!(1)),
    ] {
        let mut asked = sound.clone();
        asked[field] = wrong;
        assert_eq!(send(&asked).expect_status(400).problem(), "invalid_request", "{field}");
    }
    let mut asked = sound;
    asked.as_object_mut().unwrap().remove("policies");
    assert_eq!(send(&asked).expect_status(400).problem(), "invalid_request");
}

#[test]
fn a_simulation_changes_nothing_that_is_served() {
    let server = portcullis_tests::Server::with(records());
    let (denied, allowed) = (question("mallory", "read", "record-1"), question("alice", "read", "record-1"));
    let decide = |asked: &Value| server.post("/v1/decide", asked).expect_status(200).json();
    let before = decide(&denied);
    for policies in
        ["permit(principal, action, resource);", "forbid(principal, action, resource);", "broken("]
    {
        let asked = body(policies);
        server.post(PATH, &asked);
    }
    let after = decide(&denied);
    assert_eq!(after["decision"], json!(false));
    assert_eq!(after["revision"], before["revision"]);
    assert_eq!(decide(&allowed)["decision"], json!(true));
}

#[test]
fn a_simulation_needs_a_key() {
    let answer = native().with_key(None).post(PATH, &body("")).expect_status(401);
    assert_eq!(answer.problem(), "caller_key_missing");
}
