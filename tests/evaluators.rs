//! Who evaluates: the compiled form, Cedar's own evaluator, or both. The answers are the same, and it is counted who gave them.

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use crate::fixtures::metric;

const POLICIES: &str = r#"
@id("reads")
permit(principal, action == Action::"read", resource) when { context.level > 3 };
@id("dated")
permit(principal, action == Action::"date", resource)
when { context has at && datetime(context.at) < datetime("2030-01-01") };
@id("never")
forbid(principal == User::"mallory", action, resource);
"#;

fn server(evaluator: &str) -> Server {
    Server::builder()
        .pack(Pack::new("evaluated").cedar(POLICIES))
        .config(&format!("[policies]\nevaluator = \"{evaluator}\"\n"))
        .start()
}

/// What the decisions say, without what differs from one to the next.
fn answers(server: &Server) -> Vec<Value> {
    let ask = |subject: &str, action: &str, context: Value| {
        let question = json!({
            "subject": {"type": "User", "id": subject}, "action": {"name": action},
            "resource": {"type": "Doc", "id": "d"}, "context": context
        });
        let answer = server.post("/v1/decide", &question).expect_status(200).json();
        json!([answer["decision"], answer["reasons"]])
    };
    vec![
        ask("alice", "read", json!({"level": 4})),
        ask("alice", "read", json!({"level": 3})),
        ask("alice", "read", json!({})),
        ask("alice", "read", json!({"level": "high"})),
        ask("mallory", "read", json!({"level": 4})),
        ask("alice", "date", json!({"at": "2029-01-01"})),
        ask("alice", "date", json!({"at": "2031-01-01"})),
    ]
}

#[test]
fn all_evaluators_give_the_same_answers() {
    let [compiled, compared, cedar] = ["compiled", "compared", "cedar"].map(server);
    let expected = answers(&compiled);
    assert_eq!(expected[0], json!([true, ["reads"]]));
    assert_eq!(expected[4], json!([false, ["never"]]));
    assert_eq!(answers(&compared), expected);
    assert_eq!(answers(&cedar), expected);
    for server in [&compiled, &compared] {
        assert_eq!(metric(server, "portcullis_evaluation_differences_total"), 0.0);
        // Dates have an order that the compiled form leaves to Cedar.
        assert_eq!(metric(server, "portcullis_policies_left_to_cedar_total"), 2.0);
        assert_eq!(metric(server, "portcullis_policies_not_compiled"), 0.0);
    }
}
