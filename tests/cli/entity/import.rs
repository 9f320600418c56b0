//! `portcullis entity import`: what it brings, a running server decides by.

use std::time::Duration;

use portcullis_tests::{eventually, execute_sql};
use serde_json::json;

use crate::assertions::holds_string;
use crate::fixtures::log_records;
use crate::import::fixture::{
    entity, exported, few, file, import, import_lines, lines, may_read, number, serve_office,
};

#[test]
fn a_running_server_decides_by_what_was_imported() {
    let server = serve_office();
    assert!(!may_read(&server, "bob", "plan", 0));
    let said = import_lines(&server, &few());
    assert!(said.starts_with("created 4, updated 0, unchanged 0, revision "), "{said}");
    let revision = number(&said, "revision");
    assert!(may_read(&server, "bob", "plan", revision));
    // The files' own group is in the store's group, and its member in both.
    assert!(may_read(&server, "ada", "plan", revision));
    assert!(!may_read(&server, "eve", "plan", revision));
    let moved =
        json!({"type": "document", "id": "plan", "attributes": {"owner": {"type": "User", "id": "eve"}}});
    let said = import_lines(&server, &[moved]);
    assert!(said.starts_with("created 0, updated 1, unchanged 0"), "{said}");
    let revision = number(&said, "revision");
    assert!(!may_read(&server, "bob", "plan", revision), "it has left the folder");
    assert!(may_read(&server, "eve", "plan", revision));
}

#[test]
fn the_same_import_twice_changes_nothing() {
    let server = serve_office();
    let first = import_lines(&server, &few());
    let second = import_lines(&server, &few());
    let revision = number(&first, "revision");
    assert_eq!(second, format!("created 0, updated 0, unchanged 4, revision {revision}"));
    // In another order and form, with what is there by default.
    let mut turned = few();
    turned.reverse();
    turned[1] = json!({"uid": {"type": "Folder", "id": "shared"}, "attrs": {}, "parents": [], "tags": {}});
    assert_eq!(import_lines(&server, &turned), second);
}

#[test]
fn an_import_is_in_the_decision_log_once() {
    let server = serve_office();
    let _ = import_lines(&server, &few());
    let _ = import_lines(&server, &few());
    let of_import = || -> Vec<_> {
        log_records(server.data())
            .into_iter()
            .filter(|record| holds_string(record, "entities_imported"))
            .collect()
    };
    let found = eventually(Duration::from_secs(5), || Some(of_import()).filter(|found| !found.is_empty()));
    let (found, _) = found.expect("a record of the import");
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(holds_string(&found[0], "office"), "{found:?}");
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let server = serve_office();
    let revision = number(&import_lines(&server, &few()[..2]), "revision");
    let mut all = few();
    all[1] = json!({"type": "user", "id": "bob", "attributes": {"level": 1}});
    let path = file(&server, "dry.ndjson", &lines(&all));
    let said = import(&server, &path, &["--dry-run"]).expect_status(0).stdout;
    assert_eq!(said.trim(), format!("it would be: created 2, updated 1, unchanged 1, revision {revision}"));
    assert_eq!(exported(&server, &[]).len(), 2);
    assert!(import(&server, &path, &[]).stdout.starts_with("created 2, updated 1, unchanged 1"));
}

#[test]
fn entities_come_from_standard_input_as_well() {
    let server = serve_office();
    let text = serde_json::to_string_pretty(&json!([
        {"uid": {"type": "Group", "id": "staff"}, "attrs": {}, "parents": []},
        {"uid": {"type": "User", "id": "bob"}, "attrs": {}, "parents": [{"type": "Group", "id": "staff"}]}
    ]));
    let text = text.unwrap();
    let import =
        |further: &[&str]| entity(&server, "import", &[&["-"], further].concat()).run_with(text.as_bytes());
    let refused = import(&[]).expect_status(1);
    assert!(refused.stderr.contains("--format"), "{}", refused.stderr);
    let ran = import(&["--format", "cedar-json"]).expect_status(0);
    assert!(ran.stdout.starts_with("created 2,"), "{}", ran.stdout);
    assert_eq!(exported(&server, &["--type", "user"]).len(), 1);
}

#[test]
fn an_import_is_its_tenants_alone() {
    let server = serve_office();
    let path = file(&server, "other.ndjson", &lines(&few()));
    let said = import(&server, &path, &["--tenant", "other"]).expect_status(0).stdout;
    assert!(!may_read(&server, "bob", "plan", number(&said, "revision")));
    assert_eq!(exported(&server, &[]).len(), 0);
    assert_eq!(exported(&server, &["--tenant", "other"]).len(), 4);
    // The same for the other tenant is another import.
    assert!(import_lines(&server, &few()).starts_with("created 4,"));
    assert_ne!(import(&server, &path, &["--tenant", "../x"]).status, 0);
}

#[test]
fn what_an_import_does_not_say_stays_as_it_is() {
    let server = serve_office();
    let _ = import_lines(&server, &few());
    // Locked as the management API does it.
    execute_sql(
        server.data(),
        "UPDATE entities SET status = 'disabled', version = (SELECT CAST(value AS BIGINT) + 1 FROM meta WHERE name = \
         'sequence') WHERE id = 'bob'; UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'sequence'",
    );
    let changed = json!({"type": "user", "id": "bob", "attributes": {"level": 2},
        "parents": [{"type": "group", "id": "staff"}]});
    let revision = number(&import_lines(&server, &[changed]), "revision");
    assert!(!may_read(&server, "bob", "plan", revision), "an import must not enable anybody");
    assert!(may_read(&server, "ada", "plan", revision));
}
