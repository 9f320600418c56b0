//! Sizes and names of source files, and that each says what it is for.

use super::{Source, report, sources};

const MOST_LINES: usize = 500;

/// Files that may be longer, each with its reason. One that no longer needs it is an error.
const LONGER: &[(&str, &str)] = &[];

/// Names that say nothing of what is inside.
const EMPTY_NAMES: &[&str] = &["mod", "util", "utils", "helper", "helpers", "manager", "common", "misc"];

fn size_problem(source: &Source, longer: &[(&str, &str)]) -> Option<String> {
    let lines = source.text.lines().count();
    let may_be_longer = longer.iter().any(|(path, reason)| *path == source.path && !reason.is_empty());
    match (lines > MOST_LINES, may_be_longer) {
        (true, false) => Some(format!("{}: {lines} lines, at most {MOST_LINES}", source.path)),
        (false, true) => Some(format!("{}: {lines} lines: needs no exception any more", source.path)),
        _ => None,
    }
}

fn name_problem(source: &Source) -> Option<String> {
    let path = source.path.strip_suffix(".rs")?;
    let name = path.split('/').find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!("{}: `{name}` says nothing of what is inside", source.path))
}

fn doc_problem(source: &Source) -> Option<String> {
    let first = source.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|doc| !doc.trim().is_empty());
    (!says).then(|| format!("{}: does not open with what it is for (`//!`)", source.path))
}

fn rust_sources() -> std::io::Result<Vec<Source>> {
    let mut sources = sources()?;
    sources.retain(Source::is_rust);
    Ok(sources)
}

#[test]
fn no_source_file_is_too_long() {
    let sources = rust_sources().unwrap();
    let mut problems: Vec<_> = sources.iter().filter_map(|source| size_problem(source, LONGER)).collect();
    let is_gone = |path: &str| !sources.iter().any(|source| source.path == path);
    problems.extend(
        LONGER.iter().filter(|(path, _)| is_gone(path)).map(|(path, _)| format!("{path}: does not exist")),
    );
    report(&problems);
}

#[test]
fn every_name_says_what_is_inside() {
    report(&rust_sources().unwrap().iter().filter_map(name_problem).collect::<Vec<_>>());
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    report(&rust_sources().unwrap().iter().filter_map(doc_problem).collect::<Vec<_>>());
}

#[test]
fn a_file_over_the_limit_is_found_and_an_exception_that_is_not_needed_too() {
    let long = Source::made_up("engine/src/a.rs", &"x\n".repeat(MOST_LINES + 1));
    let short = Source::made_up("engine/src/a.rs", &"x\n".repeat(MOST_LINES));
    let exception = [("engine/src/a.rs", "a table")];
    assert!(size_problem(&long, &[]).is_some() && size_problem(&short, &[]).is_none());
    assert!(size_problem(&long, &exception).is_none() && size_problem(&short, &exception).is_some());
    assert!(size_problem(&long, &[("engine/src/a.rs", "")]).is_some(), "an exception needs a reason");
}

#[test]
fn a_name_that_says_nothing_is_found() {
    for path in ["engine/src/http/mod.rs", "engine/src/utils.rs", "tests/common/server.rs"] {
        assert!(name_problem(&Source::made_up(path, "")).is_some(), "{path}");
    }
    assert!(name_problem(&Source::made_up("engine/src/model.rs", "")).is_none());
}

#[test]
fn a_file_without_a_module_doc_is_found() {
    for text in ["", "use std::io;\n", "//!\nfn f() {}", "// not a doc"] {
        assert!(doc_problem(&Source::made_up("engine/src/a.rs", text)).is_some(), "{text}");
    }
    assert!(doc_problem(&Source::made_up("engine/src/a.rs", "\n//! What it is for.\n")).is_none());
}
