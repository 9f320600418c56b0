//! Another tenant's entities are not there, for any verb and in any place.

use serde_json::json;

use crate::directory::{client, delete, get, is_absent, post, put, reads, server, walk};

const RIGHTS: &[&str] = &["manage", "assert_subject"];

#[test]
fn one_tenants_entities_are_absent_for_every_other() {
    let server = server();
    let (red, blue) = (client(&server, "red", RIGHTS), client(&server, "blue", RIGHTS));
    let body = json!({"type": "document", "id": "plan", "parents": [{"type": "folder", "id": "archive"}]});
    let made = post(&red, "/v1/entities", body).expect_status(201);
    let tag = made.header("etag").unwrap().to_owned();
    let path = "/v1/entities/document/plan";
    let nobody = get(&blue, "/v1/entities/document/nobody");
    assert_eq!(get(&blue, path).text().replace("plan", "nobody"), nobody.text());
    is_absent(get(&blue, path));
    is_absent(put(&blue, path, Some(("if-match", &tag)), json!({})));
    is_absent(put(&blue, path, Some(("if-match", "*")), json!({})));
    is_absent(delete(&blue, path));
    assert!(!walk(&blue, "/v1/entities").contains(&"plan".to_owned()));
    assert_eq!(walk(&blue, "/v1/entities?type=document"), ["charter"]);
    assert!(reads(&red, "anybody", "plan") && !reads(&blue, "anybody", "plan"));
    // One of the same name is the other's own, and its end is not the first one's.
    let _ = post(&blue, "/v1/entities", json!({"type": "document", "id": "plan"})).expect_status(201);
    assert!(reads(&red, "anybody", "plan") && !reads(&blue, "anybody", "plan"));
    let _ = delete(&blue, path).expect_status(200);
    assert!(reads(&red, "anybody", "plan"));
    assert_eq!(get(&red, path).expect_status(200).header("etag"), Some(tag.as_str()));
}

#[test]
fn a_circle_through_another_tenant_is_none() {
    let server = server();
    let (red, blue) = (client(&server, "red", RIGHTS), client(&server, "blue", RIGHTS));
    let folder = |id: &str, parent: &str| json!({"type": "folder", "id": id, "parents": [{"type": "folder", "id": parent}]});
    let _ = post(&red, "/v1/entities", folder("a", "b")).expect_status(201);
    // Were this refused, it would tell of the other's folder.
    let _ = post(&blue, "/v1/entities", folder("b", "a")).expect_status(201);
    assert_eq!(post(&red, "/v1/entities", folder("b", "a")).expect_status(409).problem(), "parent_cycle");
}
