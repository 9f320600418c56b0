//! The JSON-Schema-Test-Suite, draft 2020-12, through the running server: each schema is a route's, each instance a body.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use portcullis_tests::{Pack, Server};
use serde_json::{Value, json};

use super::{Suite, data, read_json};

/// Where the suite's remote documents are served in it.
const REMOTES: &str = "http://localhost:1234";

/// Every file below a folder that ends in `.json`, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if entry.extension().is_some_and(|end| end == "json") {
            found.push(entry);
        }
    }
    found
}

fn quoted(path: &Path) -> String {
    json!(path).to_string()
}

/// A server with a route for each group of tests.
fn server(groups: &[(String, Value)], folder: &Path, remotes: &Path, assert_formats: bool) -> Server {
    let mut config = format!("[validate]\nassert_formats = {assert_formats}\n[validate.references]\n");
    for file in files(&remotes.join("draft2020-12")) {
        let path = file.strip_prefix(remotes).unwrap().display();
        writeln!(config, "\"{REMOTES}/{path}\" = {}", quoted(&file)).unwrap();
    }
    for (number, (_, group)) in groups.iter().enumerate() {
        let file = folder.join(format!("{number}.json"));
        std::fs::write(&file, group["schema"].to_string()).unwrap();
        let route = "[[validate.routes]]\nmethod = \"POST\"\npath = ";
        writeln!(config, "{route}\"/{number}\"\nbody_schema = {}", quoted(&file)).unwrap();
    }
    let pack = Pack::new("open").cedar("@id(\"open\") permit(principal, action, resource);");
    Server::builder().pack(pack).config(&config).start()
}

fn groups(files: &[PathBuf]) -> Vec<(String, Value)> {
    let groups = |file: &PathBuf| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        read_json(file).as_array().unwrap().clone().into_iter().map(move |group| (name.clone(), group))
    };
    files.iter().flat_map(groups).collect()
}

fn run(files: &[PathBuf], remotes: &Path, assert_formats: bool) -> Suite {
    let folder = tempfile::tempdir().unwrap();
    let groups = groups(files);
    let server = server(&groups, folder.path(), remotes, assert_formats);
    let mut suite = Suite::default();
    for (number, (file, group)) in groups.iter().enumerate() {
        for test in group["tests"].as_array().unwrap() {
            let asked = json!({
                "subject": {"type": "user", "id": "u"}, "action": {"name": "a"}, "resource": {"type": "r", "id": "r"},
                "http": {"method": "POST", "path": format!("/{number}"), "body": test["data"]}
            });
            let answer = server.post("/v1/decide", &asked).expect_status(200).json();
            let wanted = if test["valid"] == json!(true) { "open" } else { "request_invalid" };
            suite.count(answer["reasons"] == json!([wanted]), || {
                format!("{file}: {}: {}: {answer}", group["description"], test["description"])
            });
        }
    }
    suite
}

#[test]
fn json_schema_required() {
    let Some(folder) = data() else { return };
    let folder = folder.join("json-schema");
    let all = files(&folder.join("tests/draft2020-12"));
    let required: Vec<PathBuf> = all
        .into_iter()
        .filter(|file| !file.components().any(|part| part.as_os_str() == "optional"))
        .collect();
    // There `format` is a remark, as the draft has it without more.
    run(&required, &folder.join("remotes"), false).report("json-schema required", 1_299);
}

#[test]
fn json_schema_formats() {
    let Some(folder) = data() else { return };
    let folder = folder.join("json-schema");
    let formats = files(&folder.join("tests/draft2020-12/optional/format"));
    let known: Vec<PathBuf> =
        formats.into_iter().filter(|file| file.file_stem().is_some_and(|name| name != "unknown")).collect();
    run(&known, &folder.join("remotes"), true).report("json-schema formats", 757);
}
