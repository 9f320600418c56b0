//! Bad input to `/v1/elevations`.

use serde_json::json;

use super::{ask, of, with_editor};
use crate::team::role;

#[test]
fn a_request_that_does_not_fit_is_refused() {
    let server = with_editor();
    role(&server, "short", &json!({"max_duration_seconds": 30}));
    for wrong in [
        json!({"reason": ""}),
        json!({"reason": "x".repeat(1_001)}),
        json!({"reason": null}),
        json!({"reason": "a\u{0}"}),
        json!({"duration_seconds": 0}),
        json!({"duration_seconds": -1}),
        json!({"duration_seconds": 604_801}),
        json!({"duration_seconds": i64::MAX}),
        json!({"duration_seconds": 1.5}),
        json!({"role": "short"}),
        json!({"principal": {"type": "group", "id": "staff"}}),
        json!({"principal": {"type": "caller", "id": "clr_x"}}),
        json!({"requested_by": {"type": "caller", "id": "clr_x"}}),
        json!({"requested_by": {"type": "group", "id": "staff"}}),
        json!({"scope": {"kind": "resource"}}),
        json!({"ends_at": "2030-01-01T00:00:00Z"}),
        json!({"break_glass": "yes"}),
    ] {
        let answer = ask(&server, "user:alice", "editor", &wrong).expect_status(400);
        assert_eq!(answer.problem(), "invalid_request", "{wrong}: {}", answer.text());
    }
    for (who, id) in [("user:nobody", "editor"), ("user:alice", "nothing"), ("service:alice", "editor")] {
        assert_eq!(ask(&server, who, id, &json!({})).expect_status(400).problem(), "unknown_reference");
    }
    let _ = ask(&server, "user:alice", "short", &json!({"duration_seconds": 30})).expect_status(201);
    // The management pack has no elevations.
    let body = json!({"principal": {"type": "caller", "id": "clr_x"}, "role": "owner", "reason": "x", "duration_seconds": 5});
    assert_eq!(
        server.post("/v1/elevations?pack=portcullis", &body).expect_status(404).problem(),
        "not_found"
    );
}

#[test]
fn an_id_that_is_nobodys_is_not_found_whatever_it_is() {
    let server = with_editor();
    for id in ["elv_x", "..%2f", "%00", "%FF", "elv_01970000000070008000000000000000"] {
        assert_eq!(server.get(&of(id)).expect_status(404).problem(), "not_found", "{id}");
        for verb in ["approve", "deny", "end"] {
            let answer = server.post(&format!("{}/{verb}", of(id)), &json!({})).expect_status(404);
            assert_eq!(answer.problem(), "not_found", "{id}");
        }
    }
}
