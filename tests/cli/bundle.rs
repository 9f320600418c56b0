//! `portcullis bundle build`, `sign`, `verify` and `inspect`.

use std::path::{Path, PathBuf};

use portcullis_tests::files::write;
use portcullis_tests::{Cli, Pack, Ran};

const CEDAR: &str = "@id(\"all\")\npermit(principal, action, resource);\n";

/// Where packs, keys and bundles of one test are.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        Pack::new("small").cedar(CEDAR).write(&place.at("policies"));
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn build(&self, output: &str, flags: &[&str]) -> Ran {
        let cli = Cli::new(["bundle", "build"].iter().chain(flags)).path("--output", &self.at(output));
        cli.operand(&self.at("policies")).run()
    }

    fn sign(&self, bundle: &str, key: &Path) -> Ran {
        Cli::new(["bundle", "sign"]).path("--key", key).operand(&self.at(bundle)).run()
    }

    fn verify(&self, bundle: &str, key: &str) -> Ran {
        Cli::new(["bundle", "verify", "--trust", key]).operand(&self.at(bundle)).run()
    }

    /// A new key: its file, and its public half.
    fn key(&self, name: &str) -> (PathBuf, String) {
        let ran = Cli::new(["plugin", "keygen"]).path("--", &self.at(name)).run().expect_status(0);
        (self.at(name), ran.stdout.trim().to_owned())
    }
}

#[test]
fn a_signed_bundle_verifies_until_a_byte_of_it_is_changed() {
    let place = Place::new();
    let (key, public) = place.key("one.pem");
    let (_, stranger) = place.key("two.pem");
    let built = place.build("a.bundle", &["--version", "7"]).expect_status(0);
    let unsigned = place.verify("a.bundle", &public).expect_status(1);
    assert!(unsigned.stderr.contains("is not signed"), "{}", unsigned.output());
    let _ = place.sign("a.bundle", &key).expect_status(0);
    let verified = place.verify("a.bundle", &public).expect_status(0);
    let digest = built.stdout.split(", ").find(|part| part.starts_with("sha256:")).unwrap();
    assert!(
        verified.stdout.contains(digest) && verified.stdout.contains("version 7"),
        "{}",
        verified.output()
    );
    let refused = place.verify("a.bundle", &stranger).expect_status(1);
    assert!(refused.stderr.contains("no such key is trusted"), "{}", refused.output());
    let mut bytes = std::fs::read(place.at("a.bundle")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    write(&place.at("a.bundle"), bytes);
    let refused = place.verify("a.bundle", &public).expect_status(1);
    assert!(refused.stderr.contains("was changed or damaged"), "{}", refused.output());
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let place = Place::new();
    Pack::new("other").cedar(CEDAR).write(&place.at("policies"));
    for name in ["a.bundle", "b.bundle"] {
        let _ = place.build(name, &["--version", "3", "--created-at", "1700000000"]).expect_status(0);
    }
    let read = |name: &str| std::fs::read(place.at(name)).unwrap();
    assert_eq!(read("a.bundle"), read("b.bundle"));
    write(&place.at("policies/other/README.md"), "not a part of it");
    let _ = place.build("c.bundle", &["--version", "3", "--created-at", "1700000000"]).expect_status(0);
    assert_eq!(read("a.bundle"), read("c.bundle"));
    let _ = place.build("d.bundle", &["--version", "4", "--created-at", "1700000000"]).expect_status(0);
    assert_ne!(read("a.bundle"), read("d.bundle"));
    // Signing twice with one key is signing once.
    let (key, _) = place.key("one.pem");
    let _ = place.sign("a.bundle", &key).expect_status(0);
    let once = read("a.bundle");
    let _ = place.sign("a.bundle", &key).expect_status(0);
    assert_eq!(read("a.bundle"), once);
}

#[test]
fn what_is_in_a_bundle_is_shown() {
    let place = Place::new();
    write(
        &place.at("plugins/rule/plugin.toml"),
        "name = \"rule\"\nversion = \"1.0.0\"\nhook = \"validate\"\n",
    );
    write(&place.at("plugins/rule/plugin.wasm"), "component");
    write(&place.at("plugins/rule/cases/a.yaml"), "cases: []\n");
    let folder = place.at("plugins");
    let ran = place.build("a.bundle", &["--plugins", folder.to_str().unwrap()]).expect_status(0);
    assert!(ran.stderr.contains("the plugin `rule` is not signed"), "{}", ran.output());
    let ran = Cli::new(["bundle", "inspect"]).operand(&place.at("a.bundle")).run().expect_status(0);
    for part in [
        "version     1",
        "signed by   nobody",
        "packs/small/policies.cedar",
        "plugins/rule/plugin.wasm",
        "plugins/rule/cases/a.yaml",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.output());
    }
    let ran = Cli::new(["bundle", "inspect", "--json"]).operand(&place.at("a.bundle")).run().expect_status(0);
    let manifest: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(manifest["files"][0]["path"], "packs/small/pack.toml");
}

#[test]
fn what_no_server_would_take_is_not_built() {
    let place = Place::new();
    write(&place.at("policies/small/policies.cedar"), "permit(principal");
    let ran = place.build("a.bundle", &[]).expect_status(1);
    assert!(ran.stderr.contains("policies.cedar:1:"), "{}", ran.output());
    assert!(!place.at("a.bundle").exists());
    std::fs::remove_dir_all(place.at("policies")).unwrap();
    std::fs::create_dir(place.at("policies")).unwrap();
    assert_eq!(place.build("a.bundle", &[]).status, 1);
    assert_eq!(place.build("a.bundle", &["--version", "0"]).status, 2);
}
