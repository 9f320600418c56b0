//! Bundles that a test makes, and a server that follows one of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portcullis_tests::files::{replace, write};
use portcullis_tests::{Builder, Cli, Pack, Server};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixtures::question;

/// A key's file, and its public half.
#[derive(Debug)]
pub(crate) struct Key {
    file: PathBuf,
    public: String,
}

/// A folder with keys, a pack, and the file that is followed.
pub(crate) struct Made {
    folder: TempDir,
    /// The key that servers trust.
    pub(crate) key: Key,
    /// One that they do not.
    pub(crate) other: Key,
    /// The file that is followed.
    pub(crate) file: PathBuf,
}

impl Made {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = |name: &str| {
            let file = folder.path().join(name);
            let ran = Cli::new(["plugin", "keygen"]).path("--", &file).run().expect_status(0);
            Key { file, public: ran.stdout.trim().to_owned() }
        };
        let (key, other) = (key("key.pem"), key("other.pem"));
        let file = folder.path().join("served.bundle");
        Self { folder, key, other, file }
    }

    pub(crate) fn source(&self) -> String {
        self.file.display().to_string()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.path().join("portcullis.toml")
    }

    /// What a server follows this source with.
    pub(crate) fn builder(&self, source: &str) -> Builder {
        self.builder_with(source, "")
    }

    /// The same with more lines of configuration.
    pub(crate) fn builder_with(&self, source: &str, more: &str) -> Builder {
        let key = &self.key.public;
        let config = format!(
            "[bundle]\nsource = {source:?}\ntrusted_keys = [{key:?}]\npoll_seconds = 1\ntimeout_seconds = 5\n{more}"
        );
        write(&self.config_file(), &config);
        Server::builder().config(&config)
    }

    /// The one pack, whose policy is named by the version.
    pub(crate) fn write_pack(&self, version: u64, more: &str) {
        let cedar = format!("@id(\"v{version}\")\npermit(principal, action, resource);\n{more}");
        Pack::new("bundled").cedar(&cedar).write(&self.folder.path().join("policies"));
    }

    /// The folder of plugins, which are in bundles once it is there.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.folder.path().join("plugins")
    }

    /// A bundle of what is in the folder, signed by nobody.
    pub(crate) fn build(&self, version: u64) -> Vec<u8> {
        let output = self.folder.path().join("built.bundle");
        let mut cli = Cli::new(["bundle", "build", "--version", &version.to_string()]);
        if self.plugins().is_dir() {
            cli = cli.path("--plugins", &self.plugins());
        }
        let cli = cli.path("--output", &output).operand(&self.folder.path().join("policies"));
        let _ = cli.run().expect_status(0);
        std::fs::read(output).unwrap()
    }

    pub(crate) fn unsigned(&self, version: u64) -> Vec<u8> {
        self.write_pack(version, "");
        self.build(version)
    }

    pub(crate) fn sign(&self, bundle: Vec<u8>, key: &Key) -> Vec<u8> {
        let file = self.folder.path().join("signed.bundle");
        write(&file, bundle);
        let _ = Cli::new(["bundle", "sign"]).path("--key", &key.file).operand(&file).run().expect_status(0);
        std::fs::read(file).unwrap()
    }

    pub(crate) fn signed(&self, version: u64, key: &Key) -> Vec<u8> {
        self.sign(self.unsigned(version), key)
    }

    /// Puts a bundle of this version where it is followed.
    pub(crate) fn place(&self, version: u64, key: &Key) {
        replace(Path::new(&self.file), self.signed(version, key));
    }
}

pub(crate) fn reasons(server: &Server) -> Value {
    server.post("/v1/decide", &question("alice", "read", "r")).expect_status(200).json()["reasons"].clone()
}

/// An unsigned bundle with something in a content replaced by as many bytes, and the digest in its manifest with it.
pub(crate) fn with_content(bundle: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bundle.to_vec()).unwrap();
    let content_at = text.find("@id(").unwrap();
    // The contents end with the policies' file, for nothing is behind it in the order of paths.
    let old = &text[content_at..];
    let new = old.replace(from, to);
    assert!(new != old && new.len() == old.len());
    let [old_digest, new_digest] = [old, &new].map(sha256);
    assert!(text.contains(&old_digest));
    let front = text[..content_at].replace(&old_digest, &new_digest);
    [front, new].concat().into_bytes()
}

fn sha256(text: &str) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    output.split(' ').next().unwrap().to_owned()
}
