//! Manifests: every crate takes the lints and the versions of the workspace.

use super::{Source, report, sources};

fn problems(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    let mut section = "";
    let mut has_lints = false;
    for line in source.text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if section == "[lints]" && line == "workspace = true" {
            has_lints = true;
        } else if section.ends_with("dependencies]") && !line.is_empty() && !line.starts_with('#') {
            let is_shared = line.contains(".workspace = true") || line.contains("workspace = true,");
            if !is_shared {
                problems.push(format!("{}: `{line}`: its version belongs in the workspace", source.path));
            }
        }
    }
    if !has_lints {
        problems.push(format!("{}: does not take the workspace's lints", source.path));
    }
    problems
}

#[test]
fn every_crate_takes_lints_and_versions_from_the_workspace() {
    let sources = sources().unwrap();
    let is_member = |source: &&Source| {
        ["engine", "sdk", "tests", "xtask"].iter().any(|member| source.path == format!("{member}/Cargo.toml"))
    };
    let members: Vec<_> = sources.iter().filter(is_member).collect();
    assert_eq!(members.len(), 4);
    report(&members.into_iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_version_of_its_own_and_missing_lints_are_found() {
    let good = "[dependencies]\n# why\na.workspace = true\nb = { workspace = true, optional = true }\n[lints]\nworkspace = true\n";
    assert!(problems(&Source::made_up("a/Cargo.toml", good)).is_empty());
    let bad = "[dev-dependencies]\na = \"1\"\n[package]\nworkspace = true\n";
    assert_eq!(problems(&Source::made_up("a/Cargo.toml", bad)).len(), 2);
}
