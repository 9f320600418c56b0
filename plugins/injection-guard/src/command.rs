//! Command injection: what a value would do within a shell's line, a template or a logger's message.

use std::borrow::Cow;

use crate::marks::{Mark, Marks, Set};
use crate::scan::{Hit, worse};

const CHAIN: Hit = Hit::new("cmd-chain", 85, "a second command");
const SUBSHELL: Hit = Hit::new("cmd-subshell", 90, "a command within the value");
const SHELL: Hit = Hit::new("cmd-shell", 80, "a program or a file of the system");
const SHELLSHOCK: Hit = Hit::new("cmd-shellshock", 95, "a function that a shell would define");
const EXPRESSION: Hit =
    Hit::new("cmd-expression", 95, "an expression that a template or a logger would evaluate");
const CODE: Hit = Hit::new("cmd-code", 85, "code of a server's language");

/// Programs that attackers call, by their names without a path.
const PROGRAMS: [&str; 78] = [
    "cat",
    "ls",
    "id",
    "whoami",
    "wget",
    "curl",
    "nc",
    "ncat",
    "netcat",
    "bash",
    "sh",
    "zsh",
    "dash",
    "ksh",
    "csh",
    "python",
    "python3",
    "python2",
    "perl",
    "ruby",
    "php",
    "node",
    "ping",
    "uname",
    "ps",
    "chmod",
    "chown",
    "rm",
    "mv",
    "cp",
    "echo",
    "printf",
    "sleep",
    "kill",
    "touch",
    "mkdir",
    "tail",
    "head",
    "more",
    "less",
    "nl",
    "od",
    "xxd",
    "base64",
    "grep",
    "awk",
    "gawk",
    "sed",
    "find",
    "locate",
    "which",
    "env",
    "export",
    "sudo",
    "su",
    "ssh",
    "scp",
    "ftp",
    "tftp",
    "telnet",
    "ifconfig",
    "ip",
    "netstat",
    "nslookup",
    "dig",
    "host",
    "hostname",
    "crontab",
    "powershell",
    "cmd",
    "type",
    "dir",
    "net",
    "certutil",
    "bitsadmin",
    "wmic",
    "reg",
    "tasklist",
];

/// The worst that it does.
pub(crate) fn judge(text: &str, marks: Set, all: &Marks) -> Option<Hit> {
    let mut found = by_marks(text, marks, all);
    // What shells take away from a name before they look for the program.
    let mut plain = Cow::Borrowed(text);
    if marks.has(Mark::Space) {
        plain = plain.replace("${ifs}", " ").replace("$ifs$9", " ").replace("$ifs", " ").into();
    }
    let is_quote = |byte: u8| matches!(byte, b'\\' | b'\'' | b'"' | b'^');
    if plain.bytes().any(is_quote) {
        plain = plain.replace(['\\', '\'', '"', '^'], "").into();
    }
    if marks.has(Mark::Subshell) || matches!(plain, Cow::Owned(_)) {
        found = worse(found, within(&plain));
    }
    let separators = plain.bytes().enumerate().filter(|(_, byte)| matches!(byte, b';' | b'|' | b'&' | b'\n'));
    for (at, separator) in separators {
        found = worse(found, begins(plain.get(at + 1..).unwrap_or_default(), separator));
    }
    found
}

/// Whether a command begins here.
fn begins(after: &str, separator: u8) -> Option<Hit> {
    let after = after.trim_start_matches(['|', '&', ';', ' ', '\t', '(', '{', '@']);
    let end = after
        .find(|c: char| {
            c.is_whitespace() || matches!(c, ';' | '|' | '&' | '<' | '>' | ')' | '`' | '(' | '+' | ',')
        })
        .unwrap_or(after.len());
    let (word, arguments) = after.split_at_checked(end)?;
    let has_path = word.contains('/');
    let name = word.rsplit('/').next().unwrap_or_default().trim_end_matches(".exe");
    if !PROGRAMS.contains(&name) {
        return None;
    }
    // «this; find out» and «black&white; more» are prose: a program has a path, an option, a file, or nothing behind it.
    let next = arguments.trim_start();
    let is_call = has_path
        || next.is_empty()
        || next.starts_with(['-', '/', '.', '~', '$', '>', '<', '|', ';', '&', ')', '`', '%', '*'])
        || next.starts_with(|c: char| c.is_ascii_digit())
        || next.contains("/")
        || next.starts_with("http");
    // In a query string, `&` begins the next name.
    let weak = separator == b'&' && arguments.starts_with('=');
    (is_call && !weak).then_some(CHAIN)
}

/// `$( … )`, backquotes, process substitution.
fn within(plain: &str) -> Option<Hit> {
    let mut found = None;
    for (mark, end) in [("$(", ')'), ("`", '`'), ("<(", ')'), (">(", ')')] {
        let mut rest = plain;
        while let Some((_, after)) = rest.split_once(mark) {
            let inside = after.split(end).next().unwrap_or_default();
            let word = inside.trim_start().split(|c: char| c.is_whitespace()).next().unwrap_or_default();
            let name = word.rsplit('/').next().unwrap_or_default();
            if PROGRAMS.contains(&name) {
                found = Some(SUBSHELL);
            }
            rest = after;
        }
    }
    found
}

fn by_marks(text: &str, marks: Set, all: &Marks) -> Option<Hit> {
    // Without the spaces; most texts that come here have neither braces nor a dollar sign.
    if text.bytes().any(|byte| matches!(byte, b'{' | b'$')) {
        let squeezed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let squeezed_marks = all.of(&squeezed);
        if squeezed_marks.has(Mark::Function) && squeezed.contains(';') {
            return Some(SHELLSHOCK);
        }
        if squeezed_marks.has(Mark::Dollar) && is_lookup(&squeezed) {
            return Some(EXPRESSION);
        }
    }
    if marks.has(Mark::Expression) || (marks.has(Mark::Template) && marks.has(Mark::TemplateReach)) {
        return Some(EXPRESSION);
    }
    if marks.has(Mark::Code) {
        return Some(CODE);
    }
    marks.has(Mark::Shell).then_some(SHELL)
}

/// Log4Shell and its disguises: `${${lower:j}ndi:`.
fn is_lookup(squeezed: &str) -> bool {
    let undisguised =
        squeezed.replace("${lower:", "").replace("${upper:", "").replace("${::-", "").replace('}', "");
    undisguised.contains("${jndi")
}
