//! `/v1/revisions`: what was served is kept, can be gone back to, and stays until the files are followed again.

use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Answer, Cli, Client, Pack, Server, eventually, execute_sql};
use serde_json::{Value, json};

use crate::fixtures::{create_key_with, limited_key, log_records, question};

const LIMIT: Duration = Duration::from_secs(10);

fn policy(id: &str) -> String {
    format!("@id(\"{id}\")\npermit(principal, action, resource);\n")
}

fn server() -> Server {
    Server::with(Pack::new("edited").cedar(&policy("first")))
}

fn edit(server: &Server, id: &str) {
    write(&server.policies().join("edited/policies.cedar"), policy(id));
}

fn reasons(server: &Client) -> Value {
    server.post("/v1/decide", &question("alice", "read", "r")).expect_status(200).json()["reasons"].clone()
}

fn list(server: &Client) -> Value {
    server.get("/v1/revisions").expect_status(200).json()
}

/// Edits, and waits until that is served and kept; gives the revision's id.
#[track_caller]
fn serve(server: &Server, id: &str) -> String {
    edit(server, id);
    let kept = eventually(LIMIT, || {
        // Asked in this order: what is listed is then at least as new as what decided.
        let is_live = reasons(server) == json!([id]);
        let list = list(server);
        let is_kept = is_live && list["items"][0]["active"] == json!(true);
        is_kept.then(|| list["active"].as_str().unwrap().to_owned())
    });
    kept.unwrap_or_else(|| panic!("`{id}` never came: {}\n{}", list(server), server.stderr())).0
}

fn active(server: &Client) -> String {
    list(server)["active"].as_str().unwrap().to_owned()
}

fn activate(server: &Client, id: &str) -> Answer {
    server.request("POST", &format!("/v1/revisions/{id}/activate")).send()
}

fn follow(server: &Client) -> Answer {
    server.request("POST", "/v1/revisions/follow").send()
}

#[test]
fn what_is_served_is_listed_with_what_it_was() {
    let server = server();
    let first = active(&server);
    let second = serve(&server, "second");
    let page = list(&server);
    let items = page["items"].as_array().unwrap();
    let ids: Vec<_> = items.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [&second, &first]);
    assert_eq!((&page["pinned"], &page["next"]), (&json!(false), &json!(null)));
    assert_eq!(items[0]["packs"], json!([{"name": "edited", "version": "1.0.0", "policies": 1}]));
    assert_eq!((&items[0]["origin"], &items[1]["active"]), (&json!("files"), &json!(false)));
    let answered = server.post("/v1/decide", &question("alice", "read", "r")).json();
    let hash = answered["revision"].as_str().unwrap().split_once('.').unwrap().1;
    assert_eq!(items[0]["hash"], json!(hash));
    let one = server.get(&format!("/v1/revisions/{first}")).expect_status(200).json();
    let names: Vec<_> = one["files"].as_array().unwrap().iter().map(|file| file["name"].clone()).collect();
    assert_eq!(names, ["pack.toml", "policies.cedar"], "{one}");
    let paged = server.get("/v1/revisions?limit=1").expect_status(200).json();
    let cursor = paged["next"].as_str().unwrap();
    let rest = server.get(&format!("/v1/revisions?limit=1&cursor={cursor}")).expect_status(200).json();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&json!(first), &json!(null)));
    let forged = server.get("/v1/revisions?limit=1&cursor=bm90aGluZw").expect_status(400);
    assert_eq!(forged.problem(), "invalid_cursor");
}

