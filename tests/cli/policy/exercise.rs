//! `portcullis policy test --coverage`, `--watch`, and packs that require their cases.

use std::time::Duration;

use portcullis_tests::files::{replace, write};
use portcullis_tests::{Cli, Pack, Server};
use serde_json::json;

const POLICIES: &str = "@id(\"own\")
permit(principal, action == Action::\"read\", resource)
when { resource has owner && resource.owner == \"alice\" }
unless { context has locked };

@id(\"never\")
permit(principal == user::\"zoe\", action, resource);
";

fn case(name: &str, owner: &str, decision: &str) -> String {
    format!(
        "  - name: {name}
    request:
      subject: {{type: user, id: alice}}
      action: {{name: read}}
      resource: {{type: record, id: r, properties: {{owner: {owner}}}}}
    expect: {{decision: {decision}}}
"
    )
}

fn pack(cases: &str) -> Pack {
    Pack::new("small").cedar(POLICIES).file("cases/a.yaml", &format!("cases:\n{cases}"))
}

#[test]
fn policies_and_clauses_that_no_case_exercises_are_named_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    pack(&(case("hers", "alice", "allow") + &case("his", "bob", "deny"))).write(folder.path());
    let run = |flags: &[&str]| {
        Cli::new(["policy", "test"].iter().chain(flags)).path("--policies", folder.path()).run()
    };
    let ran = run(&["--coverage"]).expect_status(0);
    let lines: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("not exercised")).collect();
    // `resource.owner == "alice"` went both ways.
    for (place, what) in [
        ("policies.cedar:3:", "`resource has owner` fails in no case"),
        ("policies.cedar:4:", "`unless { context has locked }` fails in no case"),
        ("policies.cedar:6:", "policy `never` holds in no case"),
    ] {
        assert!(
            lines.iter().any(|line| line.contains(place) && line.contains(what)),
            "{what}: {}",
            ran.stdout
        );
    }
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
    assert!(ran.stdout.contains("coverage: 62 % (5 of 8 "), "{}", ran.stdout);
    let _ = run(&["--min-coverage", "62"]).expect_status(0);
    let ran = run(&["--min-coverage", "63"]).expect_status(1);
    assert!(ran.stderr.contains("63 % are asked for"), "{}", ran.output());
    let _ = run(&["--min-coverage", "101"]).expect_status(2);
}

#[test]
fn a_watched_pack_is_tried_again_at_each_change() {
    let folder = tempfile::tempdir().unwrap();
    pack(&case("hers", "alice", "allow")).write(folder.path());
    let mut process = Cli::new(["policy", "test", "--watch"]).path("--policies", folder.path()).start();
    let until = |wanted: &str| {
        while let Some(line) = process.line(Duration::from_secs(20)) {
            if line.contains(wanted) {
                return;
            }
        }
        panic!("it did not print `{wanted}`");
    };
    until("1 passed, 0 failed");
    until("waiting for a change");
    replace(&folder.path().join("small/cases/a.yaml"), format!("cases:\n{}", case("hers", "alice", "deny")));
    until("FAIL  hers");
    until("0 passed, 1 failed");
    process.kill();
}

#[test]
fn a_pack_that_requires_its_cases_is_not_loaded_while_one_fails() {
    let folder = tempfile::tempdir().unwrap();
    pack(&case("hers", "alice", "deny")).manifest("require_cases = true").write(folder.path());
    let check = || Cli::new(["policy", "check"]).path("--policies", folder.path()).run();
    let ran = check().expect_status(1);
    assert!(
        ran.stderr.contains("cases/a.yaml:2:") && ran.stderr.contains("the case `hers` does not hold"),
        "{}",
        ran.output()
    );
    let ran = Cli::new(["policy", "test"]).path("--policies", folder.path()).run().expect_status(1);
    assert!(ran.stdout.contains("FAIL  hers"), "{}", ran.output());
    write(&folder.path().join("small/cases/a.yaml"), "cases: []\n");
    assert!(check().expect_status(1).stderr.contains("requires its cases"));
}

#[test]
fn the_last_good_pack_is_served_while_a_required_case_fails() {
    let good = pack(&case("hers", "alice", "allow")).manifest("require_cases = true");
    let server = Server::with(good.clone());
    let allowed = || {
        let body = json!({"subject": {"type": "user", "id": "zoe"}, "action": {"name": "read"},
            "resource": {"type": "record", "id": "r"}, "pack": "small"});
        server.post("/v1/decide", &body).expect_status(200).json()["decision"] == true
    };
    assert!(allowed());
    // A change that no longer permits zoe, and breaks a case besides.
    replace(
        &server.policies().join("small/policies.cedar"),
        "@id(\"none\") forbid(principal, action, resource);",
    );
    let complained = portcullis_tests::eventually(Duration::from_secs(10), || {
        server.stderr().contains("the case `hers` does not hold").then_some(())
    });
    assert!(complained.is_some(), "{}", server.stderr());
    assert!(allowed(), "the last good one serves on");
    // The case itself is put right: no policy changed since.
    replace(
        &server.policies().join("small/cases/a.yaml"),
        format!("cases:\n{}", case("hers", "alice", "deny")),
    );
    let live = portcullis_tests::eventually(Duration::from_secs(10), || (!allowed()).then_some(()));
    assert!(live.is_some(), "{}", server.stderr());
}
