//! `portcullis policy check` and `policy test`: a pack is judged without a server.

use std::path::Path;

use portcullis_tests::files::{copy, files, write};
use portcullis_tests::{Cli, Pack, Ran, repository};

mod diff;
mod exercise;
mod fmt;
mod lint;

const CASES: &str = "cases:
  - name: alice reads
    request:
      subject: {type: user, id: alice}
      action: {name: read}
      resource: {type: record, id: r}
    expect: {decision: allow, reasons: [alice-reads], obligations: []}
  - name: nobody writes
    request:
      subject: {type: user, id: alice}
      action: {name: write}
      resource: {type: record, id: r}
    expect: {decision: deny, reasons: [no_permit]}
";

fn pack() -> Pack {
    Pack::new("small")
        .cedar("@id(\"alice-reads\")\npermit(principal == user::\"alice\", action == Action::\"read\", resource);\n")
        .file("cases/small.yaml", CASES)
}

fn run(command: &str, policies: &Path) -> Ran {
    Cli::new(["policy", command]).path("--policies", policies).run()
}

#[test]
fn a_sound_pack_checks() {
    let folder = tempfile::tempdir().unwrap();
    pack().write(folder.path());
    let _ = run("check", folder.path()).expect_status(0);
    let _ = Cli::new(["policy", "check"]).path("--", folder.path()).run().expect_status(0);
}

#[test]
fn a_broken_file_is_named_with_line_column_and_source() {
    let folder = tempfile::tempdir().unwrap();
    pack()
        .file(
            "broken.cedar",
            "// a comment\npermit(principal, action, resource)\nwhen { principal.level >> 3 };\n",
        )
        .write(folder.path());
    let ran = run("check", folder.path());
    assert_ne!(ran.status, 0, "{}", ran.output());
    let output = ran.output();
    assert!(output.contains("broken.cedar:3:"), "file and line: {output}");
    assert!(output.contains("principal.level >> 3"), "the source line: {output}");
}

#[test]
fn what_does_not_fit_the_schema_is_named() {
    let folder = tempfile::tempdir().unwrap();
    Pack::new("typed")
        .cedar("@id(\"x\")\npermit(principal, action == Action::\"read\", resource)\nwhen { principal.levle > 3 };\n")
        .file(
            "schema.cedarschema",
            "entity user { level: Long }; entity record;\naction read appliesTo { principal: user, resource: record };",
        )
        .write(folder.path());
    let ran = run("check", folder.path());
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(ran.output().contains("policies.cedar:3") && ran.output().contains("levle"), "{}", ran.output());
}

#[test]
fn a_pack_without_a_schema_checks_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    pack().write(folder.path());
    let ran = run("check", folder.path()).expect_status(0);
    assert!(ran.output().to_lowercase().contains("schema"), "{}", ran.output());
}

#[test]
fn cases_that_hold_pass() {
    let folder = tempfile::tempdir().unwrap();
    pack().write(folder.path());
    let ran = run("test", folder.path()).expect_status(0);
    for name in ["alice reads", "nobody writes"] {
        assert!(ran.stdout.contains(name), "{}", ran.stdout);
    }
}

#[test]
fn a_case_that_does_not_hold_fails_and_is_named() {
    for (from, to) in [
        ("decision: allow", "decision: deny"),
        ("[alice-reads]", "[bob-reads]"),
        ("obligations: []", "obligations: [{kind: mask, path: /x, method: redact, mandatory: true}]"),
        ("[no_permit]", "[policy_error]"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let cases = CASES.replacen(from, to, 1);
        assert_ne!(cases, CASES);
        pack().file("cases/small.yaml", &cases).write(folder.path());
        let ran = run("test", folder.path());
        assert_eq!(ran.status, 1, "{to}: {}", ran.output());
        let name = if to.contains("policy_error") { "nobody writes" } else { "alice reads" };
        assert!(ran.output().contains(name), "{}", ran.output());
    }
}

#[test]
fn a_case_with_an_unknown_field_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let cases = CASES.replacen("expect:", "expected:", 1);
    pack().file("cases/small.yaml", &cases).write(folder.path());
    let ran = run("test", folder.path());
    assert_ne!(ran.status, 0, "{}", ran.output());
    assert!(ran.output().contains("small.yaml"), "{}", ran.output());
}

#[test]
fn junit_tells_passed_from_failed() {
    let folder = tempfile::tempdir().unwrap();
    let cases = CASES.replacen("decision: deny", "decision: allow", 1);
    pack().file("cases/small.yaml", &cases).write(folder.path());
    let report = folder.path().join("report.xml");
    let ran = Cli::new(["policy", "test"]).path("--policies", folder.path()).path("--junit", &report).run();
    assert_eq!(ran.status, 1, "{}", ran.output());
    let xml = std::fs::read_to_string(report).unwrap();
    assert!(
        xml.contains("<testsuites") && xml.contains("tests=\"2\"") && xml.contains("failures=\"1\""),
        "{xml}"
    );
    assert!(
        xml.contains("alice reads") && xml.contains("nobody writes") && xml.contains("<failure"),
        "{xml}"
    );
}

#[test]
fn the_packs_that_ship_check_and_pass() {
    let policies = repository().join("policies");
    let _ = run("check", &policies).expect_status(0);
    let _ = run("test", &policies).expect_status(0);
}

#[test]
fn of_the_packs_that_ship_no_policy_can_go_without_a_case_failing() {
    let mut deleted = 0;
    for pack in std::fs::read_dir(repository().join("policies")).expect("the packs that ship") {
        let pack = pack.unwrap().path();
        if !pack.join("pack.toml").is_file() {
            continue;
        }
        assert!(pack.join("README.md").is_file(), "{} has no README", pack.display());
        let cedar =
            files(&pack).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "cedar"));
        for file in cedar {
            let text = std::fs::read_to_string(&file).unwrap();
            for policy in statements(&text) {
                let folder = tempfile::tempdir().unwrap();
                let copied = folder.path().join(pack.file_name().unwrap());
                copy(&pack, &copied);
                write(&copied.join(file.strip_prefix(&pack).unwrap()), text.replacen(policy, "", 1));
                let ran = run("test", folder.path());
                assert_eq!(ran.status, 1, "{}: without {policy}\n{}", file.display(), ran.output());
                deleted += 1;
            }
        }
    }
    assert!(deleted >= 8, "only {deleted} policies in the packs that ship");
}

/// The policies of a Cedar text, each with its annotations and semicolon.
fn statements(text: &str) -> Vec<&str> {
    let (mut found, mut start) = (Vec::new(), 0);
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => {
                while let Some((_, inner)) = letters.next() {
                    match inner {
                        '\\' => drop(letters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if letters.peek().is_some_and(|(_, next)| *next == '/') => {
                while letters.next_if(|(_, inner)| *inner != '\n').is_some() {}
            }
            ';' => {
                found.push(&text[start..=at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}
