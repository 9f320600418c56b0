//! `GET /openapi.json`: the document describes the server that serves it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fixtures::{limited_key, single_pack};

fn document() -> Value {
    single_pack().get("/openapi.json").expect_status(200).json()
}

/// Every operation: path, method and description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let methods = ["get", "post", "put", "patch", "delete"];
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in methods {
            if let Some(operation) = item.get(method) {
                found.push((path.clone(), method.to_uppercase(), operation.clone()));
            }
        }
    }
    found
}

#[test]
fn the_parameters_of_a_path_are_those_in_its_text() {
    for (path, method, operation) in operations(&document()) {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let described: BTreeSet<&str> =
            described.filter_map(|parameter| parameter["name"].as_str()).collect();
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        assert_eq!(described, named.collect::<BTreeSet<_>>(), "{method} {path}");
    }
}

#[test]
fn it_needs_any_callers_key() {
    let answer = single_pack().with_key(None).get("/openapi.json").expect_status(401);
    assert_eq!(answer.problem(), "caller_key_missing");
    let key = limited_key(single_pack(), &["assert_subject"]);
    let _ = single_pack().with_key(Some(&key)).get("/openapi.json").expect_status(200);
}

#[test]
fn it_is_openapi_3_1_and_describes_every_route() {
    let document = document();
    let version = document["openapi"].as_str().unwrap();
    assert!(version.starts_with("3.1"), "{version}");
    let described: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(path, method, _)| (method, path)).collect();
    for (method, path) in [
        ("POST", "/v1/filter"),
        ("POST", "/v1/decide"),
        ("POST", "/v1/policies/simulate"),
        ("POST", "/v1/claims"),
        ("GET", "/v1/decisions"),
        ("GET", "/v1/decisions/{id}"),
        ("POST", "/access/v1/evaluation"),
        ("POST", "/access/v1/evaluations"),
        ("POST", "/packs/{pack}/access/v1/evaluation"),
        ("POST", "/packs/{pack}/access/v1/evaluations"),
        ("POST", "/access/v1/search/subject"),
        ("POST", "/access/v1/search/resource"),
        ("POST", "/access/v1/search/action"),
        ("POST", "/packs/{pack}/access/v1/search/subject"),
        ("POST", "/packs/{pack}/access/v1/search/resource"),
        ("POST", "/packs/{pack}/access/v1/search/action"),
        ("GET", "/.well-known/authzen-configuration"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/openapi.json"),
    ] {
        assert!(described.contains(&(method.to_owned(), path.to_owned())), "{method} {path}: {described:?}");
    }
}

#[test]
fn every_operation_that_it_describes_is_routed() {
    for (path, method, _) in operations(&document()) {
        let unknown = "dec_01970000000070008000000000000000";
        let path = path.replace("{pack}", "records").replace("{id}", unknown).replace("{name}", unknown);
        let request = single_pack().request(&method, &path);
        let request = if method == "GET" { request } else { request.body("{}") };
        let answer = request.send();
        let routed = answer.status != 405 && (answer.status != 404 || path.contains("dec_"));
        assert!(routed, "{method} {path}: {} {}", answer.status, answer.text());
    }
}

#[test]
fn every_status_that_the_server_gives_is_described() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        let open = ["/healthz", "/readyz"].contains(&path.as_str()) || path.contains(".well-known");
        assert!(open || responses.contains_key("401"), "{method} {path}: {responses:?}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut references = Vec::new();
    collect(&document, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                into.push(reference.clone());
            }
            members.values().for_each(|member| collect(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        _ => {}
    }
}

#[test]
fn bodies_of_our_own_operations_are_strict() {
    let document = document();
    let mut seen = 0;
    for (path, method, operation) in operations(&document) {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") else {
            continue;
        };
        if !path.starts_with("/v1/") {
            continue;
        }
        seen += 1;
        for schema in alternatives(&document, schema) {
            assert_eq!(schema["additionalProperties"], json!(false), "{method} {path}: {schema}");
            assert!(schema["properties"].is_object(), "{method} {path}: {schema}");
        }
    }
    assert!(seen >= 2, "only {seen} operations of our own have a body");
}

/// The object schemas that a schema stands for.
fn alternatives(document: &Value, schema: &Value) -> Vec<Value> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return alternatives(document, target);
    }
    for word in ["oneOf", "anyOf"] {
        if let Some(list) = schema[word].as_array() {
            return list.iter().flat_map(|schema| alternatives(document, schema)).collect();
        }
    }
    vec![schema.clone()]
}

#[test]
fn answers_have_the_members_that_it_describes() {
    let document = document();
    let schema = document
        .pointer("/paths/~1v1~1decide/post/responses/200/content/application~1json/schema")
        .expect("the answer of /v1/decide");
    let described: BTreeSet<String> = alternatives(&document, schema)
        .iter()
        .filter_map(|schema| schema["properties"].as_object())
        .flat_map(|properties| properties.keys().cloned())
        .collect();
    let asked = crate::fixtures::question("alice", "read", "record-1");
    let answer = single_pack().post("/v1/decide", &asked).expect_status(200).json();
    for member in crate::assertions::members(&answer) {
        assert!(described.contains(&member), "`{member}` is not described: {described:?}");
    }
}
