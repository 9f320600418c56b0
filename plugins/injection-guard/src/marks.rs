//! All texts that say something by themselves, found in one pass.
//!
//! One automaton (Aho and Corasick, 1975) is made when the plugin is initialised, and stands ready in every fresh instance.
//! Must never: go over a value once for each text.

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::dfa::DFA;
use aho_corasick::{Anchored, BuildError, MatchKind};

/// What a text is a mark of; a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Mark {
    /// How a page is read.
    Declaration,
    /// A scheme that runs script.
    ScriptScheme,
    /// `data:`, whose type decides.
    Data,
    /// Script that reaches for the page.
    Script,
    /// Handlers of events, which all begin so.
    On,
    Style,
    /// What of a style can load or run something.
    StyleReach,
    /// A function that a shell would define.
    Function,
    /// A lookup of a logger, disguised or not.
    Dollar,
    Expression,
    Template,
    /// What a template's expression reaches for.
    TemplateReach,
    Code,
    Shell,
    /// What a shell reads as a space.
    Space,
    Subshell,
    /// A scheme that reads files or streams.
    FileScheme,
    File,
    /// A place of any kind on another host, or a scheme of ours.
    Authority,
    /// A place in `/etc` or `/bin`.
    System,
    /// A place in `/proc`.
    Process,
}

const TEXTS: &[(Mark, &[&str])] = &[
    (
        Mark::Declaration,
        &["<!doctype", "<!entity", "<![cdata[", "<!--", "<?xml", "<?import", "<%", "<!attlist", "<!element"],
    ),
    (Mark::ScriptScheme, &["javascript:", "vbscript:", "livescript:", "mocha:", "view-source:javascript"]),
    (Mark::Data, &["data:"]),
    (
        Mark::Script,
        &[
            "document.cookie",
            "document.write",
            "document.location",
            "document.domain",
            "document[",
            "window.location",
            "window.name",
            "window[",
            "location.href=",
            "location=",
            "eval(",
            "alert(",
            "prompt(",
            "confirm(",
            "settimeout(",
            "setinterval(",
            "string.fromcharcode",
            "constructor(",
            "constructor[",
            "innerhtml=",
            "outerhtml=",
            "expression(",
            "-moz-binding",
            "localstorage.",
            "atob(",
            "fetch(",
            "xmlhttprequest",
        ],
    ),
    (Mark::On, &["on"]),
    (Mark::Style, &["style"]),
    (Mark::StyleReach, &["expression", "url(", "binding", "behavior"]),
    (Mark::Function, &["(){"]),
    (Mark::Dollar, &["${"]),
    (Mark::Expression, &["${jndi:", "${${", "#{t(", "${t(", "%{(#", "#context["]),
    (Mark::Template, &["{{"]),
    (Mark::TemplateReach, &["__class__", "__globals__", "config", "constructor", "7*7", "request.", "self."]),
    (
        Mark::Code,
        &[
            "<?php",
            "<?=",
            "system(",
            "shell_exec(",
            "passthru(",
            "popen(",
            "proc_open(",
            "os.system",
            "subprocess.",
            "runtime.getruntime",
            "processbuilder",
            "child_process",
        ],
    ),
    (
        Mark::Shell,
        &[
            "/bin/sh",
            "/bin/bash",
            "/bin/cat",
            "/bin/ls",
            "/usr/bin/",
            "/dev/tcp/",
            "/etc/passwd",
            "/etc/shadow",
            "cmd.exe",
            "powershell.exe",
            "${ifs}",
        ],
    ),
    (Mark::Space, &["$ifs", "${ifs}"]),
    (Mark::Subshell, &["$(", "`", "<(", ">("]),
    (
        Mark::FileScheme,
        &[
            "file://",
            "php://",
            "phar://",
            "zip://",
            "expect://",
            "gopher://",
            "dict://",
            "jar:",
            "netdoc:",
            "data://",
        ],
    ),
    (
        Mark::File,
        &[
            "/etc/passwd",
            "/etc/shadow",
            "/etc/hosts",
            "/etc/group",
            "/etc/issue",
            "/proc/self",
            "/proc/version",
            "/windows/win.ini",
            "/windows/system32",
            "boot.ini",
            "/winnt/",
            "web-inf/",
            "/.git/",
            "/.env",
            "/.htaccess",
            "/.htpasswd",
            "/.ssh/",
            "id_rsa",
            "wp-config.php",
            "/var/log/",
            "/.svn/",
            "/.aws/",
        ],
    ),
    (Mark::Authority, &["://"]),
    (Mark::System, &["/etc/", "/bin/"]),
    (Mark::Process, &["/proc/"]),
];

/// The marks of one text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set(u32);

impl Set {
    pub(crate) fn has(self, mark: Mark) -> bool {
        self.0 & bit(mark) != 0
    }
}

const fn bit(mark: Mark) -> u32 {
    1 << mark as u32
}

/// What finds them.
#[derive(Debug)]
pub(crate) struct Marks {
    automaton: DFA,
    start: StateID,
    /// What each text is a mark of, by its place among the texts.
    meanings: Vec<u32>,
}

impl Marks {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let all = TEXTS.iter().flat_map(|(mark, texts)| texts.iter().map(|text| (*text, bit(*mark))));
        let (texts, meanings): (Vec<&str>, Vec<u32>) = all.unzip();
        // One step a byte, whatever the text.
        let automaton = DFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(texts)?;
        // It has a start for texts that begin anywhere, since it was built with one.
        let start = automaton.start_state(Anchored::No).unwrap_or_default();
        Ok(Self { automaton, start, meanings })
    }

    /// The marks that a text has.
    pub(crate) fn of(&self, text: &str) -> Set {
        self.run(text.bytes())
    }

    /// The marks of a text without its spaces and control characters, which must be ASCII.
    pub(crate) fn of_squeezed(&self, text: &str) -> Set {
        self.run(text.bytes().filter(|byte| *byte > b' ' && *byte != 0x7f))
    }

    fn run(&self, bytes: impl Iterator<Item = u8>) -> Set {
        let (mut state, mut set) = (self.start, 0);
        for byte in bytes {
            state = self.automaton.next_state(Anchored::No, state, byte);
            if self.automaton.is_match(state) {
                for at in 0..self.automaton.match_len(state) {
                    let pattern = self.automaton.match_pattern(state, at).as_usize();
                    set |= self.meanings.get(pattern).copied().unwrap_or_default();
                }
            }
        }
        Set(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_wherever_it_stands_and_whatever_it_overlaps() {
        let marks = Marks::new().unwrap();
        for (mark, texts) in TEXTS {
            for text in *texts {
                assert!(marks.of(text).has(*mark), "{text}");
                assert!(marks.of(&format!("${text}/")).has(*mark), "{text}");
            }
        }
        assert_eq!(marks.of("a plain text, 1/2"), Set::default());
        let both = marks.of("${ifs}/etc/passwd");
        assert!(both.has(Mark::Space) && both.has(Mark::Shell) && both.has(Mark::File));
    }
}
