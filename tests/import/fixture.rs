//! A pack with every kind of value, and what brings entities into it.

use std::path::{Path, PathBuf};

use portcullis_tests::{Cli, Pack, Ran, Server};
use serde_json::{Value, json};

const SCHEMA: &str = r#"
entity Role in [Role];
entity Group in [Group];
entity User in [Group, Role] = {
  level?: Long,
  email?: String,
  manager?: User,
  address?: ipaddr,
  hired?: datetime,
  shift?: duration,
  rate?: decimal,
  remote?: Bool,
  skills?: Set<String>,
  peers?: Set<User>,
} tags String;
entity Folder in [Folder];
entity Document in [Folder] = { owner?: User };
action read appliesTo { principal: [User], resource: [Document] };
"#;

const POLICIES: &str = r#"
@id("staff-reads")
permit(principal in Group::"staff", action == Action::"read", resource in Folder::"shared");
@id("owner-reads")
permit(principal, action == Action::"read", resource) when { resource has owner && resource.owner == principal };
@id("editor-reads")
permit(principal in Role::"editor", action == Action::"read", resource);
"#;

/// The pack `office`; a group and a user are in its own files.
pub(crate) fn office() -> Pack {
    Pack::new("office")
        .manifest(
            "[types]\nuser = \"User\"\ngroup = \"Group\"\nrole = \"Role\"\ndocument = \"Document\"\nfolder = \"Folder\"",
        )
        .file("schema.cedarschema", SCHEMA)
        .cedar(POLICIES)
        .entities(&json!([
            {"uid": {"type": "Group", "id": "founders"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]},
            {"uid": {"type": "User", "id": "ada"}, "attrs": {"level": 9}, "parents": [{"type": "Group", "id": "founders"}]}
        ]))
}

/// A server with that pack.
pub(crate) fn serve_office() -> Server {
    Server::with(office())
}

/// Writes a file beside the server's policies and gives its path.
pub(crate) fn file(server: &Server, name: &str, text: &str) -> PathBuf {
    let path = server.policies().with_file_name(name);
    portcullis_tests::files::write(&path, text);
    path
}

/// Lines of JSON.
pub(crate) fn lines(entities: &[Value]) -> String {
    entities.iter().map(|entity| format!("{entity}\n")).collect()
}

/// `portcullis entity VERB FURTHER`, beside the server.
pub(crate) fn entity(server: &Server, verb: &str, further: &[&str]) -> Cli {
    let arguments = ["entity", verb].into_iter().chain(further.iter().copied());
    Cli::new(arguments).path("--data", server.data()).path("--policies", &server.policies())
}

/// Imports a file.
pub(crate) fn import(server: &Server, path: &Path, further: &[&str]) -> Ran {
    let path = path.to_str().expect("a path that is text");
    entity(server, "import", &[&[path], further].concat()).run()
}

/// Imports these lines, which must succeed; gives what was printed.
pub(crate) fn import_lines(server: &Server, entities: &[Value]) -> String {
    let path = file(server, "lines.ndjson", &lines(entities));
    import(server, &path, &[]).expect_status(0).stdout.trim().to_owned()
}

/// All entities of the store, as the export writes them.
pub(crate) fn exported(server: &Server, further: &[&str]) -> Vec<Value> {
    let ran = entity(server, "export", further).run().expect_status(0);
    ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// Whether the server lets this user read this document, once it has all that was changed before.
pub(crate) fn may_read(server: &Server, user: &str, document: &str, revision: u64) -> bool {
    let question = json!({
        "subject": {"type": "user", "id": user}, "action": {"name": "read"},
        "resource": {"type": "document", "id": document}, "at_least_revision": revision,
    });
    server.post("/v1/decide", &question).expect_status(200).json()["decision"] == true
}

/// The number behind `word` in what an import printed.
pub(crate) fn number(said: &str, word: &str) -> u64 {
    let rest = said.split_once(&format!("{word} ")).unwrap_or_else(|| panic!("no `{word}`: {said}")).1;
    rest.split([',', '\n']).next().unwrap().trim().parse().unwrap_or_else(|_| panic!("no number: {said}"))
}

/// A user, a group and a document in a folder.
pub(crate) fn few() -> Vec<Value> {
    vec![
        json!({"type": "group", "id": "staff"}),
        json!({"type": "user", "id": "bob", "parents": [{"type": "group", "id": "staff"}]}),
        json!({"type": "folder", "id": "shared"}),
        json!({"uid": {"type": "Document", "id": "plan"}, "attrs": {},
            "parents": [{"type": "Folder", "id": "shared"}]}),
    ]
}

/// Two roles that exclude each other: bob has one, the group `payers` the other. Gives the line that would join them.
pub(crate) fn exclusive_roles(server: &Server) -> Value {
    let _ = import_lines(server, &few());
    let _ = import_lines(server, &[json!({"type": "group", "id": "payers"})]);
    for role in [json!({"id": "payer"}), json!({"id": "approver", "exclusive_with": ["payer"]})] {
        let _ = server.post("/v1/roles", &role).expect_status(201);
    }
    for (kind, id, role) in [("user", "bob", "approver"), ("group", "payers", "payer")] {
        let assignment = json!({"principal": {"type": kind, "id": id}, "role": role});
        let _ = server.post("/v1/role-assignments", &assignment).expect_status(201);
    }
    json!({"type": "user", "id": "bob", "parents": [{"type": "group", "id": "payers"}]})
}