#[test]
fn a_revision_is_gone_back_to_and_stays_until_the_files_are_followed() {
    let mut server = server();
    let first = active(&server);
    let second = serve(&server, "second");
    let answer = activate(&server, &first).expect_status(200).json();
    assert_eq!((&answer["pinned"], &answer["id"]), (&json!(true), &json!(first)));
    assert_eq!(reasons(&server), json!(["first"]), "the very next decision is by it");
    edit(&server, "third");
    let warned = eventually(LIMIT, || {
        let page = list(&server);
        (!page["files_not_served"].is_null() && page["files_not_served"] != json!(second)).then_some(page)
    });
    let (page, _) = warned.expect("changed files are told of");
    assert_eq!((&page["pinned"], &page["pinned_revision"]), (&json!(true), &json!(first)));
    assert_eq!(reasons(&server), json!(["first"]));
    server.restart();
    assert_eq!(reasons(&server), json!(["first"]), "a restart does not unpin");
    assert_eq!(follow(&server).expect_status(200).json()["pinned"], json!(false));
    assert_eq!(reasons(&server), json!(["third"]));
    let page = list(&server);
    assert_eq!((&page["pinned"], &page["files_not_served"]), (&json!(false), &json!(null)));
    for kind in ["revision_activated", "revision_unpinned"] {
        let is_logged = || log_records(server.data()).iter().any(|record| record.to_string().contains(kind));
        assert!(eventually(LIMIT, || is_logged().then_some(())).is_some(), "{kind} is in the log");
    }
}

#[test]
fn the_same_call_twice_is_one_change() {
    let server = server();
    let first = active(&server);
    serve(&server, "second");
    let path = format!("/v1/revisions/{first}/activate");
    let call = || server.request("POST", &path).header("idempotency-key", "once").send().expect_status(200);
    let (one, again) = (call(), call());
    assert_eq!(one.text(), again.text());
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let other = server.request("POST", "/v1/revisions/follow").header("idempotency-key", "once").send();
    assert_ne!(other.status, 200);
}

#[test]
fn what_is_no_revision_is_not_found() {
    let server = server();
    let (digits, capitals) = ("0".repeat(64), active(&server).to_uppercase());
    for id in
        [format!("rev_{digits}"), capitals, "rev_".into(), "x".into(), "..%2Frev_".into(), "a%00b".into()]
    {
        let read = server.get(&format!("/v1/revisions/{id}")).expect_status(404);
        assert_eq!(read.problem(), "not_found", "{id}");
        assert_eq!(activate(&server, &id).expect_status(404).problem(), "not_found", "{id}");
    }
    let id = active(&server);
    let path = format!("/v1/revisions/{id}/activate");
    assert_eq!(server.post(&path, &json!({"force": true})).expect_status(400).problem(), "invalid_request");
    let long = json!({"reason": "x".repeat(1_001)});
    assert_eq!(server.post(&path, &long).expect_status(400).problem(), "invalid_request");
    let _ = server.get("/v1/revisions/follow").expect_status(405);
    assert_eq!(list(&server)["pinned"], json!(false));
}

#[test]
fn it_takes_the_right_and_the_servers_own_tenant() {
    let server = server();
    let first = active(&server);
    let path = format!("/v1/revisions/{first}");
    let refused = |client: &Client, reading: bool| {
        if reading {
            for path in ["/v1/revisions", path.as_str(), "/v1/revisions/none"] {
                assert_eq!(client.get(path).expect_status(403).problem(), "right_missing", "{path}");
            }
        }
        assert_eq!(activate(client, &first).expect_status(403).problem(), "right_missing");
        assert_eq!(activate(client, "none").expect_status(403).problem(), "right_missing");
        assert_eq!(follow(client).expect_status(403).problem(), "right_missing");
    };
    assert_eq!(server.with_key(None).get("/v1/revisions").expect_status(401).problem(), "caller_key_missing");
    refused(&server.with_key(Some(&limited_key(&server, &["manage_plugins", "read_plugins"]))), true);
    let reading = server.with_key(Some(&limited_key(&server, &["read_revisions"])));
    let _ = reading.get("/v1/revisions").expect_status(200);
    refused(&reading, false);
    // The administrator of another tenant has no say over the policies of the whole server.
    let rights = ["manage", "read_revisions", "manage_revisions"];
    let (_, key) = create_key_with(server.data(), &rights, &["*"], &["--tenant", "blue", "--role", "owner"]);
    refused(&server.with_key(Some(&key)), true);
}

