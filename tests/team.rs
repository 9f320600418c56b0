//! The pack and the calls of the tests of roles, assignments and elevations.

use std::time::{Duration, SystemTime};

use portcullis_tests::{Answer, Client, Pack, Server};
use serde_json::{Value, json};

use crate::fixtures::create_key_with;

/// People, a group in a group, documents in folders, and a chief who approves.
pub(crate) fn team() -> Pack {
    let entity = |kind: &str, id: &str, parents: &[(&str, &str)]| {
        let parents: Vec<_> = parents.iter().map(|(kind, id)| json!({"type": kind, "id": id})).collect();
        json!({"uid": {"type": kind, "id": id}, "attrs": {}, "parents": parents})
    };
    Pack::new("team")
        .cedar(
            r#"
@id("viewers-read")
permit(principal in role::"viewer", action == Action::"read", resource);

@id("editors-write")
permit(principal in role::"editor", action == Action::"write", resource);

@id("emergency-writes")
permit(principal in role::"emergency", action == Action::"write", resource);

@id("chiefs-approve")
permit(principal in role::"chief", action in [Action::"approve_role", Action::"approve_elevation"], resource);

@id("staff-breaks-the-glass")
permit(principal in group::"staff", action == Action::"break_glass", resource == role::"emergency");
"#,
        )
        .entities(&json!([
            entity("user", "alice", &[]),
            entity("user", "bob", &[]),
            entity("user", "carol", &[("group", "night")]),
            entity("user", "chloe", &[("role", "chief")]),
            entity("user", "clive", &[("role", "chief"), ("group", "night")]),
            entity("service", "robot", &[]),
            entity("device", "door", &[]),
            entity("group", "staff", &[]),
            entity("group", "night", &[("group", "staff")]),
            entity("role", "chief", &[("role", "deputy")]),
            entity("role", "deputy", &[]),
            entity("folder", "f", &[]),
            entity("doc", "in-f", &[("folder", "f")]),
            entity("doc", "alone", &[])
        ]))
}

/// A server with that pack.
pub(crate) fn server() -> Server {
    Server::with(team())
}

/// What a key of this tenant needs to manage roles.
pub(crate) const MANAGER: &[&str] = &["assert_subject", "manage"];

/// A client of a tenant, with every right that it can use here.
pub(crate) fn tenant(server: &Server, name: &str) -> Client {
    let (_, key) = create_key_with(server.data(), MANAGER, &["*"], &["--tenant", name]);
    server.with_key(Some(&key))
}

/// A client with a role of the pack `portcullis` and no right of its own, and its id.
pub(crate) fn with_role(server: &Server, role: &str) -> (String, Client) {
    let (id, key) = create_key_with(server.data(), &[], &["*"], &["--role", role]);
    (id, server.with_key(Some(&key)))
}

/// A call with a JSON body and headers.
pub(crate) fn send(
    client: &Client,
    (method, path): (&str, &str),
    body: &Value,
    headers: &[(&str, &str)],
) -> Answer {
    let request = client.request(method, path).header("content-type", "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(body.to_string().into_bytes()).send()
}

/// A `DELETE`.
pub(crate) fn delete(client: &Client, path: &str) -> Answer {
    client.request("DELETE", path).send()
}

/// Makes a role with these further members.
pub(crate) fn role(client: &Client, id: &str, further: &Value) -> Value {
    let mut body = json!({"id": id});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    client.post("/v1/roles", &body).expect_status(201).json()
}

/// Asks for a role with these further members.
pub(crate) fn assign(client: &Client, who: &str, role: &str, further: &Value) -> Answer {
    let (kind, id) = who.split_once(':').unwrap();
    let mut body = json!({"principal": {"type": kind, "id": id}, "role": role});
    body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    client.post("/v1/role-assignments", &body)
}

/// Gives a role; the assignment's id.
pub(crate) fn give(client: &Client, who: &str, role: &str, further: &Value) -> String {
    let made = assign(client, who, role, further).expect_status(201).json();
    made["id"].as_str().unwrap().to_owned()
}

/// Whether somebody may.
pub(crate) fn may(client: &Client, who: &str, action: &str, doc: &str) -> bool {
    let (kind, id) = who.split_once(':').unwrap();
    let question = json!({
        "subject": {"type": kind, "id": id}, "action": {"name": action}, "resource": {"type": "doc", "id": doc},
    });
    client.post("/v1/decide", &question).expect_status(200).json()["decision"].as_bool().unwrap()
}

/// The instant so long from now, as RFC 3339.
pub(crate) fn in_millis(millis: u64) -> (String, SystemTime) {
    let at = SystemTime::now() + Duration::from_millis(millis);
    (rfc3339(at), at)
}

fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let text = format!("@{}.{:06}", since.as_secs(), since.subsec_micros());
    let output =
        std::process::Command::new("date").args(["-u", "-d", &text, "+%Y-%m-%dT%H:%M:%S.%6NZ"]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// Waits until an instant is past.
pub(crate) fn sleep_until(at: SystemTime) {
    while let Ok(left) = at.duration_since(SystemTime::now()) {
        std::thread::sleep(left + Duration::from_millis(2));
    }
}

/// What another tenant's client must get: exactly what it gets for what is nobody's.
#[track_caller]
pub(crate) fn is_absent(answer: &Answer, of_nobody: &Answer) {
    assert_eq!((answer.status, answer.problem().as_str()), (404, "not_found"), "{}", answer.text());
    assert_eq!(of_nobody.status, 404, "{}", of_nobody.text());
}
