//! The how-to for plugins, walked from its first command to its last: from nothing to a decision that a new plugin changed.
//!
//! Commands and sources are those of the document, in its order. What is added: `portcullis` is on the path, the compiler
//! keeps what it built where other tests do, nothing is fetched, and the server takes a free port.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis_tests::files::replace;
use portcullis_tests::{Process, binary, repository};
use serde_json::{Value, json};

use crate::readme::{blocks, replace_address};

/// What all of it may cost once the toolchain is warm, in seconds of CPU time.
const MOST_SECONDS: f64 = 60.0;

struct Walk {
    folder: tempfile::TempDir,
    blocks: std::vec::IntoIter<(String, String)>,
    cpu_seconds: f64,
}

impl Walk {
    /// The next block of this language.
    fn next(&mut self, language: &str) -> String {
        let found = self.blocks.find(|(of, _)| of == language);
        found.unwrap_or_else(|| panic!("the how-to has no further block of `{language}`")).1
    }

    fn shop(&self) -> PathBuf {
        self.folder.path().join("shop")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.shop().join("my-rule").join(name)
    }

    /// Changes a file as the how-to says in words.
    fn change(&self, name: &str, change: impl Fn(&str) -> String) {
        let path = self.file(name);
        let text = std::fs::read_to_string(&path).unwrap();
        let changed = change(&text);
        assert_ne!(text, changed, "{name}: what the how-to says was done already");
        replace(&path, changed);
    }

    /// Runs commands as one shell in a folder, and gives what they printed.
    fn run(&mut self, folder: &Path, commands: &str) -> String {
        let script = format!("set -e\n{commands}\ntimes >&2");
        let output = shell(folder, &script).output().expect("`sh` can be started");
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{commands}\n{stdout}{stderr}");
        // The shell's own times, and those of what it ran.
        for line in stderr.lines().rev().take(2) {
            self.cpu_seconds += line.split_whitespace().map(seconds).sum::<f64>();
        }
        stdout.into_owned()
    }
}

/// `1m2.5s`, as `times` prints it.
fn seconds(text: &str) -> f64 {
    let parts = text.trim_end_matches('s').split_once('m');
    let parts =
        parts.and_then(|(minutes, rest)| Some((minutes.parse::<f64>().ok()?, rest.parse::<f64>().ok()?)));
    let (minutes, rest) = parts.unwrap_or_else(|| panic!("`{text}` is no time"));
    minutes * 60.0 + rest
}

fn environment(command: &mut Command, folder: &Path) {
    let program = binary();
    let programs = program.parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .current_dir(folder)
        .env("PATH", format!("{}:{path}", programs.display()))
        .env("CARGO_TARGET_DIR", programs.parent().unwrap().join("guests"))
        .env("CARGO_NET_OFFLINE", "true")
        .env("PORTCULLIS_SERVER__LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
}

fn shell(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    environment(&mut command, folder);
    command
}

/// Commands in which each new plugin gets the versions of its dependencies that this repository has fetched.
fn with_versions(commands: &str, new: &str) -> String {
    let lock = repository().join("tests/guests/Cargo.lock");
    let line = |line: &str| match line.strip_prefix(new).and_then(|rest| rest.split_whitespace().next()) {
        Some(name) => format!("{line}\ncp '{}' {name}/\n", lock.display()),
        None => format!("{line}\n"),
    };
    commands.lines().map(line).collect()
}

/// The cases with a currency in both orders.
fn with_currency(text: &str) -> String {
    text.replace("{quantity: 3}", "{quantity: 3, currency: EUR}")
        .replace("{quantity: 11}", "{quantity: 11, currency: EUR}")
}

/// A server as the document starts it.
fn serve(folder: &Path, command: &str) -> (Process, String, String) {
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[..2], ["portcullis", "serve"], "{command}");
    let mut program = Command::new(binary());
    program.args(&words[1..]);
    environment(&mut program, folder);
    let process = Process::start(program);
    let (mut base, mut key) = (None, None);
    while base.is_none() || key.is_none() {
        let line = process.line(Duration::from_secs(60));
        let line = line.unwrap_or_else(|| panic!("it does not serve; stderr:\n{}", process.stderr()));
        base = base.or(line.strip_prefix("listening on ").map(str::to_owned));
        key = key.or(line.strip_prefix("key ").map(str::to_owned));
    }
    (process, base.unwrap(), key.unwrap())
}

