//! What is written, and what is refused.

use std::collections::BTreeSet;

use super::*;
use crate::plugin::Manifest;

const HOOKS: [Hook; 4] = [Hook::Validate, Hook::Detect, Hook::Mask, Hook::Sign];

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn every_hook_has_a_template_whose_manifest_is_its_own() {
    for hook in HOOKS {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("my-rule");
        write(&folder, "my-rule", hook, &Sdk::Included).unwrap();
        let manifest: Manifest = toml::from_str(&read(folder.join("plugin.toml"))).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.hook), ("my-rule", hook));
        assert_eq!(manifest.budget.out_of_bounds(), None);
        let cargo: toml::Value = toml::from_str(&read(folder.join("Cargo.toml"))).unwrap();
        assert_eq!(cargo["dependencies"]["portcullis-sdk"]["path"].as_str(), Some(".sdk"));
        for path in ["src/lib.rs", "cases/first.yaml", "README.md", ".sdk/src/lib.rs", ".sdk/wit/hooks.wit"] {
            assert!(!read(folder.join(path)).contains("{{"), "{path}");
        }
    }
}

#[test]
fn the_whole_sdk_is_included() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk");
    let mut found = BTreeSet::new();
    let mut folders = vec![sdk.join("src"), sdk.join("wit")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(&sdk).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    assert_eq!(found, SDK_FILES.iter().map(|(path, _)| (*path).to_owned()).collect());
}

#[test]
fn the_included_sdk_depends_on_what_the_sdk_depends_on() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared: toml::Value = toml::from_str(&read(workspace.join("Cargo.toml"))).unwrap();
    let own: toml::Value = toml::from_str(&read(workspace.join("sdk/Cargo.toml"))).unwrap();
    let included: toml::Value = toml::from_str(&SDK_MANIFEST.replace("{{version}}", "0.0.0")).unwrap();
    let wasm =
        |manifest: &toml::Value| manifest["target"]["cfg(target_arch = \"wasm32\")"]["dependencies"].clone();
    for (own, included) in
        [(own["dependencies"].clone(), included["dependencies"].clone()), (wasm(&own), wasm(&included))]
    {
        let names = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(&own), names(&included));
        for name in names(&included) {
            assert_eq!(included[&name], shared["workspace"]["dependencies"][&name], "{name}");
        }
    }
}

#[test]
fn a_folder_with_something_in_it_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine"), "mine").unwrap();
    let error = write(folder.path(), "my-rule", Hook::Mask, &Sdk::Included).unwrap_err();
    assert!(matches!(error, ScaffoldError::Exists(_)));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_name_out_of_form_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", "My-rule", "1rule", "a/b", "..", "a_b", "é", &"a".repeat(65)] {
        let error = write(&folder.path().join("new"), name, Hook::Mask, &Sdk::Included).unwrap_err();
        assert!(matches!(error, ScaffoldError::Name(_)), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_sdk_is_a_version_or_a_folder() {
    let of = |text: &str| dependency(&text.parse().unwrap());
    assert_eq!(of("1.2"), "\"1.2\"");
    assert_eq!(of("/a/\"b"), "{ path = '/a/\"b' }");
}
