//! `portcullis init`: everything that a first server needs.
//!
//! Promises: what it writes serves. The plugins that this binary holds are on, with what they need; the others are told of.
//! Must never: overwrite anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Failure, print, system};
use crate::app::make_folder;
use crate::plugin::bundled;
use crate::protect::RootKey;

/// `portcullis init`.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The folder; made if it is not there.
    folder: PathBuf,
}

const CONFIGURATION: &str = "portcullis.toml";

/// The sections of the plugins that can be bundled.
const PLUGINS: [(&str, &str); 4] = [
    ("injection-guard", include_str!("init/plugins/injection-guard.toml")),
    ("bot-hint", include_str!("init/plugins/bot-hint.toml")),
    ("pii-mask", include_str!("init/plugins/pii-mask.toml")),
    ("request-signer", include_str!("init/plugins/request-signer.toml")),
];

/// What is written, beside the root key and the configuration.
const FILES: [(&str, &str); 6] = [
    (".gitignore", "/data/\n"),
    ("policies/app/pack.toml", include_str!("init/pack.toml")),
    ("policies/app/app.cedar", include_str!("init/app.cedar")),
    ("policies/app/schema.cedarschema", include_str!("init/schema.cedarschema")),
    ("policies/app/entities.json", include_str!("init/entities.json")),
    ("policies/app/cases/app.yaml", include_str!("init/cases.yaml")),
];

pub(super) fn init(args: &InitArgs) -> Result<ExitCode, Failure> {
    let folder = &args.folder;
    // Nothing is written before it is known that nothing is overwritten.
    let configuration = configuration(&|name| bundled::names().any(|known| known == name));
    let written = || std::iter::once((CONFIGURATION, &*configuration)).chain(FILES);
    for (name, _) in written() {
        let path = folder.join(name);
        if path.exists() {
            return Err(format!("`{}` exists: nothing was written", path.display()).into());
        }
    }
    let data = folder.join("data");
    make_folder(&data)?;
    RootKey::create(&data.join("root.key"), &*system().1)?;
    print(&format!("wrote {}", data.join("root.key").display()));
    for (name, text) in written() {
        write(&folder.join(name), text)?;
        print(&format!("wrote {}", folder.join(name).display()));
    }
    let shown = folder.display();
    print("");
    print("Next:");
    print(&format!("  cd {shown}"));
    print("  portcullis policy test");
    print("  portcullis key create --config portcullis.toml --name my-app --pack app --right assert_subject");
    print("  portcullis serve --config portcullis.toml");
    print("");
    print(
        "Keep data/root.key safe and apart from backups of the database: without it, nothing that is sealed opens.",
    );
    Ok(ExitCode::SUCCESS)
}

/// The configuration, where plugins that are not embedded are commented out.
fn configuration(is_embedded: &dyn Fn(&str) -> bool) -> String {
    let mut text = include_str!("init/portcullis.toml").to_owned();
    for (name, section) in PLUGINS {
        text.push('\n');
        if is_embedded(name) {
            text.push_str(section);
            continue;
        }
        text.push_str(
            "# This binary was built without the next one: it needs a folder of its own in `plugins`.\n",
        );
        for line in section.lines() {
            // A comment is one already.
            let mark = if line.starts_with('#') || line.is_empty() { "" } else { "# " };
            text.push_str(mark);
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| format!("can't write `{}`: {error}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, text).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;
    use crate::plugin::{Manifest, schema};

    fn plugins(text: &str) -> crate::config::Plugins {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(CONFIGURATION);
        fs::write(&file, text).unwrap();
        Config::read(Some(&file)).unwrap().plugins
    }

    #[test]
    fn each_bundled_plugin_has_a_section_that_grants_what_its_manifest_asks_for() {
        let sections = plugins(&configuration(&|_| true)).named;
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
        let mut bundled = BTreeSet::new();
        for entry in fs::read_dir(own).unwrap() {
            let manifest = entry.unwrap().path().join("plugin.toml");
            let Ok(text) = fs::read_to_string(&manifest) else { continue };
            let manifest = Manifest::parse(&manifest.display().to_string().into(), &text).unwrap();
            let section = sections.get(&manifest.name);
            let section = section.unwrap_or_else(|| panic!("`init` has no section for `{}`", manifest.name));
            assert_eq!(section.capabilities, manifest.capabilities, "{}", manifest.name);
            schema::check(&manifest, &section.config).unwrap();
            bundled.insert(manifest.name);
        }
        assert_eq!(bundled, sections.into_keys().collect());
    }

    #[test]
    fn a_plugin_that_is_not_embedded_is_commented_out() {
        let sections = plugins(&configuration(&|name| name == "bot-hint")).named;
        assert_eq!(sections.into_keys().collect::<Vec<_>>(), ["bot-hint"]);
        let text = configuration(&|_| false);
        assert!(plugins(&text).named.is_empty());
        assert!(text.contains("\n# [plugins.injection-guard]\n"), "{text}");
    }
}
