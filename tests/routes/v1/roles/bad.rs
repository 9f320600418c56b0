//! Bad input to `/v1/roles`.

use portcullis_tests::{Pack, Server};
use serde_json::json;

use crate::fixtures::{create_key, limited_key, records};
use crate::team::{MANAGER, delete, role, send, server, team};

/// An id as a part of a path.
fn segment(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn any_id_that_the_application_chose_is_kept_as_it_is() {
    let server = server();
    for id in
        ["a/b", "..", ".", "100%", "%2e%2e", "a b+c", "naïve-Ω-役", "\"'`;--", "chief/x", "?x=1#y", "ras_1"]
    {
        role(&server, id, &json!({}));
        let path = format!("/v1/roles/{}", segment(id));
        assert_eq!(server.get(&path).expect_status(200).json()["id"], json!(id));
        let _ = send(&server, ("PUT", &path), &json!({"requires_reason": true}), &[("if-match", "*")])
            .expect_status(200);
        let _ = delete(server.client(), &path).expect_status(200);
        let _ = server.get(&path).expect_status(404);
    }
    let longest = "x".repeat(512);
    role(&server, &longest, &json!({}));
}

#[test]
fn an_id_that_is_none_is_refused() {
    let server = server();
    let long = "x".repeat(513);
    let huge = "x".repeat(10_240);
    for id in ["", "a\u{0}b", "a\nb", "\u{7f}", "\u{85}", long.as_str(), huge.as_str()] {
        let answer = server.post("/v1/roles", &json!({"id": id})).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{id:?}");
        if id.is_empty() {
            continue;
        }
        let path = format!("/v1/roles/{}", segment(id));
        let answer = send(&server, ("PUT", &path), &json!({}), &[("if-none-match", "*")]);
        assert!([400, 404, 431].contains(&answer.status), "{id:?}: {}", answer.text());
        assert!([400, 404, 431].contains(&server.get(&path).status), "{id:?}");
        assert!([400, 404, 431].contains(&delete(server.client(), &path).status), "{id:?}");
    }
    let _ = server.get("/v1/roles/%FF%FE").expect_status(404);
}

#[test]
fn a_body_that_does_not_fit_is_refused_and_says_where() {
    let server = server();
    for (body, code, word) in [
        (json!({}), "invalid_request", "id"),
        (json!({"id": 7}), "invalid_request", "id"),
        (json!({"id": "x", "parents": []}), "invalid_request", "parents"),
        (json!({"id": "x", "inherits": "viewer"}), "invalid_request", "inherits"),
        (json!({"id": "x", "inherits": ["nobody"]}), "unknown_reference", "inherits"),
        (json!({"id": "x", "inherits": ["alice"]}), "unknown_reference", "inherits"),
        (json!({"id": "x", "exclusive_with": ["nobody"]}), "unknown_reference", "exclusive_with"),
        (json!({"id": "x", "exclusive_with": ["x"]}), "invalid_request", "exclusive_with"),
        (json!({"id": "x", "max_duration_seconds": 0}), "invalid_request", "max_duration_seconds"),
        (json!({"id": "x", "max_duration_seconds": -5}), "invalid_request", "max_duration_seconds"),
        (json!({"id": "x", "max_duration_seconds": i64::MAX}), "invalid_request", "max_duration_seconds"),
        (json!({"id": "x", "max_duration_seconds": 1.5}), "invalid_request", "max_duration_seconds"),
        (json!({"id": "x", "attributes": []}), "invalid_request", "attributes"),
        (json!({"id": "x", "attributes": {"a": null}}), "attributes_invalid", "null"),
        (json!({"id": "x", "attributes": {"a": 1.5}}), "attributes_invalid", ""),
    ] {
        let answer = server.post("/v1/roles", &body).expect_status(400);
        assert_eq!(answer.problem(), code, "{body}: {}", answer.text());
        assert!(answer.text().contains(word), "{body}: {}", answer.text());
    }
    for text in [r#"{"id": "x", "id": "y"}"#, r#"{"id": "x", "attributes": {"a": 1, "a": 2}}"#, "{", ""] {
        assert_eq!(
            server.post_bytes("/v1/roles", text).expect_status(400).problem(),
            "malformed_json",
            "{text}"
        );
    }
    let plain = server.request("POST", "/v1/roles").body("{}").send();
    assert_eq!(plain.expect_status(415).problem(), "unsupported_media_type");
    for query in ["pack=team&pack=team", "tenant=red", "limit=0", "limit=201", "limit=x", "cursor=AAAA"] {
        assert_eq!(server.get(&format!("/v1/roles?{query}")).status, 400, "{query}");
    }
    assert!(server.get("/v1/roles/x").status == 404, "something of it was made");
}

#[test]
fn a_role_that_does_not_fit_the_packs_schema_is_refused() {
    let pack = Pack::new("strict")
        .file("schema.cedarschema", "entity role in [role] = { level: Long }; entity user in [role]; entity doc;\naction read appliesTo { principal: [user], resource: [doc] };")
        .cedar("permit(principal in role::\"viewer\", action == Action::\"read\", resource);");
    let server = Server::with(pack);
    for attributes in [json!({}), json!({"level": "high"}), json!({"level": 1, "more": 2})] {
        let answer =
            server.post("/v1/roles", &json!({"id": "viewer", "attributes": attributes})).expect_status(400);
        assert_eq!(answer.problem(), "attributes_invalid", "{}", answer.text());
    }
    role(&server, "viewer", &json!({"attributes": {"level": 1}}));
}

#[test]
fn a_pack_without_a_type_for_roles_says_what_to_write() {
    let pack = Pack::new("bare")
        .file(
            "schema.cedarschema",
            "entity User; entity Doc;\naction read appliesTo { principal: [User], resource: [Doc] };",
        )
        .cedar("permit(principal, action == Action::\"read\", resource);");
    let server = Server::with(pack);
    for answer in [
        server.get("/v1/roles"),
        server.get("/v1/roles/x"),
        server.post("/v1/roles", &json!({"id": "x"})),
        server.post("/v1/role-assignments", &json!({"principal": {"type": "user", "id": "a"}, "role": "x"})),
    ] {
        let answer = answer.expect_status(400);
        assert_eq!(answer.problem(), "unknown_type");
        assert!(answer.text().contains("pack.toml") && answer.text().contains("bare"), "{}", answer.text());
    }
}

#[test]
fn a_pack_that_is_not_the_callers_is_no_pack() {
    let server = Server::builder().pack(team()).pack(records()).start();
    let (_, key) = create_key(server.data(), MANAGER, &["records"]);
    let bound = server.with_key(Some(&key));
    let of_nobody = bound.get("/v1/roles?pack=nobodys").expect_status(404);
    let answer = bound.get("/v1/roles?pack=team").expect_status(404);
    assert_eq!((answer.problem(), &answer.body), ("not_found".into(), &of_nobody.body));
    // Two packs and no default: there is none to choose.
    assert_eq!(server.get("/v1/roles").expect_status(404).problem(), "not_found");
    let _ = server.get("/v1/roles?pack=team").expect_status(200);
    let made = server.post("/v1/roles?pack=team", &json!({"id": "viewer"})).expect_status(201).json();
    assert_eq!(made["pack"], json!("team"));
    let _ = bound.get("/v1/roles/viewer?pack=records").expect_status(404);
}

#[test]
fn without_the_right_nothing_is_told_but_that() {
    let server = server();
    let reader = server.with_key(Some(&limited_key(&server, &["read_roles"])));
    let _ = reader.get("/v1/roles").expect_status(200);
    let nobody = server.with_key(Some(&limited_key(&server, &[])));
    for client in [&reader, &nobody] {
        for answer in [
            client.post("/v1/roles", &json!({"id": "x"})),
            client.post_bytes("/v1/roles", "{"),
            send(client, ("PUT", "/v1/roles/x"), &json!({}), &[]),
            delete(client, "/v1/roles/x"),
        ] {
            assert_eq!(answer.expect_status(403).problem(), "right_missing");
        }
    }
    assert_eq!(nobody.get("/v1/roles").expect_status(403).problem(), "right_missing");
    assert_eq!(server.with_key(None).get("/v1/roles").expect_status(401).problem(), "caller_key_missing");
}
