//! `cargo xtask run`: builds the server and starts it on loopback with the example packs.
//!
//! Passes on all that the server prints, and adds a `curl` that is ready to paste. A signal
//! that ends this program ends the server first.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::failure::{Failure, Outcome};
use crate::{plugins, process, surroundings};

const PREFERRED_ADDRESS: &str = "127.0.0.1:8470";
const ANY_PORT: &str = "127.0.0.1:0";

/// The question that a newcomer asks first; the README asks the same.
const FIRST_QUESTION: &str = r#"{
  "subject": {"type": "user", "id": "alice"},
  "action": {"name": "read"},
  "resource": {"type": "document", "id": "budget-2026"},
  "pack": "documents"
}"#;

/// Builds, starts, and waits for the server.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (release, extra) = parse(arguments)?;
    // Before the server, which takes the bundled ones in.
    plugins::build()?;
    let mut build = process::cargo(&["build", "--workspace", "--bin", "portcullis"]);
    if release {
        build.arg("--release");
    }
    process::announce_and_run(&mut build)?;
    let program = surroundings::build_folder(release)?.join("portcullis");
    // Before the server starts, so that no signal can end this program alone.
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|error| Failure::because("could not take signals", error))?;
    let mut server = start(&program, extra)?;
    let id = server.id();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            // It may have ended already; the wait below sees that.
            drop(process::terminate(id));
        }
    });
    relay(&mut server)?;
    let status = server.wait().map_err(|error| Failure::because("could not wait for the server", error))?;
    process::outcome_of(status)
}

fn parse(arguments: &[String]) -> Result<(bool, &[String]), Failure> {
    match arguments {
        [] => Ok((false, &[])),
        [first, rest @ ..] if first == "--" => Ok((false, rest)),
        [first, rest @ ..] if first == "--release" => match rest {
            [] => Ok((true, &[])),
            [dashes, extra @ ..] if dashes == "--" => Ok((true, extra)),
            [other, ..] => {
                Err(Failure::Usage(format!("unknown argument `{other}`; the server's own go after `--`")))
            }
        },
        [other, ..] => {
            Err(Failure::Usage(format!("unknown argument `{other}`; the server's own go after `--`")))
        }
    }
}

fn start(program: &Path, extra: &[String]) -> Result<Child, Failure> {
    let root = surroundings::root();
    let mut command = Command::new(program);
    command.args(["serve", "--dev"]).args(extra);
    if !is_given(extra, "--listen") {
        command.args(["--listen", free_address()]);
    }
    if !is_given(extra, "--data") {
        command.arg("--data").arg(root.join("data"));
    }
    if !is_given(extra, "--policies") {
        command.arg("--policies").arg(root.join("policies"));
    }
    let started = command.stdout(Stdio::piped()).spawn();
    started.map_err(|error| Failure::because(format!("could not start {}", program.display()), error))
}

fn is_given(arguments: &[String], option: &str) -> bool {
    arguments.iter().any(|argument| {
        argument.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

fn free_address() -> &'static str {
    match TcpListener::bind(PREFERRED_ADDRESS) {
        Ok(_) => PREFERRED_ADDRESS,
        Err(error) => {
            println!("{PREFERRED_ADDRESS} can't be used ({error}); taking a free port instead");
            ANY_PORT
        }
    }
}

/// Passes the server's output on until it closes it.
fn relay(server: &mut Child) -> Outcome {
    let output = server.stdout.take().ok_or_else(|| Failure::Failed("the server has no output".into()))?;
    let (mut url, mut key) = (None, None);
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| Failure::because("could not read the server's output", error))?;
        println!("{line}");
        let is_news = line.starts_with("listening on ") || line.starts_with("key ");
        url = line.strip_prefix("listening on ").map(str::to_owned).or(url);
        key = line.strip_prefix("key ").map(str::to_owned).or(key);
        if let (true, Some(url), Some(key)) = (is_news, &url, &key) {
            println!("\nask it something:\n\n{}\n", curl(url, key));
        }
    }
    Ok(())
}

fn curl(url: &str, key: &str) -> String {
    format!(
        "curl -s {url}/v1/decide \\\n  -H 'Authorization: Bearer {key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{FIRST_QUESTION}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_servers_arguments_follow_the_dashes() {
        assert_eq!(parse(&owned(&[])).unwrap(), (false, &[][..]));
        assert_eq!(
            parse(&owned(&["--release", "--", "--data", "x"])).unwrap(),
            (true, &owned(&["--data", "x"])[..])
        );
        assert_eq!(parse(&owned(&["--data", "x"])).unwrap_err().status(), 2);
        assert_eq!(parse(&owned(&["--release", "x"])).unwrap_err().status(), 2);
    }

    #[test]
    fn an_option_is_seen_in_both_spellings_and_not_inside_another() {
        assert!(is_given(&owned(&["--data", "x"]), "--data"));
        assert!(is_given(&owned(&["--data=x"]), "--data"));
        assert!(!is_given(&owned(&["--database", "x"]), "--data"));
    }

    #[test]
    fn the_curl_can_be_pasted_as_it_is() {
        let text = curl("http://127.0.0.1:1", "pcc_x");
        assert!(text.starts_with("curl -s http://127.0.0.1:1/v1/decide \\\n"));
        assert_eq!(text.matches('\'').count() % 2, 0);
        assert!(!FIRST_QUESTION.contains('\''), "a quote would end the shell's string");
    }
}
