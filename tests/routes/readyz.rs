//! `GET /readyz`: bare it is open, its details need a key.

use serde_json::json;

use crate::assertions::holds_string;
use crate::fixtures::{limited_key, native, single_pack};

#[test]
fn it_says_ready_without_a_key_and_nothing_else() {
    let answer = single_pack().with_key(None).get("/readyz").expect_status(200);
    assert_eq!(answer.json(), json!({"status": "ready"}));
}

#[test]
fn its_details_need_a_key_with_the_right() {
    let path = "/readyz?details=true";
    let answer = single_pack().with_key(None).get(path).expect_status(401);
    assert_eq!(answer.problem(), "caller_key_missing");
    let key = limited_key(single_pack(), &["assert_subject"]);
    let answer = single_pack().with_key(Some(&key)).get(path).expect_status(403);
    assert_eq!(answer.problem(), "right_missing");
    assert!(answer.text().contains("read_readiness"), "{}", answer.text());
    let key = limited_key(single_pack(), &["read_readiness"]);
    single_pack().with_key(Some(&key)).get(path).expect_status(200).json();
}

#[test]
fn its_details_show_the_revision_and_the_packs() {
    let details = native().get("/readyz?details=true").expect_status(200).json();
    assert_eq!(details["status"], json!("ready"));
    let asked = crate::fixtures::question("alice", "read", "record-1");
    let revision = native().post("/v1/decide", &asked).json()["revision"].as_str().unwrap().to_owned();
    assert!(holds_string(&details, &revision), "{details}");
    let text = details.to_string();
    for pack in ["cases", "skips", "records"] {
        assert!(text.contains(&format!("\"{pack}\"")), "{pack}: {details}");
    }
}

#[test]
fn bare_it_shows_no_detail_by_another_spelling() {
    for query in ["details=false", "details=", "details", "detail=true"] {
        let answer = single_pack().with_key(None).get(&format!("/readyz?{query}"));
        assert!([200, 400, 401].contains(&answer.status), "{query}: {}", answer.status);
        assert!(!answer.text().contains("records"), "{query}: {}", answer.text());
    }
}
