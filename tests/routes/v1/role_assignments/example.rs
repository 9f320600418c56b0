//! The pack `rbac` that ships, as its README and the how-to have it.

use portcullis_tests::Server;
use serde_json::{Value, json};

use crate::fixtures::create_key_with;
use crate::team::in_millis;

fn user(id: &str) -> Value {
    json!({"type": "user", "id": id})
}

/// Whether the user of the pack may, by which policies.
fn reasons(client: &portcullis_tests::Client, who: &str, action: &str, payment: &str) -> (bool, Value) {
    let question = json!({
        "pack": "rbac", "subject": user(who), "action": {"name": action},
        "resource": {"type": "payment", "id": payment},
    });
    let answer = client.post("/v1/decide", &question).expect_status(200).json();
    (answer["decision"].as_bool().unwrap(), answer["reasons"].clone())
}

#[test]
fn the_example_does_what_it_says() {
    let server = Server::builder().repository_policies().start();
    let further = ["--role", "administrator", "--default-pack", "rbac"];
    let (_, key) = create_key_with(server.data(), &["assert_subject"], &["rbac"], &further);
    let client = server.with_key(Some(&key));
    let post = |path: &str, body: &Value| client.post(path, body);
    let payer = json!({"id": "payer", "inherits": ["clerk"], "requires_reason": true, "max_duration_seconds": 28_800});
    let _ = post("/v1/roles", &payer).expect_status(201);
    let checker = json!({"id": "checker", "inherits": ["approver"], "exclusive_with": ["payer"]});
    let _ = post("/v1/roles", &checker).expect_status(201);
    let give = |body: &Value| post("/v1/role-assignments", body);
    // Static separation of duties.
    let _ = give(&json!({"principal": user("nora"), "role": "checker"})).expect_status(201);
    let both =
        json!({"principal": user("nora"), "role": "payer", "reason": "x", "ends_at": in_millis(60_000).0});
    assert_eq!(give(&both).expect_status(409).problem(), "separation_of_duties");
    // A role for one branch, and dynamic separation of duties beside it.
    let north = json!({"kind": "resource_tree", "resource": {"type": "branch", "id": "acme-north"}});
    let later = in_millis(3_600_000).0;
    let stand_in = json!({"principal": user("emma"), "role": "stand-in", "ends_at": later, "scope": north});
    let _ = give(&stand_in).expect_status(201);
    assert_eq!(reasons(&client, "emma", "approve", "pay-north"), (true, json!(["stand-in-approves"])));
    assert!(!reasons(&client, "emma", "approve", "pay-south").0);
    let connor = json!({"principal": user("connor"), "role": "stand-in", "scope": north});
    let _ = give(&connor).expect_status(201);
    assert_eq!(
        reasons(&client, "connor", "approve", "pay-connor"),
        (false, json!(["maker-does-not-approve"]))
    );
    // Delegation.
    let mut passed =
        json!({"principal": user("clark"), "role": "stand-in", "delegated_by": user("emma"), "scope": north});
    assert_eq!(give(&passed).expect_status(403).problem(), "wider_than_delegated");
    passed["ends_at"] = json!(in_millis(1_800_000).0);
    let _ = give(&passed).expect_status(201);
    assert!(reasons(&client, "clark", "approve", "pay-connor").0);
    // Elevation, approved by a steward.
    let wish = json!({"principal": user("april"), "role": "controller", "reason": "month end", "duration_seconds": 60});
    let asked = post("/v1/elevations", &wish).expect_status(201).json();
    let path = format!("/v1/elevations/{}/approve", asked["id"].as_str().unwrap());
    assert_eq!(
        post(&path, &json!({"approver": user("tara")})).expect_status(403).problem(),
        "approver_not_permitted"
    );
    assert!(!reasons(&client, "april", "cancel", "pay-north").0);
    let _ = post(&path, &json!({"approver": user("stella")})).expect_status(200);
    assert!(reasons(&client, "april", "cancel", "pay-north").0);
    // The glass.
    let mut wish = json!({
        "principal": user("emma"), "role": "emergency", "reason": "out of control", "duration_seconds": 60,
        "break_glass": true,
    });
    let _ = post("/v1/elevations", &wish).expect_status(201);
    assert_eq!(
        reasons(&client, "emma", "cancel", "pay-south"),
        (true, json!(["emergency-cancels-in-tenant"]))
    );
    wish["role"] = json!("tenant-admin");
    assert_eq!(post("/v1/elevations", &wish).expect_status(403).problem(), "approver_not_permitted");
}
