//! `portcullis init DIR`: what it scaffolds serves, checks and passes its own cases.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use portcullis_tests::files::files;
use portcullis_tests::{Cli, Client, Process};
use serde_json::json;

fn init(folder: &Path) -> portcullis_tests::Ran {
    Cli::new(["init"]).path("--", folder).run()
}

fn named(folder: &Path, name: &str) -> PathBuf {
    let found = files(folder).into_iter().find(|path| path.file_name().is_some_and(|file| file == name));
    found.unwrap_or_else(|| panic!("no `{name}` among {:?}", files(folder)))
}

#[test]
fn it_makes_a_configuration_a_root_key_and_a_pack_with_cases() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let _ = init(&folder).expect_status(0);
    assert_eq!(named(&folder, "portcullis.toml").parent(), Some(folder.as_path()));
    let key = named(&folder, "root.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let pack = named(&folder, "pack.toml");
    let cases = files(pack.parent().unwrap());
    assert!(cases.iter().any(|path| path.extension().is_some_and(|kind| kind == "yaml")), "{cases:?}");
    assert!(cases.iter().any(|path| path.extension().is_some_and(|kind| kind == "cedar")), "{cases:?}");
}

#[test]
fn its_pack_checks_and_passes_its_cases() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let _ = init(&folder).expect_status(0);
    for command in ["check", "test"] {
        let _ =
            Cli::new(["policy", command]).path("--policies", &folder.join("policies")).run().expect_status(0);
    }
}

#[test]
fn what_it_makes_serves() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let _ = init(&folder).expect_status(0);
    let mut command = Command::new(portcullis_tests::binary());
    command.args(["serve", "--dev", "--config", "portcullis.toml", "--listen", "127.0.0.1:0"]);
    command.current_dir(&folder);
    let process = Process::start(command);
    let (mut base, mut key) = (None, None);
    while base.is_none() || key.is_none() {
        let line = process.line(Duration::from_secs(30));
        let line = line.unwrap_or_else(|| panic!("it does not serve; stderr:\n{}", process.stderr()));
        base = base.or(line.strip_prefix("listening on ").map(str::to_owned));
        key = key.or(line.strip_prefix("key ").map(str::to_owned));
    }
    let client = Client::new(&base.unwrap(), key.as_deref());
    assert_eq!(client.get("/readyz").expect_status(200).json(), json!({"status": "ready"}));
    let answer = client.post("/v1/decide", &crate::fixtures::question("x", "y", "z")).expect_status(200);
    assert_ne!(answer.json()["reasons"], json!(["no_pack"]), "the first pack is the only one");
}

#[test]
fn it_overwrites_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("new");
    let _ = init(&folder).expect_status(0);
    let key = named(&folder, "root.key");
    let before = std::fs::read(&key).unwrap();
    let again = init(&folder);
    assert_ne!(again.status, 0, "{}", again.output());
    assert_eq!(std::fs::read(&key).unwrap(), before);
}

#[test]
fn two_folders_have_two_root_keys() {
    let parent = tempfile::tempdir().unwrap();
    let of = |name: &str| {
        let folder = parent.path().join(name);
        let _ = init(&folder).expect_status(0);
        std::fs::read(named(&folder, "root.key")).unwrap()
    };
    assert_ne!(of("one"), of("other"));
}
