//! What a caller may do: its rights and its packs, on every route.

use portcullis_tests::Server;
use serde_json::json;

use crate::fixtures::{create_key, limited_key, properties, question, records};

#[test]
fn each_right_opens_its_own_door_only() {
    let server = Server::with(records());
    let asked = question("alice", "read", "record-1");
    let simulation = json!({"policies": "", "entities": [], "requests": []});
    let claim = json!({"key": "k", "ttl_seconds": 600});
    let doors = |key: &str| {
        let client = server.with_key(Some(key));
        [
            client.post("/v1/decide", &asked).status,
            client.post("/v1/policies/simulate", &simulation).status,
            client.post("/v1/claims", &claim).status,
            client.get("/v1/decisions").status,
            client.get("/metrics").status,
            client.get("/readyz?details=true").status,
        ]
    };
    let rights = ["assert_subject", "simulate", "claim", "read_decisions", "read_metrics", "read_readiness"];
    for (index, right) in rights.iter().enumerate() {
        let mut expected = [403; 6];
        expected[index] = 200;
        assert_eq!(doors(&limited_key(&server, &[right])), expected, "{right}");
    }
    assert_eq!(doors(&limited_key(&server, &["manage"])), [403, 200, 403, 200, 200, 200]);
    assert_eq!(doors(&limited_key(&server, &[])), [403; 6]);
}

#[test]
fn a_caller_without_the_right_to_assert_gets_no_authzen_answer_either() {
    let server = Server::with(records());
    let key = limited_key(&server, &["manage"]);
    let answer =
        server.with_key(Some(&key)).post("/access/v1/evaluation", &question("alice", "read", "record-1"));
    assert_eq!(answer.status, 403, "{}", answer.text());
}

#[test]
fn a_caller_is_bound_to_its_packs() {
    let server = Server::builder().pack(records()).pack(properties("fill")).start();
    let (_, key) = create_key(server.data(), &["assert_subject"], &["fill"]);
    let client = server.with_key(Some(&key));
    let mut asked = question("alice", "read", "record-1");
    asked["pack"] = json!("records");
    let answer = client.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!((&answer["decision"], &answer["reasons"]), (&json!(false), &json!(["no_pack"])));
    let path = "/packs/records/access/v1/evaluation";
    asked.as_object_mut().unwrap().remove("pack");
    assert_eq!(client.post(path, &asked).expect_status(200).json(), json!({"decision": false}));
    assert_eq!(server.post(path, &asked).expect_status(200).json(), json!({"decision": true}));
}
