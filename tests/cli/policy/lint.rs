//! `portcullis policy lint`.

use std::path::Path;

use portcullis_tests::{Cli, Pack, Ran, repository};
use serde_json::{Value, json};

fn lint(folder: &Path, flags: &[&str]) -> Ran {
    Cli::new(["policy", "lint"].iter().chain(flags)).path("--policies", folder).run()
}

#[test]
fn the_packs_that_ship_have_no_finding() {
    let ran = lint(&repository().join("policies"), &["--deny", "warnings"]).expect_status(0);
    assert_eq!(ran.output(), "");
}

#[test]
fn findings_have_a_place_a_rule_and_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let cedar = "@id(\"open\")\npermit(principal, action, resource);\n";
    Pack::new("small").cedar(cedar).write(folder.path());
    let ran = lint(folder.path(), &[]).expect_status(0);
    let (first, help) = ran.stdout.split_once('\n').unwrap();
    let wanted =
        "small/policies.cedar:1:1: warning: always-allows: policy `open` permits everything to everybody";
    assert!(first.ends_with(wanted) && help.contains("@lint_allow"), "{}", ran.output());
    let _ = lint(folder.path(), &["--deny", "warnings"]).expect_status(1);

    let ran = lint(folder.path(), &["--json"]).expect_status(0);
    let findings: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(findings[0]["rule"], "always-allows");
    assert_eq!((&findings[0]["line"], &findings[0]["severity"]), (&json!(1), &json!("warning")));

    let allowed = format!("@lint_allow(\"always-allows\")\n{cedar}");
    Pack::new("small").cedar(&allowed).write(folder.path());
    let ran = lint(folder.path(), &["--deny", "warnings", "--json"]).expect_status(0);
    assert_eq!(ran.stdout.trim(), "[]");
    // What a lint allows means nothing to a server.
    let _ = Cli::new(["policy", "check"]).path("--policies", folder.path()).run().expect_status(0);
}

#[test]
fn a_policy_that_can_fail_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let user =
        |id: &str, attrs: Value| json!({"uid": {"type": "user", "id": id}, "attrs": attrs, "parents": []});
    Pack::new("small")
        .cedar("@id(\"low\")\nforbid(principal is user, action, resource)\nwhen { principal.level < 3 };\n")
        .entities(&json!([user("a", json!({"level": 1})), user("b", json!({}))]))
        .write(folder.path());
    let ran = lint(folder.path(), &[]).expect_status(1);
    assert!(
        ran.stdout.contains("policies.cedar:3:8: error: error-forbid: policy `low` reads `principal.level`"),
        "{}",
        ran.output()
    );
}

#[test]
fn packs_that_can_not_be_read_are_told_from_findings() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(lint(folder.path(), &[]).status, 2);
    Pack::new("small").cedar("permit(principal").write(folder.path());
    let ran = lint(folder.path(), &[]).expect_status(2);
    assert!(ran.stderr.contains("policies.cedar:1:"), "{}", ran.output());
    assert_eq!(lint(folder.path(), &["--deny", "errors"]).status, 2);
}
