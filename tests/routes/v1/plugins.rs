//! `/v1/plugins`: what is loaded, how much it counts, and who may say so.

use portcullis_tests::{Answer, Client};
use serde_json::{Value, json};

use crate::assertions::{members, names};
use crate::fixtures::{create_key_with, limited_key};
use crate::plugins::placed::{PATIENT, Placed};

mod mode;

const MODE: &str = "/v1/plugins/echo/mode";

fn server() -> Placed {
    let lines = format!(
        "[plugins.echo]\n{PATIENT}modes = [{{tenant = \"red\", mode = \"shadow\"}}, {{route = \"GET /a\", mode = \"off\"}}]\n"
    );
    Placed::with(&["echo"], &lines)
}

/// A client of this tenant that may look at plugins and manage them.
fn tenant(server: &Placed, name: &str) -> Client {
    let rights = ["read_plugins", "manage_plugins", "assert_subject"];
    let (_, key) = create_key_with(server.data(), &rights, &["*"], &["--tenant", name]);
    server.with_key(Some(&key))
}

fn put(client: &Client, body: &Value) -> Answer {
    client.request("PUT", MODE).header("content-type", "application/json").body(body.to_string()).send()
}

fn shown(client: &Client) -> Value {
    client.get("/v1/plugins/echo").expect_status(200).json()
}

#[test]
fn a_plugin_is_shown_with_what_it_is_and_what_it_may() {
    let server = server();
    let list = server.get("/v1/plugins").expect_status(200).json();
    assert_eq!(list["next"], json!(null));
    let echo = &list["items"][0];
    let expected = [
        "name",
        "state",
        "version",
        "description",
        "hook",
        "digest",
        "trust",
        "embedded",
        "loaded_at",
        "mode",
        "modes",
        "capabilities",
        "keys",
        "budget",
        "on_failure",
        "record",
        "breaker",
        "routes",
        "events",
        "statistics",
    ];
    assert_eq!(members(echo), names(expected), "{echo}");
    assert_eq!(
        (&echo["hook"], &echo["mode"], &echo["trust"]),
        (&json!("validate"), &json!("enforce"), &json!({"by": "unsigned"}))
    );
    assert_eq!(
        echo["modes"],
        json!([
            {"mode": "enforce", "source": "configuration"},
            {"route": "GET /a", "mode": "off", "source": "configuration"},
        ]),
        "another tenant's mode is nobody else's to see"
    );
    assert_eq!(echo["budget"]["deadline_milliseconds"], json!(5000));
    assert_eq!(shown(&server)["digest"], echo["digest"]);
    assert_eq!(server.get("/v1/plugins/none").expect_status(404).problem(), "not_found");
    assert_eq!(server.get("/v1/plugins/..%2Fecho").expect_status(404).problem(), "not_found");
}

#[test]
fn it_takes_a_key_and_its_right() {
    let server = server();
    for path in ["/v1/plugins", "/v1/plugins/echo", "/v1/plugins/none"] {
        assert_eq!(server.with_key(None).get(path).expect_status(401).problem(), "caller_key_missing");
        let reading = server.with_key(Some(&limited_key(&server, &["manage_plugins"])));
        assert_eq!(reading.get(path).expect_status(403).problem(), "right_missing");
    }
    let managing = server.with_key(Some(&limited_key(&server, &["read_plugins"])));
    assert_eq!(put(&managing, &json!({"mode": "off"})).expect_status(403).problem(), "right_missing");
    assert_eq!(put(&managing, &json!("nonsense")).expect_status(403).problem(), "right_missing");
    assert_eq!(managing.request("DELETE", MODE).send().expect_status(403).problem(), "right_missing");
    let _ = managing.get("/v1/plugins").expect_status(200);
}