/// CPU time of a running process, in seconds.
fn cpu_of(process: &Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.id())).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// Another new plugin: the SDK and what it needs is compiled, for the sandbox and for this machine.
fn warm_up(walk: &mut Walk) {
    let commands = "portcullis plugin new warm-rule --hook validate\n\
        portcullis plugin build warm-rule\n(cd warm-rule && cargo test)";
    let folder = walk.folder.path().to_owned();
    walk.run(&folder, &with_versions(commands, "portcullis plugin new "));
    walk.cpu_seconds = 0.0;
}

#[expect(clippy::print_stderr, reason = "the figure is for who runs the tests")]
#[test]
fn a_new_plugin_changes_a_decision_by_the_how_to_alone_in_a_minute_of_machine_time() {
    let text = std::fs::read_to_string(repository().join("docs/how-to/write-a-plugin.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut walk = Walk { folder, blocks: blocks(&text).into_iter(), cpu_seconds: 0.0 };
    warm_up(&mut walk);
    let parent = walk.folder.path().to_owned();
    assert!(walk.next("sh").contains("rustup target add"), "what is to be installed comes first");

    // 1. Make it
    let commands = with_versions(&walk.next("sh"), "portcullis plugin new ");
    let printed = walk.run(&parent, &commands);
    let shown = walk.next("text");
    assert!(printed.contains(shown.lines().last().unwrap()), "{printed}");

    // 2. Change its rule
    let rule = walk.next("rust");
    walk.change("src/lib.rs", |text| {
        text.replacen("        match body", &format!("{rule}        match body"), 1)
    });

    // 3. Test it on your machine
    let tests = walk.next("rust");
    walk.change("src/lib.rs", |text| {
        let start = text.find("    #[test]").unwrap();
        format!("{}{tests}}}\n", &text[..start])
    });
    let (shop, commands) = (walk.shop(), walk.next("sh"));
    let printed = walk.run(&shop, &commands);
    assert!(printed.contains("3 passed"), "{printed}");

    // 4. Test the component
    let case = walk.next("yaml");
    walk.change("cases/first.yaml", |text| format!("{}\n{case}", with_currency(text)));
    let commands = walk.next("sh");
    let printed = walk.run(&shop, &commands);
    assert!(printed.contains("3 passed, 0 failed") && printed.contains("p99"), "{printed}");

    // 5. Let a server run it
    let inspect = walk.next("sh");
    assert!(walk.run(&shop, &inspect).contains("[plugins.my-rule]"));
    let commands = walk.next("sh");
    let (commands, start) = commands.trim_end().rsplit_once('\n').unwrap();
    walk.run(&shop, commands);
    let (process, base, key) = serve(&shop, start);
    let curl: String =
        walk.next("sh").lines().map(|line| format!("{}\n", replace_address(line, &base))).collect();
    let mut ask = |curl: &str| -> Value {
        let printed = walk.run(&shop, &format!("KEY='{key}'\n{curl}"));
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {curl}\n{printed}"))
    };
    let denied = ask(&curl);
    assert_eq!(denied["decision"], json!(false), "{denied}");
    let reason = denied["reasons"][0].as_str().unwrap();
    assert!(text.contains(&format!("`{reason}`")), "the how-to says another reason than `{reason}`");
    assert_eq!(denied["findings"][0]["where"], json!("body:/currency"), "{denied}");
    let paid = curl.replace(r#"{"quantity": 3}"#, r#"{"quantity": 3, "currency": "EUR"}"#);
    assert_ne!(paid, curl);
    assert_eq!(ask(&paid)["decision"], json!(true), "the plugin made the difference");
    let spent = walk.cpu_seconds + cpu_of(&process);
    eprintln!("the how-to took {spent:.1} s of CPU time");
    assert!(spent < MOST_SECONDS, "the how-to took {spent:.1} s of CPU time, more than {MOST_SECONDS}");
}
