//! The packs and the shared servers of the tests that only ask.

use std::path::Path;
use std::sync::OnceLock;

use portcullis_tests::{Cli, Pack, Server};
use serde_json::{Value, json};

/// The certification scenario of AuthZEN 1.0: two users, two records.
pub(crate) fn records() -> Pack {
    Pack::new("records")
        .cedar(
            r#"
@id("alice-and-bob-read")
permit(principal, action == Action::"read", resource == record::"record-1")
when { principal == user::"alice" || principal == user::"bob" };

@id("alice-writes-active")
permit(principal == user::"alice", action == Action::"write", resource)
when { resource has status && resource.status == "active" };

@id("admin-writes-archived")
permit(principal, action == Action::"write", resource)
when {
  principal has role && principal.role == "admin" &&
  resource has status && resource.status == "archived"
};

@id("alice-deletes-softly")
permit(principal == user::"alice", action == Action::"delete", resource)
when { context has action && context.action has soft && context.action.soft };
"#,
        )
        .entities(&json!([
            {"uid": {"type": "user", "id": "alice"}, "attrs": {}, "parents": []},
            {"uid": {"type": "user", "id": "bob"}, "attrs": {"role": "admin"}, "parents": []},
            {"uid": {"type": "record", "id": "record-1"}, "attrs": {"status": "active"}, "parents": []},
            {"uid": {"type": "record", "id": "record-2"}, "attrs": {"status": "archived"}, "parents": []}
        ]))
}

/// A pack whose policies judge stored and sent attributes, under one rule for properties.
pub(crate) fn properties(rule: &str) -> Pack {
    Pack::new(rule)
        .manifest(&format!("[properties]\nsubject = \"{rule}\"\nresource = \"{rule}\""))
        .cedar(LEVELS)
        .entities(&levels())
}

/// The same policies where the manifest says nothing about properties.
pub(crate) fn properties_unsaid() -> Pack {
    Pack::new("unsaid").cedar(LEVELS).entities(&levels())
}

const LEVELS: &str = r#"
@id("level")
permit(principal, action == Action::"enter", resource)
when { principal has level && principal.level >= 5 };

@id("status")
permit(principal, action == Action::"open", resource)
when { resource has status && resource.status == "open" };
"#;

fn levels() -> Value {
    json!([
        {"uid": {"type": "user", "id": "stored-low"}, "attrs": {"level": 1}, "parents": []},
        {"uid": {"type": "user", "id": "stored-high"}, "attrs": {"level": 9}, "parents": []},
        {"uid": {"type": "user", "id": "bare"}, "attrs": {}, "parents": []},
        {"uid": {"type": "door", "id": "stored-closed"}, "attrs": {"status": "closed"}, "parents": []},
        {"uid": {"type": "door", "id": "bare"}, "attrs": {}, "parents": []}
    ])
}

/// A pack whose Cedar types have other names than the requests'.
pub(crate) fn mapped() -> Pack {
    Pack::new("mapped")
        .manifest("[types]\nuser = \"App::User\"\nrecord = \"App::Record\"\nAction = \"App::Action\"")
        .cedar(
            r#"
@id("mapped-read")
permit(principal is App::User, action == App::Action::"read", resource is App::Record);
"#,
        )
}

/// One server with the AuthZEN packs, asked for them by path.
pub(crate) fn authzen() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::builder()
            .pack(records())
            .pack(properties("fill"))
            .pack(properties("override"))
            .pack(properties("ignore"))
            .pack(properties_unsaid())
            .pack(mapped())
            .start()
    })
}

/// One server with nothing but the certification scenario, which its callers need not name.
pub(crate) fn single_pack() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::with(records()))
}

/// One server with the packs of the native call.
pub(crate) fn native() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let policies = include_str!("routes/v1/decide/cases.cedar");
        Server::builder()
            .pack(Pack::new("cases").cedar(policies))
            .pack(Pack::new("skips").manifest("on_policy_error = \"skip\"").cedar(policies))
            .pack(records())
            .start()
    })
}

/// An AuthZEN question.
pub(crate) fn question(subject: &str, action: &str, resource: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": subject},
        "action": {"name": action},
        "resource": {"type": "record", "id": resource}
    })
}

/// Makes a caller key with these rights on every pack, beside the running server.
pub(crate) fn limited_key(server: &Server, rights: &[&str]) -> String {
    create_key(server.data(), rights, &["*"]).1
}

/// Makes a caller key in this data folder and gives its id and the key.
pub(crate) fn create_key(data: &Path, rights: &[&str], packs: &[&str]) -> (String, String) {
    create_key_with(data, rights, packs, &[])
}

/// The same with further arguments.
pub(crate) fn create_key_with(
    data: &Path,
    rights: &[&str],
    packs: &[&str],
    further: &[&str],
) -> (String, String) {
    let mut arguments = vec!["key", "create", "--name", "limited"];
    arguments.extend(rights.iter().flat_map(|right| ["--right", right]));
    arguments.extend(packs.iter().flat_map(|pack| ["--pack", pack]));
    arguments.extend(further);
    let made = Cli::new(arguments).path("--data", data).run().expect_status(0);
    let of =
        |word: &str| made.value(word).unwrap_or_else(|| panic!("no `{word}`: {}", made.stdout)).to_owned();
    let (id, key) = (of("id "), of("key "));
    assert!(id.starts_with("clr_") && key.starts_with("pcc_"), "{}", made.stdout);
    (id, key)
}

/// The records of a server's decision log, the log's own among them, oldest first.
pub(crate) fn log_records(data: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for segment in crate::audit::segments(data) {
        let text = std::fs::read_to_string(&segment).unwrap();
        found.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON")));
    }
    found
}

/// The sum of a metric's samples whose labels include those of `sample`; 0 when there is none.
pub(crate) fn metric(server: &Server, sample: &str) -> f64 {
    let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
    let wanted: Vec<&str> =
        labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).collect();
    let text = server.get("/metrics").expect_status(200).text();
    let of = |line: &str| -> Option<f64> {
        let (sample, value) = line.rsplit_once(' ')?;
        let (found, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let fits = found == name && wanted.iter().all(|label| labels.contains(label));
        fits.then(|| value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    };
    text.lines().filter_map(of).sum()
}

/// This moment, as RFC 3339 in UTC.
pub(crate) fn now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.%3NZ"]).output();
    String::from_utf8(output.expect("`date` can be started").stdout).unwrap().trim().to_owned()
}
