//! `portcullis decide -f FILE`: one decision without a server.

use portcullis_tests::files::write;
use portcullis_tests::{Cli, Ran, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixtures::{properties, question, records};
use crate::readme::blocks;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    records().write(&folder.path().join("policies"));
    folder
}

fn decide(folder: &TempDir, request: &str, further: &[&str]) -> Ran {
    let file = folder.path().join("request.json");
    write(&file, request);
    let mut arguments = vec!["decide"];
    arguments.extend(further);
    Cli::new(arguments)
        .path("-f", &file)
        .path("--policies", &folder.path().join("policies"))
        .current_dir(folder.path())
        .run()
}

fn answer(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}{}", ran.stdout, ran.stderr))
}

#[test]
fn it_gives_the_answer_of_the_server() {
    let folder = folder();
    let allowed = answer(&decide(&folder, &question("alice", "read", "record-1").to_string(), &[]));
    assert_eq!((&allowed["decision"], &allowed["outcome"]), (&json!(true), &json!("allow")));
    assert_eq!(allowed["reasons"], json!(["alice-and-bob-read"]));
    let denied = answer(&decide(&folder, &question("mallory", "read", "record-1").to_string(), &[]));
    assert_eq!((&denied["decision"], &denied["reasons"]), (&json!(false), &json!(["no_permit"])));
}

#[test]
fn it_judges_by_the_pack_that_is_named() {
    let folder = folder();
    properties("fill").write(&folder.path().join("policies"));
    let asked = question("alice", "read", "record-1").to_string();
    assert_eq!(answer(&decide(&folder, &asked, &["--pack", "records"]))["decision"], json!(true));
    assert_eq!(answer(&decide(&folder, &asked, &["--pack", "fill"]))["decision"], json!(false));
    let unnamed = decide(&folder, &asked, &[]);
    assert_ne!(unnamed.status, 0, "nothing is guessed: {}", unnamed.output());
    assert!(unnamed.stderr.contains("--pack") && unnamed.stdout.is_empty(), "{}", unnamed.output());
}

#[test]
fn a_request_that_the_server_would_refuse_is_refused() {
    let folder = folder();
    let mut verified = question("alice", "read", "record-1");
    verified["context"] = json!({"verified": {}});
    for request in ["", "{", "[]", "{\"subject\": 1}", &verified.to_string()] {
        let ran = decide(&folder, request, &[]);
        assert_ne!(ran.status, 0, "{request}: {}", ran.output());
        assert!(!ran.stdout.contains("\"decision\":true"), "{}", ran.stdout);
        assert!(!ran.stderr.is_empty() && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
}

#[test]
fn policies_that_do_not_load_are_an_error() {
    let folder = folder();
    write(&folder.path().join("policies/records/policies.cedar"), "permit(");
    let ran = decide(&folder, &question("alice", "read", "record-1").to_string(), &[]);
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(ran.stderr.contains("policies.cedar"), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let folder = folder();
    let ran = Cli::new(["decide", "-f", "absent.json"])
        .path("--policies", &folder.path().join("policies"))
        .current_dir(folder.path())
        .run();
    assert_ne!(ran.status, 0);
    assert!(ran.stderr.contains("absent.json"), "{}", ran.stderr);
}

#[test]
fn it_explains_a_denial_for_people_to_read() {
    let folder = folder();
    let ran = decide(
        &folder,
        &question("mallory", "read", "record-1").to_string(),
        &["--explain", "--exit-status"],
    );
    assert_eq!(ran.status, 1, "{}", ran.output());
    for part in ["deny: no_permit\n", "permits that come nearest:\n", "    FAIL ", "    ok   "] {
        assert!(ran.stdout.contains(part), "no `{part}`: {}", ran.stdout);
    }
    let mut asked = question("alice", "read", "record-1");
    asked["explain"] = json!(true);
    let explanation = &answer(&decide(&folder, &asked.to_string(), &[]))["explanation"];
    assert_eq!(explanation["policies"][0]["id"], json!("alice-and-bob-read"), "{explanation}");
}

#[test]
fn the_how_to_shows_what_is_printed() {
    let path = repository().join("docs/how-to/explain-a-denial.md");
    let shown = blocks(&std::fs::read_to_string(path).unwrap());
    let block = |language: &str| &shown.iter().find(|(of, _)| of == language).expect("a block").1;
    let (_, request) = block("sh").split_once("<<'END'\n").unwrap();
    let (request, _) = request.split_once("END\n").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("request.json");
    write(&file, request);
    let decide = |further: &[&str]| {
        let arguments = ["decide"].into_iter().chain(further.iter().copied());
        Cli::new(arguments).path("-f", &file).path("--policies", &repository().join("policies")).run()
    };
    assert_eq!(decide(&["--explain"]).stdout.trim_end(), block("text").trim_end());
    let mut asked: Value = serde_json::from_str(request).unwrap();
    asked["explain"] = json!(true);
    write(&file, asked.to_string());
    let changes: Value = serde_json::from_str(block("json")).unwrap();
    assert_eq!(answer(&decide(&[]))["explanation"]["changes"], changes);
}
