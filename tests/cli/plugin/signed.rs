//! `portcullis plugin keygen`, `sign` and `verify`: what was changed, left away or signed by another is told apart.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use portcullis_tests::files::write;
use portcullis_tests::{Cli, Ran};

/// A plugin as far as a signature goes: nobody runs its component.
struct Plugin(tempfile::TempDir);

impl Plugin {
    fn new() -> Self {
        let plugin = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(plugin.folder()).unwrap();
        write(&plugin.file("plugin.toml"), "name = \"rule\"\nversion = \"1.0.0\"\nhook = \"validate\"\n");
        write(&plugin.file("plugin.wasm"), "component");
        plugin
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("rule")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// A new key: its file, and its public half.
    fn key(&self, name: &str) -> (PathBuf, String) {
        let file = self.0.path().join(name);
        let ran = Cli::new(["plugin", "keygen"]).path("--", &file).run().expect_status(0);
        let public = ran.stdout.trim().to_owned();
        assert!(public.starts_with("ed25519:") && public.lines().count() == 1, "{}", ran.output());
        (file, public)
    }

    fn sign(&self, key: &Path) -> Ran {
        Cli::new(["plugin", "sign"]).path("--key", key).path("--", &self.folder()).run()
    }

    fn verify(&self, key: &str) -> Ran {
        Cli::new(["plugin", "verify", "--key", key]).path("--", &self.folder()).run()
    }

    fn refused(&self, key: &str, why: &str) {
        let ran = self.verify(key).expect_status(1);
        assert!(ran.stderr.contains(why), "{why}: {}", ran.output());
    }
}

#[test]
fn what_is_signed_verifies_until_anything_of_it_is_changed() {
    let plugin = Plugin::new();
    let (key, public) = plugin.key("signing.pem");
    plugin.refused(&public, "is not signed");
    let _ = plugin.sign(&key).expect_status(0);
    let _ = plugin.verify(&public).expect_status(0);
    for (name, kept) in [("plugin.wasm", "component"), ("plugin.toml", "")] {
        let file = plugin.file(name);
        let before = std::fs::read_to_string(&file).unwrap();
        assert!(before.starts_with(kept));
        std::fs::write(&file, format!("{before}\n")).unwrap();
        plugin.refused(&public, "is not of this component with this manifest");
        std::fs::write(&file, before).unwrap();
        let _ = plugin.verify(&public).expect_status(0);
    }
    let signature = plugin.file("plugin.sig");
    let text = std::fs::read_to_string(&signature).unwrap();
    for damaged in [
        text.replace("key = ", "kee = "),
        String::new(),
        text.replace("signature = \"", "signature = \"AAAA"),
    ] {
        std::fs::write(&signature, damaged).unwrap();
        let _ = plugin.verify(&public).expect_status(1);
    }
}

#[test]
fn a_key_vouches_for_nothing_that_another_signed() {
    let plugin = Plugin::new();
    let (key, public) = plugin.key("signing.pem");
    let (_, other) = plugin.key("other.pem");
    assert_ne!(public, other);
    let _ = plugin.sign(&key).expect_status(0);
    plugin.refused(&other, "not trusted");
    // Nor does who writes another's name under a signature of its own.
    let signature = plugin.file("plugin.sig");
    let text = std::fs::read_to_string(&signature).unwrap();
    std::fs::write(&signature, text.replace(&public, &other)).unwrap();
    plugin.refused(&other, "is not of this component with this manifest");
}

#[test]
fn a_configuration_says_whom_to_trust() {
    let plugin = Plugin::new();
    let (key, public) = plugin.key("signing.pem");
    let _ = plugin.sign(&key).expect_status(0);
    let config = plugin.0.path().join("portcullis.toml");
    let verify =
        || Cli::new(["plugin", "verify"]).path("--config", &config).path("--", &plugin.folder()).run();
    write(&config, format!("[plugins]\ntrusted_keys = [\"{public}\"]\n"));
    let _ = verify().expect_status(0);
    std::fs::write(&config, "[plugins]\ntrusted_keys = []\nallow_unsigned = true\n").unwrap();
    assert!(verify().expect_status(1).stderr.contains("not trusted"));
}

#[test]
fn a_secret_key_is_its_owners_alone_and_is_never_shown_or_overwritten() {
    let plugin = Plugin::new();
    let (key, _) = plugin.key("signing.pem");
    let text = std::fs::read_to_string(&key).unwrap();
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let secret = text.lines().nth(1).unwrap().to_owned();
    let again = Cli::new(["plugin", "keygen"]).path("--", &key).run().expect_status(1);
    assert_eq!(std::fs::read_to_string(&key).unwrap(), text);
    let signed = plugin.sign(&key).expect_status(0);
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    let refused = plugin.sign(&key).expect_status(1);
    assert!(refused.stderr.contains("chmod 600"), "{}", refused.output());
    let not_a_key = plugin.0.path().join("not.pem");
    std::fs::write(&not_a_key, format!("x{text}").replace("PRIVATE", "PUBLIC")).unwrap();
    std::fs::set_permissions(&not_a_key, PermissionsExt::from_mode(0o600)).unwrap();
    let malformed = plugin.sign(&not_a_key).expect_status(1);
    for ran in [again, signed, refused, malformed] {
        assert!(!ran.output().contains(&secret), "the secret key is shown");
    }
    let _ = Cli::new(["plugin", "sign"]).path("--", &plugin.folder()).run().expect_status(2);
}