#[test]
fn a_tenant_sees_and_changes_its_own_modes_alone() {
    let server = server();
    let (red, blue) = (tenant(&server, "red"), tenant(&server, "blue"));
    assert_eq!(shown(&red)["mode"], json!("shadow"));
    let own =
        put(&blue, &json!({"mode": "off", "tenant": "blue", "route": "GET /b"})).expect_status(201).json();
    assert_eq!(
        (&own["tenant"], &own["route"], &own["mode"]),
        (&json!("blue"), &json!("GET /b"), &json!("off"))
    );
    let _ = put(&blue, &json!({"mode": "off", "tenant": "blue"})).expect_status(201);
    for (body, code) in [
        (json!({"mode": "off"}), "invalid_request"),
        (json!({"mode": "off", "route": "GET /b"}), "invalid_request"),
        (json!({"mode": "off", "tenant": "red"}), "unknown_reference"),
        (json!({"mode": "off", "tenant": "default"}), "unknown_reference"),
        (json!({"mode": "off", "tenant": ""}), "unknown_reference"),
        (json!({"mode": "off", "tenant": "Blue"}), "unknown_reference"),
    ] {
        assert_eq!(put(&blue, &body).expect_status(400).problem(), code, "{body}");
    }
    for (query, code) in [
        ("", "invalid_request"),
        ("?tenant=red", "unknown_reference"),
        ("?tenant=&route=", "unknown_reference"),
    ] {
        let answer = blue.request("DELETE", &format!("{MODE}{query}")).send().expect_status(400);
        assert_eq!(answer.problem(), code, "{query}");
    }
    assert_eq!(shown(&blue)["mode"], json!("off"));
    assert_eq!((&shown(&red)["mode"], &shown(&server)["mode"]), (&json!("shadow"), &json!("enforce")));
    for other in [&shown(&red), &shown(&server)] {
        assert!(!other.to_string().contains("blue"), "{other}");
    }
    // Not even the operator reaches into another tenant.
    assert_eq!(
        put(&server, &json!({"mode": "off", "tenant": "blue"})).expect_status(400).problem(),
        "unknown_reference"
    );
    // What all tenants' calls came to, and where files are, is the operator's to see.
    assert!(shown(&blue).get("statistics").is_none());
    // All tenants' mode is one that says less than their own.
    let _ = put(&server, &json!({"mode": "shadow"})).expect_status(201);
    assert_eq!((&shown(&blue)["mode"], &shown(&server)["mode"]), (&json!("off"), &json!("shadow")));
}

#[test]
fn a_mode_has_versions_and_is_set_once() {
    let server = server();
    let made = put(&server, &json!({"mode": "off"})).expect_status(201);
    let version = made.header("etag").unwrap().to_owned();
    let revision = made.json()["revision"].clone();
    let same = put(&server, &json!({"mode": "off"})).expect_status(200);
    assert_eq!(same.header("etag"), Some(version.as_str()), "nothing has changed");
    assert_eq!(same.json()["revision"], revision);
    let with = |name: &str, value: &str| {
        let body = json!({"mode": "shadow"}).to_string();
        server
            .request("PUT", MODE)
            .header("content-type", "application/json")
            .header(name, value)
            .body(body)
            .send()
    };
    assert_eq!(with("If-None-Match", "*").expect_status(409).problem(), "already_exists");
    assert_eq!(with("If-Match", "\"999999\"").expect_status(412).problem(), "version_differs");
    let replaced = with("If-Match", &version).expect_status(200);
    assert_ne!(replaced.header("etag"), Some(version.as_str()));
    let listed =
        shown(&server)["modes"].as_array().unwrap().iter().find(|mode| mode["source"] == "store").cloned();
    let stored = listed.unwrap();
    assert_eq!((&stored["mode"], &stored["version"]), (&json!("shadow"), &replaced.json()["version"]));
    let delete = || server.request("DELETE", MODE).send();
    let stale = server.request("DELETE", MODE).header("If-Match", &version).send();
    assert_eq!(stale.expect_status(412).problem(), "version_differs");
    let _ = delete().expect_status(200);
    assert_eq!(delete().expect_status(404).problem(), "not_found");
    assert_eq!(shown(&server)["mode"], json!("enforce"));
}

#[test]
fn what_is_no_mode_is_refused() {
    let server = server();
    for body in [
        json!({}),
        json!({"mode": "loud"}),
        json!({"mode": "off", "routes": []}),
        json!({"mode": "off", "route": "/a"}),
        json!({"mode": "off", "route": ""}),
        json!({"mode": "off", "route": "GET /a/../b"}),
        json!({"mode": "off", "route": "GET /%2e%2e/b"}),
        json!({"mode": "off", "route": format!("GET /{}", "a".repeat(600))}),
        json!({"mode": "off", "tenant": "default\u{0}"}),
        json!({"mode": "off", "tenant": ["default"]}),
    ] {
        let _ = put(&server, &body).expect_status(400);
    }
    let doubled = server
        .request("PUT", MODE)
        .header("content-type", "application/json")
        .body(r#"{"mode": "off", "mode": "enforce"}"#)
        .send();
    assert_eq!(doubled.expect_status(400).problem(), "malformed_json");
    let unknown = server
        .request("PUT", "/v1/plugins/none/mode")
        .header("content-type", "application/json")
        .body(r#"{"mode": "off"}"#)
        .send();
    assert_eq!(unknown.expect_status(404).problem(), "not_found");
    assert_eq!(shown(&server)["mode"], json!("enforce"));
    for number in 0..100 {
        let _ =
            put(&server, &json!({"mode": "off", "tenant": "default", "route": format!("GET /r/{number}")}))
                .expect_status(201);
    }
    let more = json!({"mode": "off", "tenant": "default", "route": "GET /more"});
    let _ = put(&server, &more).expect_status(400);
    let again = json!({"mode": "shadow", "tenant": "default", "route": "GET /r/7"});
    let _ = put(&server, &again).expect_status(200);
}
