//! Links between the documents: what one points to exists.

use super::{Source, has_extension, report, root, sources};

/// The targets of a Markdown text's links to files, without their `#anchor`.
fn targets(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(inline.map(str::to_owned));
            found.extend(reference_target(line).map(str::to_owned));
        }
    }
    found.into_iter().filter_map(|target| file_of(&target)).collect()
}

/// `[name]: target`
fn reference_target(line: &str) -> Option<&str> {
    let (_, target) = line.strip_prefix('[')?.split_once("]: ")?;
    target.split_whitespace().next()
}

fn file_of(target: &str) -> Option<String> {
    let file = target.trim_matches(['<', '>']).split('#').next().unwrap_or_default();
    let is_elsewhere = file.contains("://") || file.starts_with("mailto:");
    (!file.is_empty() && !is_elsewhere).then(|| file.to_owned())
}

/// The links of a document that lead nowhere.
fn broken(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let leads_nowhere = |target: &String| !resolve(folder, target).is_some_and(|path| exists(&path));
    let targets = targets(&source.text).into_iter().filter(leads_nowhere);
    targets.map(|target| format!("{}: `{target}` does not exist", source.path)).collect()
}

/// A path from the root; `None` when it leaves the project.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let (folder, target) = target.strip_prefix('/').map_or((folder, target), |target| ("", target));
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(target.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[test]
fn every_link_in_a_document_leads_to_a_file() {
    let sources = sources().unwrap();
    let documents = sources.iter().filter(|source| has_extension(&source.path, "md"));
    let exists = |path: &str| root().join(path).exists();
    report(&documents.flat_map(|document| broken(document, exists)).collect::<Vec<_>>());
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "See [one](b.md#part), [two](../docs/gone.md), [web](https://example.org) and [here](#part).\n\
                [three]: /gone.md\n```\n[code](gone.md)\n```\n[out](../../x.md)\n";
    let exists = |path: &str| path == "docs/b.md";
    let problems = broken(&Source::made_up("docs/a.md", text), exists);
    assert_eq!(
        problems,
        [
            "docs/a.md: `../docs/gone.md` does not exist",
            "docs/a.md: `/gone.md` does not exist",
            "docs/a.md: `../../x.md` does not exist"
        ]
    );
}
