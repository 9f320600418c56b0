//! Another tenant's groups are not there, for any verb and in any place.

use serde_json::json;

use crate::directory::{client, delete, get, is_absent, post, put, reads, server, walk};

const RIGHTS: &[&str] = &["manage", "assert_subject"];

#[test]
fn one_tenants_groups_are_absent_for_every_other() {
    let server = server();
    let (red, blue) = (client(&server, "red", RIGHTS), client(&server, "blue", RIGHTS));
    let made = post(&red, "/v1/groups", json!({"id": "readers"})).expect_status(201);
    let tag = made.header("etag").unwrap().to_owned();
    let _ = post(&red, "/v1/principals", json!({"id": "ruby", "groups": ["readers"]})).expect_status(201);
    let _ = post(&blue, "/v1/principals", json!({"id": "sky"})).expect_status(201);
    let path = "/v1/groups/readers";
    let nobody = get(&blue, "/v1/groups/nobody");
    assert_eq!(get(&blue, path).text().replace("readers", "nobody"), nobody.text());
    is_absent(get(&blue, path));
    is_absent(put(&blue, path, Some(("if-match", &tag)), json!({})));
    is_absent(put(&blue, path, Some(("if-match", "*")), json!({})));
    is_absent(delete(&blue, path));
    is_absent(get(&blue, "/v1/groups/readers/members"));
    is_absent(post(&blue, "/v1/groups/readers/members", json!({"type": "user", "id": "sky"})));
    is_absent(delete(&blue, "/v1/groups/readers/members/user/ruby"));
    assert_eq!(walk(&blue, "/v1/groups"), ["wheel"]);
    let inside = post(&blue, "/v1/groups", json!({"id": "spies", "groups": ["readers"]})).expect_status(400);
    assert_eq!(inside.problem(), "unknown_reference");
    is_absent(get(&blue, "/v1/entities/group/readers"));
    assert!(!reads(&blue, "ruby", "charter") && !reads(&blue, "sky", "charter"));
    assert!(reads(&red, "ruby", "charter"));
    // A group of the same name is the other's own.
    let _ = post(&blue, "/v1/groups", json!({"id": "readers"})).expect_status(201);
    assert!(walk(&blue, "/v1/groups/readers/members").is_empty());
    let _ = delete(&blue, path).expect_status(200);
    assert!(reads(&red, "ruby", "charter"));
    assert_eq!(get(&red, path).expect_status(200).header("etag"), Some(tag.as_str()));
}
