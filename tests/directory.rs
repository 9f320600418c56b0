//! A pack with principals, groups, roles and documents, for the tests of what administrators change; and short words for
//! their calls.

use std::sync::OnceLock;

use portcullis_tests::{Answer, Client, Pack, Server};
use serde_json::{Value, json};

use crate::fixtures::create_key_with;

const TYPES: &str = r#"[types]
user = "Corp::User"
service = "Corp::Service"
device = "Corp::Device"
group = "Corp::Group"
role = "Corp::Role"
document = "Corp::Document"
folder = "Corp::Folder"
Action = "Corp::Action""#;

const SCHEMA: &str = r#"namespace Corp {
  entity Role in [Role];
  entity Group in [Group, Role] = { purpose?: String };
  entity User in [Group, Role] = {
    level?: Long, manager?: User, address?: ipaddr, quota?: decimal, names?: Set<String>,
    home?: { street: String, number?: Long },
  };
  entity Service in [Group, Role] = { level?: Long };
  entity Device in [Group, Role];
  entity Folder in [Folder];
  entity Document in [Folder, Group] = { owner?: User, secret?: Bool } tags String;
  action read, edit appliesTo { principal: [User, Service, Device], resource: [Document] };
}"#;

const POLICIES: &str = r#"
@id("readers-read")
permit(principal in Corp::Group::"readers", action == Corp::Action::"read", resource);

@id("high-level-reads")
permit(principal, action == Corp::Action::"read", resource)
when { principal has level && principal.level >= 5 };

@id("owner-edits")
permit(principal, action == Corp::Action::"edit", resource)
when { resource has owner && resource.owner == principal };

@id("editors-edit")
permit(principal in Corp::Role::"editor", action == Corp::Action::"edit", resource);

@id("archive-is-for-all")
permit(principal, action == Corp::Action::"read", resource in Corp::Folder::"archive");

@id("suspended")
forbid(principal in Corp::Group::"suspended", action, resource);
"#;

/// The pack under some name. Its files have the user `resident`, in the group `wheel`, and the document `charter`.
pub(crate) fn pack(name: &str) -> Pack {
    let named = |type_name: &str, id: &str| json!({"type": type_name, "id": id});
    Pack::new(name).manifest(TYPES).file("schema.cedarschema", SCHEMA).cedar(POLICIES).entities(&json!([
        {"uid": named("Corp::User", "resident"), "attrs": {"level": 9}, "parents": [named("Corp::Group", "wheel")]},
        {"uid": named("Corp::Group", "wheel"), "attrs": {"purpose": "files"}, "parents": []},
        {"uid": named("Corp::Role", "editor"), "attrs": {}, "parents": []},
        {"uid": named("Corp::Document", "charter"), "attrs": {}, "parents": []}
    ]))
}

/// A server of its own with the packs `directory` and `annex`, which are alike.
pub(crate) fn server() -> Server {
    Server::builder().pack(pack("directory")).pack(pack("annex")).start()
}

/// One such server for all tests that use ids of their own.
pub(crate) fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(server)
}

/// A client of this tenant with these rights on every pack.
pub(crate) fn client(server: &Server, tenant: &str, rights: &[&str]) -> Client {
    let (_, key) = create_key_with(server.data(), rights, &["*"], &["--tenant", tenant]);
    server.with_key(Some(&key))
}

/// The path, about the pack `directory`.
pub(crate) fn at(path: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}pack=directory")
}

pub(crate) fn post(client: &Client, path: &str, body: Value) -> Answer {
    client.post(&at(path), &body)
}

pub(crate) fn get(client: &Client, path: &str) -> Answer {
    client.get(&at(path))
}

pub(crate) fn put(client: &Client, path: &str, condition: Option<(&str, &str)>, body: Value) -> Answer {
    let request = client.request("PUT", &at(path)).header("content-type", "application/json");
    let request = condition.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    request.body(body.to_string()).send()
}

pub(crate) fn delete(client: &Client, path: &str) -> Answer {
    client.request("DELETE", &at(path)).send()
}

/// A POST without a body.
pub(crate) fn order(client: &Client, path: &str) -> Answer {
    client.request("POST", &at(path)).send()
}

/// A decision of a pack: whether it allows, and why.
pub(crate) fn decide_in(
    client: &Client,
    pack: &str,
    (kind, id): (&str, &str),
    action: &str,
    document: &str,
) -> (bool, Value) {
    let asked = json!({
        "subject": {"type": kind, "id": id}, "action": {"name": action},
        "resource": {"type": "document", "id": document}, "pack": pack,
    });
    let answer = client.post("/v1/decide", &asked).expect_status(200).json();
    (answer["decision"].as_bool().unwrap(), answer["reasons"].clone())
}

/// Whether the pack `directory` lets a user read a document.
pub(crate) fn reads(client: &Client, user: &str, document: &str) -> bool {
    decide_in(client, "directory", ("user", user), "read", document).0
}

/// Percent-encodes all but letters and digits (RFC 3986 §2.1).
pub(crate) fn encoded(id: &str) -> String {
    id.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The ids of a list, page by page to its end.
pub(crate) fn walk(client: &Client, path: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut next: Option<String> = None;
    loop {
        let mark = if path.contains('?') { '&' } else { '?' };
        let cursor = next.as_ref().map(|next| format!("{mark}cursor={next}")).unwrap_or_default();
        let page = get(client, &format!("{path}{cursor}")).expect_status(200).json();
        ids.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(cursor) => next = Some(cursor.to_owned()),
            None => return ids,
        }
    }
}

/// What is absent for a caller looks as what nobody has.
#[track_caller]
pub(crate) fn is_absent(answer: Answer) {
    let answer = answer.expect_status(404);
    assert_eq!(answer.problem(), "not_found", "{}", answer.text());
}
