//! `portcullis plugin new`, `build`, `test`, `run`, `bench` and `inspect`: from nothing to a component that passes its cases.
//!
//! They compile for WebAssembly with the toolchain that `cargo xtask plugins` used, in its folder.

use std::path::{Path, PathBuf};

use portcullis_tests::files::{replace, write};
use portcullis_tests::{Cli, Ran, binary, repository};

mod kept;
mod signed;

/// A new plugin, not yet built. Its dependencies are those of the tests' guests: nothing is fetched. Each test has a name of
/// its own for it: to `cargo`, two crates of one name in one target folder are the same.
fn new(parent: &Path, name: &str, hook: &str) -> PathBuf {
    let folder = parent.join(name);
    let _ = Cli::new(["plugin", "new", name, "--hook", hook]).path("--path", &folder).run().expect_status(0);
    std::fs::copy(repository().join("tests/guests/Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    folder
}

fn build(folder: &Path) -> Ran {
    let program = binary();
    let target = program.parent().and_then(Path::parent).unwrap().join("guests");
    Cli::new(["plugin", "build"]).path("--target-dir", &target).path("--", folder).run()
}

fn plugin(command: &str, folder: &Path) -> Ran {
    Cli::new(["plugin", command]).path("--", folder).run()
}

#[test]
fn a_new_plugin_of_every_hook_builds_and_passes_its_cases() {
    let hooks = [("validate", "config"), ("detect", "config"), ("mask", "config"), ("sign", "clock, crypto")];
    for (hook, used) in hooks {
        let parent = tempfile::tempdir().unwrap();
        let folder = new(parent.path(), &format!("new-{hook}"), hook);
        let _ = build(&folder).expect_status(0);
        let ran = plugin("test", &folder).expect_status(0);
        assert!(ran.stdout.contains("2 passed, 0 failed"), "{hook}: {}", ran.output());
        let ran = plugin("inspect", &folder).expect_status(0);
        assert!(ran.stdout.contains(&format!("[plugins.new-{hook}]")), "{hook}: {}", ran.output());
        let imports = ran.stdout.lines().find_map(|line| line.strip_prefix("uses")).map(str::trim);
        assert_eq!(imports, Some(used), "{hook}: a component imports what its code calls");
        assert!(!ran.stdout.contains("wasi"), "{hook}: {}", ran.output());
        let component = std::fs::read(folder.join("plugin.wasm")).unwrap();
        for machine in [parent.path().to_str().unwrap(), "/.cargo/", "/registry/src/"] {
            let named = component.windows(machine.len()).any(|part| part == machine.as_bytes());
            assert!(!named, "{hook}: it names `{machine}`, a folder of this machine");
        }
    }
}

#[test]
fn a_changed_rule_changes_what_the_component_answers() {
    let parent = tempfile::tempdir().unwrap();
    let folder = new(parent.path(), "changed-rule", "validate");
    let _ = build(&folder).expect_status(0);
    let source = folder.join("src/lib.rs");
    let text = std::fs::read_to_string(&source).unwrap();
    replace(&source, text.replace("too-many", "far-too-many"));
    let _ = build(&folder).expect_status(0);
    let ran = plugin("test", &folder).expect_status(1);
    assert!(ran.stdout.contains("expected `too-many`"), "{}", ran.output());

    let input = br#"{"request": {"method": "POST", "path": "/orders", "body": {"quantity": 101}}}"#;
    let run = Cli::new(["plugin", "run", folder.to_str().unwrap(), "--input", "-"])
        .run_with(input)
        .expect_status(0);
    let answer: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(answer["output"]["rejection"], "far-too-many");
    assert!(answer["fuel"].as_u64().unwrap() > 0, "{answer}");

    let ran = Cli::new(["plugin", "bench", "--calls", "20"]).path("--", &folder).run().expect_status(0);
    for figure in ["fuel", "p50", "p99", "memory"] {
        assert!(ran.stdout.contains(figure), "{}", ran.output());
    }
}

#[test]
fn a_plugin_that_does_not_compile_leaves_no_component() {
    let parent = tempfile::tempdir().unwrap();
    let folder = new(parent.path(), "broken-rule", "mask");
    write(&folder.join("src/lib.rs"), "fn broken(");
    let ran = build(&folder).expect_status(1);
    assert!(ran.stderr.contains("`cargo build` failed"), "{}", ran.output());
    assert!(!folder.join("plugin.wasm").exists());
    // One that exports no hook is no plugin.
    write(&folder.join("src/lib.rs"), "");
    let ran = build(&folder).expect_status(1);
    assert!(ran.stderr.contains("export_"), "{}", ran.output());
}

#[test]
fn what_is_not_there_is_named_with_what_to_do() {
    let parent = tempfile::tempdir().unwrap();
    let folder = new(parent.path(), "not-built", "sign");
    let ran = plugin("test", &folder).expect_status(1);
    assert!(ran.stderr.contains("portcullis plugin build"), "{}", ran.output());
    let ran = Cli::new(["plugin", "new", "not-built", "--hook", "sign"])
        .path("--path", &folder)
        .run()
        .expect_status(1);
    assert!(ran.stderr.contains("exists: nothing was written"), "{}", ran.output());
    let _ = Cli::new(["plugin", "new", "my-rule", "--hook", "guess"]).run().expect_status(2);
    write(&folder.join("plugin.wasm"), "no component");
    let ran = plugin("inspect", &folder).expect_status(1);
    assert!(ran.stderr.contains("plugin.wasm"), "{}", ran.output());
}

#[test]
fn a_plugin_without_cases_has_not_passed() {
    let parent = tempfile::tempdir().unwrap();
    let folder = new(parent.path(), "without-cases", "detect");
    let _ = build(&folder).expect_status(0);
    std::fs::remove_dir_all(folder.join("cases")).unwrap();
    let ran = plugin("test", &folder).expect_status(1);
    assert!(ran.stderr.contains("has no cases"), "{}", ran.output());
    let ran = plugin("bench", &folder).expect_status(1);
    assert!(ran.stderr.contains("--input"), "{}", ran.output());
}
