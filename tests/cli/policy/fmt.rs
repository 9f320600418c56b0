//! `portcullis policy fmt`.

use std::path::Path;

use portcullis_tests::{Cli, Pack, Ran};

const UGLY: &str = "// Why it is so.
@id(\"a\") permit(principal,action,resource)   when{ principal.level>3 // here too\n};
";

fn fmt(folder: &Path, flags: &[&str]) -> Ran {
    Cli::new(["policy", "fmt"].iter().chain(flags)).path("--policies", folder).run()
}

#[test]
fn a_file_is_laid_out_and_keeps_its_comments_and_its_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let ugly = UGLY;
    Pack::new("small").cedar(ugly).write(folder.path());
    let file = folder.path().join("small/policies.cedar");
    let ran = fmt(folder.path(), &["--check"]).expect_status(1);
    assert!(
        ran.stdout.contains("\n-@id(\"a\") permit(") && ran.stdout.contains("\n+@id(\"a\")"),
        "{}",
        ran.output()
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), ugly, "a check changes nothing");
    let _ = fmt(folder.path(), &[]).expect_status(0);
    let laid_out = std::fs::read_to_string(&file).unwrap();
    for part in ["// Why it is so.", "// here too", "principal.level > 3", "principal,"] {
        assert!(laid_out.contains(part), "{part}: {laid_out}");
    }
    assert!(laid_out.ends_with(";\n"), "{laid_out}");
    let ran = fmt(folder.path(), &["--check"]).expect_status(0);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_file_that_does_not_parse_is_an_error_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    Pack::new("small").cedar("permit(principal").file("good.cedar", UGLY).write(folder.path());
    let ran = fmt(folder.path(), &[]);
    assert_eq!(ran.status, 1, "{}", ran.output());
    let text = std::fs::read_to_string(folder.path().join("small/policies.cedar")).unwrap();
    assert_eq!(text, "permit(principal");
    let deep = format!(
        "permit(principal, action, resource) when {{ {}true{} }};",
        "(".repeat(100_000),
        ")".repeat(100_000)
    );
    Pack::new("small").cedar(&deep).write(folder.path());
    let ran = fmt(folder.path(), &[]).expect_status(1);
    assert!(ran.stderr.contains("brackets within each other"), "{}", ran.output());
}
