//! The world of the bench `entities`: always the same million entities, and the pack that judges them.
//!
//! Users are in teams, teams in departments; documents have an owner and are in folders, folders in folders. The pack's
//! own files have a few users like those of the store, who have their roles by their parents.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::failure::{Failure, Outcome};

/// How many entities there are.
pub(super) const COUNT: usize = 1_000_000;
const DEPARTMENTS: usize = 50;
/// Teams, each of so many users.
pub(super) const TEAMS: usize = 2_000;
const USERS: usize = 200_000;
const FOLDERS: usize = 20_000;
/// How many of the teams may comment, each on a folder and what is in it.
pub(super) const COMMENTING: usize = 50;
/// Documents are what is left.
pub(super) const DOCUMENTS: usize = COUNT - DEPARTMENTS - TEAMS - USERS - FOLDERS;
/// Users of the pack's own files.
pub(super) const OWN: usize = 64;

/// The pack's name.
pub(super) const PACK: &str = "bench";

const MANIFEST: &str =
    "name = \"bench\"\nversion = \"1.0.0\"\n[types]\nuser = \"User\"\ngroup = \"Group\"\nrole = \"Role\"\n";

const SCHEMA: &str = r#"
entity Role in [Role];
entity Group in [Group];
entity User in [Group, Role] = { level: Long, email: String };
entity Folder in [Folder];
entity Document in [Folder] = { owner: User, classification: String, pages: Long };
action read, edit, comment appliesTo { principal: [User], resource: [Document] };
"#;

const POLICIES: &str = r#"
@id("viewers-read")
permit(principal in Role::"viewer", action == Action::"read", resource)
unless { resource.classification == "secret" };
@id("owners-edit")
permit(principal, action == Action::"edit", resource) when { resource.owner == principal };
@id("seniors-edit")
permit(principal in Group::"department-7", action == Action::"edit", resource in Folder::"f1")
when { principal.level > 5 };
"#;

/// Writes the pack.
pub(super) fn write_pack(policies: &Path) -> Outcome {
    let folder = policies.join(PACK);
    let failed = |error| Failure::because(folder.display(), error);
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let mut own = vec![
        r#"{"uid":{"type":"Role","id":"viewer"},"attrs":{},"parents":[]}"#.to_owned(),
        r#"{"uid":{"type":"Role","id":"editor"},"attrs":{},"parents":[{"type":"Role","id":"viewer"}]}"#.to_owned(),
        r#"{"uid":{"type":"Group","id":"own-department"},"attrs":{},"parents":[]}"#.to_owned(),
        r#"{"uid":{"type":"Group","id":"own-team"},"attrs":{},"parents":[{"type":"Group","id":"own-department"}]}"#
            .to_owned(),
    ];
    own.extend((0..OWN).map(|n| {
        let parents = r#"[{"type":"Group","id":"own-team"},{"type":"Role","id":"editor"}]"#;
        user(&format!("own-{n}"), n, parents)
    }));
    let entities = format!("[\n{}\n]\n", own.join(",\n"));
    let policies = format!("{POLICIES}{}", (0..COMMENTING).map(commenting).collect::<String>());
    for (name, text) in [
        ("pack.toml", MANIFEST),
        ("schema.cedarschema", SCHEMA),
        ("bench.cedar", &policies),
        ("entities.json", &entities),
    ] {
        std::fs::write(folder.join(name), text).map_err(failed)?;
    }
    Ok(())
}

/// Writes the million, in Cedar's form, one a line; gives how many bytes they are.
pub(super) fn write_entities(path: &Path) -> Result<u64, Failure> {
    let failed = |error| Failure::because(path.display(), error);
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    for entity in all() {
        writeln!(out, "{entity}").map_err(failed)?;
    }
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(file.metadata().map_err(failed)?.len())
}

fn all() -> impl Iterator<Item = String> {
    let departments = (0..DEPARTMENTS).map(|n| entity("Group", &format!("department-{n}"), "[]"));
    let teams = (0..TEAMS).map(|n| {
        entity("Group", &format!("team-{n}"), &parent("Group", &format!("department-{}", n % DEPARTMENTS)))
    });
    let users =
        (0..USERS).map(|n| user(&format!("u{n}"), n, &parent("Group", &format!("team-{}", n % TEAMS))));
    let folders = (0..FOLDERS).map(|n| {
        let parents = if n == 0 { "[]".to_owned() } else { parent("Folder", &format!("f{}", n / 8)) };
        entity("Folder", &format!("f{n}"), &parents)
    });
    departments.chain(teams).chain(users).chain(folders).chain((0..DOCUMENTS).map(document))
}

fn commenting(n: usize) -> String {
    format!(
        "@id(\"team-{n}-comments\")\npermit(principal in Group::\"team-{n}\", action == Action::\"comment\", resource in Folder::\"f{n}\");\n"
    )
}

fn parent(type_name: &str, id: &str) -> String {
    format!(r#"[{{"type":"{type_name}","id":"{id}"}}]"#)
}

fn entity(type_name: &str, id: &str, parents: &str) -> String {
    format!(r#"{{"uid":{{"type":"{type_name}","id":"{id}"}},"attrs":{{}},"parents":{parents}}}"#)
}

fn user(id: &str, n: usize, parents: &str) -> String {
    let level = n % 10;
    format!(
        r#"{{"uid":{{"type":"User","id":"{id}"}},"attrs":{{"level":{level},"email":"{id}@example.com"}},"parents":{parents}}}"#
    )
}

fn document(n: usize) -> String {
    let owner = (n * 7) % USERS;
    let (classification, pages) = (if n.is_multiple_of(10) { "confidential" } else { "internal" }, n % 400);
    let parents = parent("Folder", &format!("f{}", n % FOLDERS));
    format!(
        r#"{{"uid":{{"type":"Document","id":"d{n}"}},"attrs":{{"owner":{{"__entity":{{"type":"User","id":"u{owner}"}}}},"classification":"{classification}","pages":{pages}}},"parents":{parents}}}"#
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn there_are_a_million_and_each_is_another() {
        let mut count = 0;
        let mut documents = BTreeSet::new();
        for entity in all() {
            count += 1;
            if entity.contains("\"Document\"") && count % 1_000 == 0 {
                assert!(documents.insert(entity));
            }
        }
        assert_eq!(count, COUNT);
    }
}