#[test]
fn a_management_pack_of_ones_own_does_not_open_it_to_other_tenants() {
    let own = tempfile::tempdir().unwrap();
    Pack::new("portcullis").cedar("permit(principal, action, resource);\n").write(own.path());
    let config = format!("[policies]\nmanagement = {:?}\n", own.path().join("portcullis"));
    let server = Server::builder().pack(Pack::new("edited").cedar(&policy("first"))).config(&config).start();
    let (_, key) =
        create_key_with(server.data(), &["manage", "manage_revisions"], &["*"], &["--tenant", "blue"]);
    let blue = server.with_key(Some(&key));
    assert_eq!(follow(&blue).expect_status(403).problem(), "right_missing");
    // The pack let it: that it was refused all the same is in the log.
    let is_logged = |record: &Value| {
        let text = record.to_string();
        text.contains("right_missing:manage_revisions") && text.contains("blue")
    };
    let logged = eventually(LIMIT, || log_records(server.data()).iter().any(is_logged).then_some(()));
    assert!(logged.is_some(), "{:?}", log_records(server.data()));
}

#[test]
fn a_revision_whose_stored_files_were_altered_is_refused() {
    let mut server = server();
    let first = active(&server);
    let second = serve(&server, "second");
    execute_sql(
        server.data(),
        "UPDATE revision_texts SET content = 'permit(principal, action, resource);' WHERE content LIKE '%first%'",
    );
    assert_eq!(activate(&server, &first).expect_status(409).problem(), "revision_altered");
    assert_eq!(reasons(&server), json!(["second"]));
    assert_eq!(list(&server)["pinned"], json!(false));
    // Altered once it is pinned, no server starts with it, until somebody says that the files count.
    let _ = activate(&server, &second).expect_status(200);
    server.stop();
    execute_sql(server.data(), "UPDATE revision_texts SET content = 'x' WHERE content LIKE '%second%'");
    let policies = server.policies();
    let start = || {
        Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
            .path("--data", server.data())
            .path("--policies", &policies)
    };
    let said = start().run_refused().expect_status(1).stderr;
    assert!(said.contains("altered") && said.contains("policy follow"), "{said}");
    let _ = Cli::new(["policy", "follow"]).path("--data", server.data()).run().expect_status(0);
    server.restart();
    assert_eq!(reasons(&server), json!(["second"]));
}

#[test]
fn one_command_goes_back_and_the_running_server_follows() {
    let server = server();
    let first = active(&server);
    let second = serve(&server, "second");
    let run = |arguments: &[&str]| Cli::new(arguments).path("--data", server.data()).run();
    let shown = run(&["policy", "revisions"]).expect_status(0).output();
    let lines: Vec<_> = shown.lines().skip(1).map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(lines, [&second, &first], "{shown}");
    let live = |id: &str| {
        let seen = eventually(LIMIT, || (reasons(&server) == json!([id])).then_some(()));
        assert!(seen.is_some(), "`{id}` never came: {}", list(&server));
    };
    let _ = run(&["policy", "rollback"]).expect_status(0);
    live("first");
    // The beginning of an id is enough.
    let _ = run(&["policy", "rollback", &second[..16]]).expect_status(0);
    live("second");
    let _ = run(&["policy", "follow"]).expect_status(0);
    let seen = eventually(LIMIT, || (list(&server)["pinned"] == json!(false)).then_some(()));
    assert!(seen.is_some());
    for (arguments, wrong) in [
        (["policy", "rollback", "rev_"].as_slice(), "more than one"),
        (&["policy", "rollback", "rev_none"], "no revision"),
    ] {
        let said = run(arguments).expect_status(1).stderr;
        assert!(said.contains(wrong), "{said}");
    }
}

#[test]
fn no_more_revisions_stay_than_are_configured() {
    let config = "[policies]\nrevisions_kept = 2\n";
    let server = Server::builder().pack(Pack::new("edited").cedar(&policy("first"))).config(config).start();
    let first = active(&server);
    let (second, third) = (serve(&server, "second"), serve(&server, "third"));
    let ids: Vec<_> =
        list(&server)["items"].as_array().unwrap().iter().map(|item| item["id"].clone()).collect();
    assert_eq!(ids, [json!(third), json!(second)]);
    assert_eq!(activate(&server, &first).expect_status(404).problem(), "not_found");
}
