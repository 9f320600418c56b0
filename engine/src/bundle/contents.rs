//! What a bundle holds, as packs and plugins: `packs/<name>/…` and `plugins/<name>/…`.
//!
//! Promises: every file of a bundle has a place here, or the bundle is refused. Must never: touch the disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use bytes::Bytes;

use super::Bundle;
use crate::plugin::folder::{self, Files};
use crate::plugin::manifest::is_plugin_name;
use crate::plugin::signature;
use crate::policy::files::{PackFiles, SourceFile, counts};
use crate::policy::settings::is_pack_name;

/// The folder of packs in a bundle.
pub const PACKS: &str = "packs";
/// The folder of plugins in a bundle.
pub const PLUGINS: &str = "plugins";

/// The packs and plugins of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Packs by their folders' names.
    pub packs: BTreeMap<String, PackFiles>,
    /// Plugins by their names.
    pub plugins: BTreeMap<String, Files>,
}

/// Why files are no packs and plugins.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// A file is of neither.
    #[error("`{0}` in the bundle is no file of a pack or a plugin")]
    Unknown(String),
    /// A file that must be text is none.
    #[error("`{0}` in the bundle is not UTF-8")]
    NoText(String),
    /// A pack or a plugin lacks a file.
    #[error("`{0}` is not in the bundle")]
    Missing(String),
    /// It has no pack.
    #[error("the bundle holds no pack")]
    NoPack,
}

impl Contents {
    /// What is in a bundle.
    ///
    /// # Errors
    /// When a file has no place, or one is missing.
    pub fn of(bundle: &Bundle) -> Result<Self, ContentsError> {
        let mut contents = Self::default();
        let mut components = Vec::new();
        for (path, bytes) in bundle.files() {
            let unknown = || ContentsError::Unknown(path.to_owned());
            let (kind, rest) = path.split_once('/').ok_or_else(unknown)?;
            let (name, within) = rest.split_once('/').ok_or_else(unknown)?;
            match kind {
                PACKS if is_pack_name(name) && counts(within) => {
                    let shown = format!("(bundle)/{path}").into();
                    let file = SourceFile { shown, text: text(path, bytes)? };
                    let pack = contents.packs.entry(name.to_owned()).or_default();
                    pack.files.insert(within.to_owned(), file);
                }
                PLUGINS if is_plugin_name(name) => {
                    let files = match contents.plugins.entry(name.to_owned()) {
                        Entry::Vacant(vacant) => vacant.insert(Files::of_bundle()),
                        Entry::Occupied(occupied) => occupied.into_mut(),
                    };
                    if within == folder::COMPONENT {
                        components.push(name);
                    }
                    put(files, within, path, bytes)?;
                }
                _ => return Err(unknown()),
            }
        }
        contents.is_whole(&components)?;
        Ok(contents)
    }

    /// The files of its packs, by the names of their folders.
    pub fn packs(&self) -> Arc<Vec<PackFiles>> {
        Arc::new(self.packs.values().cloned().collect())
    }

    fn is_whole(&self, components: &[&str]) -> Result<(), ContentsError> {
        if self.packs.is_empty() {
            return Err(ContentsError::NoPack);
        }
        let missing =
            |kind: &str, name: &str, file: &str| Err(ContentsError::Missing(format!("{kind}/{name}/{file}")));
        for (name, files) in &self.packs {
            if files.get("pack.toml").is_none() {
                return missing(PACKS, name, "pack.toml");
            }
        }
        for (name, files) in &self.plugins {
            if files.manifest.is_empty() {
                return missing(PLUGINS, name, folder::MANIFEST);
            }
            if !components.contains(&name.as_str()) {
                return missing(PLUGINS, name, folder::COMPONENT);
            }
        }
        Ok(())
    }
}

fn put(files: &mut Files, within: &str, path: &str, bytes: &Bytes) -> Result<(), ContentsError> {
    match within {
        folder::MANIFEST => files.manifest = text(path, bytes)?,
        folder::COMPONENT => files.component = bytes.to_vec(),
        signature::FILE => files.signature = Some(text(path, bytes)?),
        _ => match within.split_once('/') {
            Some((folder::CASES, name)) if folder::is_case(name) => {
                files.kept_cases.push((within.to_owned(), text(path, bytes)?));
            }
            _ => return Err(ContentsError::Unknown(path.to_owned())),
        },
    }
    Ok(())
}

fn text(path: &str, bytes: &Bytes) -> Result<String, ContentsError> {
    let text = std::str::from_utf8(bytes).map_err(|_| ContentsError::NoText(path.to_owned()))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(paths: &[&str]) -> Result<Contents, ContentsError> {
        let file = |path: &&str| ((*path).to_owned(), Bytes::from_static(b"text"));
        Contents::of(&Bundle::build(1, 0, paths.iter().map(file).collect()).unwrap())
    }

    #[test]
    fn packs_and_plugins_are_found() {
        let contents = of(&[
            "packs/a/pack.toml",
            "packs/a/deep/er.cedar",
            "packs/a/cases/a.yaml",
            "plugins/p/plugin.toml",
            "plugins/p/plugin.wasm",
            "plugins/p/cases/a.yaml",
        ])
        .unwrap();
        assert_eq!(contents.packs["a"].files.len(), 3);
        let plugin = &contents.plugins["p"];
        assert_eq!((plugin.component.as_slice(), plugin.signature.as_ref()), (&b"text"[..], None));
        assert_eq!(plugin.cases().unwrap().len(), 1);
    }

    #[test]
    fn what_has_no_place_or_is_not_whole_is_refused() {
        for path in [
            "pack.toml",
            "packs/pack.toml",
            "packs/a/README.md",
            "packs/a b/pack.toml",
            "other/a/pack.toml",
            "plugins/p/plugin.rs",
            "plugins/P/plugin.toml",
            "plugins/p/cases/a.txt",
            "plugins/p/cases/deep/a.yaml",
        ] {
            let found = of(&["packs/a/pack.toml", path]);
            if path != "packs/a/pack.toml" {
                assert_eq!(found, Err(ContentsError::Unknown(path.to_owned())));
            }
        }
        assert_eq!(of(&["plugins/p/plugin.toml", "plugins/p/plugin.wasm"]), Err(ContentsError::NoPack));
        assert_eq!(of(&["packs/a/a.cedar"]), Err(ContentsError::Missing("packs/a/pack.toml".into())));
        for missing in ["plugins/p/plugin.toml", "plugins/p/plugin.wasm"] {
            let all = ["packs/a/pack.toml", "plugins/p/plugin.toml", "plugins/p/plugin.wasm"];
            let left: Vec<&str> = all.into_iter().filter(|path| *path != missing).collect();
            assert_eq!(of(&left), Err(ContentsError::Missing(missing.into())));
        }
        let bytes = ("packs/a/pack.toml".to_owned(), Bytes::from_static(b"\xff"));
        let bundle = Bundle::build(1, 0, vec![bytes]).unwrap();
        assert!(matches!(Contents::of(&bundle), Err(ContentsError::NoText(_))));
    }
}
