//! Cedar's own integration tests, through `POST /v1/policies/simulate`.
//!
//! A request passes when decision, determining policies and erring policies are Cedar's, and
//! the policies of its test validate or do not as Cedar says. All requests of a test go in
//! one call.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Suite, data, read, read_json};
use crate::fixtures::single_pack;

#[test]
fn cedar_handwritten() {
    let Some(folder) = data() else { return };
    let root = folder.join("cedar");
    let files = test_files(&root.join("tests"));
    let mut suite = Suite::default();
    for file in &files {
        run(&mut suite, file, |name| resolve(&root, file, name));
    }
    suite.report("cedar handwritten", 74);
}

#[test]
fn cedar_corpus_slice() {
    let Some(folder) = data() else { return };
    let unpacked = tempfile::tempdir().unwrap();
    let status = Command::new("tar")
        .arg("-xzf")
        .arg(folder.join("cedar/corpus-slice.tar.gz"))
        .arg("-C")
        .arg(unpacked.path())
        .status()
        .expect("`tar` can be started");
    assert!(status.success(), "the corpus does not unpack");
    let files = test_files(unpacked.path());
    let halves = files.split_at(files.len() / 2);
    let run_all = |files: &[PathBuf]| {
        let mut suite = Suite::default();
        for file in files {
            run(&mut suite, file, |name| resolve(unpacked.path(), file, name));
        }
        suite
    };
    let mut suite = std::thread::scope(|scope| {
        let other = scope.spawn(|| run_all(halves.1));
        let mut suite = run_all(halves.0);
        let other = other.join().expect("the other half ran");
        suite.passed += other.passed;
        suite.total += other.total;
        suite.failures.extend(other.failures);
        suite.evaluated += other.evaluated;
        suite.left_to_cedar += other.left_to_cedar;
        suite
    });
    suite.failures.sort();
    suite.report("cedar corpus slice", 8080);
}

/// The files that are tests, below `folder`.
fn test_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the folder can be read").path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(test_files(&path));
        } else if name.ends_with(".json") && !name.ends_with(".entities.json") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A file that a test names: by its base name beside the test, else by its path in the data.
fn resolve(root: &Path, test: &Path, name: &str) -> PathBuf {
    let beside = test.parent().unwrap().join(Path::new(name).file_name().unwrap());
    if beside.is_file() { beside } else { root.join(name) }
}

fn run(suite: &mut Suite, file: &Path, resolve: impl Fn(&str) -> PathBuf) {
    let test = read_json(file);
    let name = file.file_name().unwrap().to_string_lossy();
    let requests = test["requests"].as_array().expect("a test has requests");
    let validate = requests.iter().map(|request| request["validateRequest"].as_bool().unwrap_or(true));
    let validate: BTreeSet<bool> = validate.collect();
    assert_eq!(validate.len(), 1, "{name}: one call validates all requests or none");
    let path = |field: &str| resolve(test[field].as_str().expect("a file name"));
    let asked = json!({
        "policies": read(&path("policies")),
        "schema": read(&path("schema")),
        "entities": read_json(&path("entities")),
        "requests": requests.iter().map(strip).collect::<Vec<_>>(),
        "on_policy_error": "skip",
        "evaluation": true,
        "validate_requests": validate.contains(&true)
    });
    let answer = single_pack().post("/v1/policies/simulate", &asked);
    let text = answer.text();
    let parsed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let validated = parsed["validation"]["valid"] == test["shouldValidate"];
    let count = parsed["results"].as_array().map_or(0, Vec::len);
    for result in parsed["results"].as_array().into_iter().flatten() {
        // A request that is none was not evaluated.
        suite.evaluated += result["evaluation"]["evaluated"].as_u64().unwrap_or_default();
        suite.left_to_cedar += result["evaluation"]["left_to_cedar"].as_u64().unwrap_or_default();
    }
    for (index, request) in requests.iter().enumerate() {
        let matches = validated && count == requests.len() && agrees(request, &parsed["results"][index]);
        suite.count(answer.status == 200 && matches, || {
            let short: String = text.chars().take(600).collect();
            let wanted =
                (&test["shouldValidate"], &request["decision"], &request["reason"], &request["errors"]);
            format!("{name} {}: wanted {wanted:?}, got {}: {short}", request["description"], answer.status)
        });
    }
}

fn strip(request: &Value) -> Value {
    let mut stripped = json!({});
    for field in ["principal", "action", "resource", "context"] {
        stripped[field] = request[field].clone();
    }
    stripped
}

fn agrees(request: &Value, result: &Value) -> bool {
    let erring: Option<BTreeSet<&str>> = result["errors"]
        .as_array()
        .and_then(|errors| errors.iter().map(|error| error["policy"].as_str()).collect());
    result["decision"] == request["decision"]
        && strings(&result["reasons"]).is_some_and(|reasons| strings(&request["reason"]) == Some(reasons))
        && erring.is_some_and(|erring| strings(&request["errors"]) == Some(erring))
}

fn strings(list: &Value) -> Option<BTreeSet<&str>> {
    list.as_array()?.iter().map(Value::as_str).collect()
}
