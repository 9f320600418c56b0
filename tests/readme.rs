//! The README's `curl` gives the README's answer.
//!
//! The command is the fenced block with `curl`, the answer the JSON block behind it. The address
//! and the key are the running server's; a decision's id and the revision differ each time.

use std::process::Command;

use portcullis_tests::{Server, repository};
use serde_json::{Value, json};

/// The fenced blocks of a Markdown text: language and content.
pub(crate) fn blocks(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(language)) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some((_, content)), None) => {
                content.push_str(line);
                content.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

/// The command with the running server's address and key.
fn addressed(command: &str, server: &Server) -> String {
    let key = server.key().unwrap();
    let mut text = String::new();
    for line in command.lines() {
        let line = line.trim_start().strip_prefix("$ ").unwrap_or(line);
        text.push_str(&replace_address(line, server.base()));
        text.push('\n');
    }
    for placeholder in ["$PORTCULLIS_KEY", "${PORTCULLIS_KEY}", "$KEY", "${KEY}", "pcc_…", "pcc_..."] {
        text = text.replace(placeholder, key);
    }
    text
}

pub(crate) fn replace_address(line: &str, base: &str) -> String {
    let Some(start) = line.find("http://") else { return line.to_owned() };
    let rest = &line[start + "http://".len()..];
    let end = rest.find(|letter: char| "/'\" ".contains(letter)).unwrap_or(rest.len());
    format!("{}{base}{}", &line[..start], &rest[end..])
}

fn normalised(mut answer: Value) -> Value {
    for varying in ["decision_id", "revision"] {
        assert!(answer[varying].is_string(), "no `{varying}`: {answer}");
        answer[varying] = json!("…");
    }
    answer
}

#[test]
fn the_curl_of_the_readme_gives_its_answer() {
    let text = std::fs::read_to_string(repository().join("README.md")).expect("there is a README");
    let blocks = blocks(&text);
    let at = blocks.iter().position(|(_, content)| content.contains("curl ")).expect("the README has a curl");
    let (_, command) = &blocks[at];
    let (_, wanted) = blocks[at..].iter().find(|(language, _)| language == "json").expect("and its answer");
    let server = Server::builder().repository_policies().start();
    let command = addressed(command, &server);
    let output = Command::new("sh").args(["-c", &command]).output().expect("`sh` can be started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command}\n{printed}{}", String::from_utf8_lossy(&output.stderr));
    // Nothing but the answer, unless `-i` shows its head too.
    let body = printed.find('{').map_or("", |start| &printed[start..]);
    let given: Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {command}\n{printed}"));
    let wanted: Value = serde_json::from_str(wanted).expect("the README's answer is JSON");
    assert_eq!(normalised(given), normalised(wanted));
}

#[test]
fn the_readme_names_its_two_commands() {
    let text = std::fs::read_to_string(repository().join("README.md")).expect("there is a README");
    for command in ["cargo xtask run", "cargo xtask test"] {
        assert!(text.contains(command), "no `{command}`");
    }
}
