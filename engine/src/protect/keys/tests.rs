//! Named keys: where they come from, and that each does its own algorithm alone.

use super::*;
use crate::random::SystemRng;

const SECRET_FILE: &str = "secret";

struct Place {
    folder: tempfile::TempDir,
    root: RootKey,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = RootKey::create(&folder.path().join("root.key"), &SystemRng::new()).unwrap();
        Self { folder, root }
    }

    fn ring(&self, keys: &str) -> Result<KeyRing, KeyError> {
        let configured: Configured = toml::from_str(keys).unwrap();
        KeyRing::open(&configured, &self.root, Arc::new(SystemRng::new()))
    }

    /// A ring with one key `k`, whose file holds this text.
    fn with_file(&self, algorithm: &str, text: &str) -> Result<KeyRing, KeyError> {
        let path = self.folder.path().join(SECRET_FILE);
        std::fs::remove_file(&path).ok();
        std::fs::write(&path, text).unwrap();
        set_mode(&path, 0o600);
        self.ring(&format!("[k]\nalgorithm = \"{algorithm}\"\nfile = {:?}", path.display().to_string()))
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

const DERIVED: &str = "[signs]\nalgorithm = \"ed25519\"\n[also-signs]\nalgorithm = \"ed25519\"\n\
    [macs]\nalgorithm = \"hmac-sha256\"\n[seals]\nalgorithm = \"xchacha20-poly1305\"";

#[test]
fn derived_keys_are_the_same_at_each_start_and_differ_by_name_algorithm_and_root() {
    let (place, elsewhere) = (Place::new(), Place::new());
    let (one, again) = (place.ring(DERIVED).unwrap(), place.ring(DERIVED).unwrap());
    for name in ["signs", "also-signs", "macs"] {
        let signature = one.sign(name, b"message").unwrap();
        assert_eq!(again.sign(name, b"message").unwrap(), signature, "{name}");
        assert!(again.verify(name, b"message", &signature).unwrap());
        assert!(!again.verify(name, b"massage", &signature).unwrap());
        assert!(!again.verify(name, b"message", &signature[1..]).unwrap());
        let other = elsewhere.ring(DERIVED).unwrap();
        assert!(!other.verify(name, b"message", &signature).unwrap(), "another root key, another key");
    }
    assert_ne!(one.sign("signs", b"m").unwrap(), one.sign("also-signs", b"m").unwrap());
    let swapped = place.ring("[macs]\nalgorithm = \"ed25519\"").unwrap();
    let mac = one.sign("macs", b"m").unwrap();
    assert_ne!(swapped.public_keys().next().unwrap().public_key.unwrap(), mac);
    let sealed = one.seal("seals", b"plain", b"here").unwrap();
    assert_eq!(again.open("seals", &sealed, b"here").unwrap(), b"plain");
    assert_eq!(again.open("seals", &sealed, b"there"), Err(Refusal::Invalid));
}

#[test]
fn a_key_does_its_own_algorithm_alone() {
    let ring = Place::new().ring(DERIVED).unwrap();
    for name in ["signs", "macs"] {
        assert_eq!(ring.seal(name, b"x", b""), Err(Refusal::Invalid));
        assert_eq!(ring.open(name, b"x", b""), Err(Refusal::Invalid));
    }
    assert_eq!(ring.sign("seals", b"x"), Err(Refusal::Invalid));
    assert_eq!(ring.verify("seals", b"x", b"y"), Err(Refusal::Invalid));
    for unknown in ["", "Signs", "signs\0", "../secret"] {
        assert_eq!(ring.sign(unknown, b"x"), Err(Refusal::Unknown));
        assert_eq!(ring.algorithm(unknown), Err(Refusal::Unknown));
    }
}

#[test]
fn a_mac_is_that_of_rfc_4231() {
    // RFC 4231 §4.4, test case 3: a key of 20 bytes 0xaa.
    let ring = Place::new().with_file("hmac-sha256", &STANDARD.encode([0xaa; 20])).unwrap();
    let mac = ring.sign("k", &[0xdd; 50]).unwrap();
    assert_eq!(hex::encode(mac), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

#[test]
fn a_signing_key_is_read_as_a_seed_and_as_pem() {
    // RFC 8032 §7.1, test 1.
    let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
    let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let place = Place::new();
    let der = [hex::decode("302e020100300506032b657004220420").unwrap(), seed.clone()].concat();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der));
    for text in [STANDARD.encode(&seed) + "\n", pem] {
        let ring = place.with_file("ed25519", &text).unwrap();
        let shown = ring.public_keys().next().unwrap();
        assert_eq!(hex::encode(shown.public_key.unwrap()), public);
        let signature = ring.sign("k", b"").unwrap();
        assert!(hex::encode(signature).starts_with("e5564300c360ac729086e2cc806e828a"));
    }
}

#[test]
fn a_file_that_holds_something_else_is_refused() {
    let place = Place::new();
    let malformed = |algorithm: &str, text: &str| {
        let error = place.with_file(algorithm, text).unwrap_err();
        assert!(matches!(error, KeyError::Malformed { .. }), "{algorithm} {text}: {error}");
        assert!(text.trim().is_empty() || !error.to_string().contains(text), "{error} shows the key");
    };
    for algorithm in ["ed25519", "hmac-sha256", "xchacha20-poly1305"] {
        malformed(algorithm, "");
        malformed(algorithm, "not base64!");
        malformed(algorithm, &STANDARD.encode([1; 15]));
        malformed(algorithm, &STANDARD.encode([1; 2_000]));
    }
    malformed("ed25519", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    malformed("xchacha20-poly1305", &STANDARD.encode([1; 33]));
}

#[cfg(unix)]
#[test]
fn a_file_that_others_can_read_is_refused() {
    let place = Place::new();
    place.with_file("hmac-sha256", &STANDARD.encode([1; 32])).unwrap();
    let path = place.folder.path().join(SECRET_FILE);
    for mode in [0o640, 0o604, 0o620] {
        set_mode(&path, mode);
        let text = format!("[k]\nalgorithm = \"hmac-sha256\"\nfile = {:?}", path.display().to_string());
        let error = place.ring(&text).unwrap_err();
        assert!(matches!(error, KeyError::TooOpen { mode: found, .. } if found == mode), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    let gone = format!("[k]\nalgorithm = \"hmac-sha256\"\nfile = {:?}", path.display().to_string());
    assert!(matches!(place.ring(&gone), Err(KeyError::Unreadable { .. })));
}

#[test]
fn debug_shows_names_alone() {
    let place = Place::new();
    assert_eq!(format!("{:?}", place.ring(DERIVED).unwrap()), r#"{"also-signs", "macs", "seals", "signs"}"#);
}
