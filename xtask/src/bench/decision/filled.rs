//! The pack `documents`, filled up with policies that are about others.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Outcome};

/// Copies the pack into a folder of packs and fills it up to so many policies.
pub(in crate::bench) fn write(pack: &Path, packs: &Path, policies: usize) -> Outcome {
    let copy = packs.join("documents");
    let failed = |error| Failure::because(copy.display(), error);
    std::fs::create_dir_all(&copy).map_err(failed)?;
    let mut own = 0;
    for name in files_of(pack).map_err(failed)? {
        let text = std::fs::read_to_string(&name).map_err(|error| Failure::because(name.display(), error))?;
        if name.extension().is_some_and(|ending| ending == "cedar") {
            own +=
                text.lines().filter(|line| line.starts_with("permit") || line.starts_with("forbid")).count();
        }
        let to = copy.join(name.file_name().unwrap_or_default());
        std::fs::write(to, text).map_err(failed)?;
    }
    std::fs::write(copy.join("filled.cedar"), filling(policies.saturating_sub(own))).map_err(failed)
}

fn files_of(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

/// Policies of the forms that applications make one by one: for a person, a team, a folder, a class of documents.
fn filling(count: usize) -> String {
    let mut text = String::new();
    for n in 0..count {
        let scope = match n % 4 {
            0 => {
                format!("principal == User::\"filler-{n}\", action == Action::\"read\", resource is Document")
            }
            1 => format!(
                "principal is User in Team::\"filler-{n}\", action == Action::\"edit\", resource is Document"
            ),
            2 => format!(
                "principal is User, action == Action::\"read\", resource is Document in Folder::\"filler-{n}\""
            ),
            _ => "principal is User, action == Action::\"read\", resource is Document".to_owned(),
        };
        let condition = match n % 4 {
            3 => format!("resource has classification && resource.classification == \"filler-{n}\""),
            _ => "resource has classification && resource.classification == \"public\"".to_owned(),
        };
        // Writing to a string does not fail.
        writeln!(text, "@id(\"filler-{n}\")\npermit ({scope})\nwhen {{ {condition} }};").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policies_are_as_many_as_were_asked_for_and_differ() {
        let text = filling(100);
        assert_eq!(text.matches("permit (").count(), 100);
        let different: std::collections::BTreeSet<&str> = text.split("@id").collect();
        assert_eq!(different.len(), 101);
    }
}
