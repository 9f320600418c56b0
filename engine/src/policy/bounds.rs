//! Bounds on the text of policies, checked before Cedar's parser sees it.
//!
//! Parsing, validating and dropping an expression recurse as deep as it is. A text without bounds could end the
//! process's stack, and with it the process; what passes here fits the stacks that this program gives its threads.

use super::files::SourceFile;
use super::problem::Problem;

/// Brackets and braces within each other.
const NESTING: usize = 200;
/// Operators, member accesses and `if`s of one policy: each may be one level of its expression.
const LINKS: usize = 10_000;
/// The stack of a thread that parses policies.
pub const STACK_BYTES: usize = 256 << 20;

/// Refuses text that is nested too deep or chained too long.
///
/// # Errors
/// Where the bound is passed.
pub fn check(file: &SourceFile) -> Result<(), Problem> {
    let mut scan = Scan::default();
    let mut characters = file.text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                while let Some((_, inside)) = characters.next() {
                    match inside {
                        '\\' => {
                            characters.next();
                        }
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '/' if characters.peek().is_some_and(|(_, next)| *next == '/') => {
                while characters.next_if(|(_, inside)| *inside != '\n').is_some() {}
            }
            _ => scan.take(character),
        }
        if let Some(message) = scan.excess() {
            return Err(Problem::at(&file.shown, &file.text, at, at + 1, message));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Scan {
    depth: usize,
    links: usize,
    previous: char,
}

impl Scan {
    fn take(&mut self, character: char) {
        match character {
            '(' | '{' => self.depth += 1,
            // A list, or an access by name: `principal["name"]`.
            '[' => {
                self.depth += 1;
                self.links += 1;
            }
            ')' | ']' | '}' => self.depth = self.depth.saturating_sub(1),
            ';' if self.depth == 0 => self.links = 0,
            '.' | '+' | '-' | '*' | '!' | '<' | '>' => self.links += 1,
            // Two characters each, and one link.
            '&' | '|' | '=' if self.previous == character => self.links += 1,
            // `if`: any word that ends so counts, which is more and not less.
            'f' if self.previous == 'i' => self.links += 1,
            _ => {}
        }
        self.previous = character;
    }

    fn excess(&self) -> Option<String> {
        if self.depth > NESTING {
            return Some(format!("more than {NESTING} brackets within each other"));
        }
        (self.links > LINKS).then(|| format!("a policy has more than {LINKS} operators and member accesses"))
    }
}

/// Runs what recurses over policies on a thread with a stack that fits [`check`]'s bounds. `None` when it panicked,
/// or the system gave no thread.
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("policies".into()).stack_size(STACK_BYTES);
        builder.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(text: String) -> Result<(), Problem> {
        check(&SourceFile { shown: "a.cedar".into(), text })
    }

    #[test]
    fn ordinary_policies_pass() {
        let list = (0..50_000).map(|n| format!("User::\"{n}\"")).collect::<Vec<_>>().join(", ");
        let text = format!("permit(principal, action, resource) when {{ [{list}].contains(principal) }}; ");
        check_text(text).unwrap();
        check_text("// ((((\npermit(principal, action, resource);".repeat(20_000)).unwrap();
    }

    #[test]
    fn deep_brackets_and_long_chains_are_refused() {
        for link in
            ["(", "[", "{", "!", ".a", "[\"a\"]", "&& true", "|| true", "if true then ", "== 1", "-", "+ 1"]
        {
            assert!(check_text(link.repeat(11_000)).is_err(), "{link}");
        }
    }

    #[test]
    fn what_passes_can_be_parsed_read_and_dropped() {
        let chain = " && principal.a".repeat(3_000);
        let nested = "(".repeat(190) + "true" + &")".repeat(190);
        let ifs = "if true then true else ".repeat(1_000);
        for condition in
            [format!("true{chain}"), nested, format!("{ifs}true"), format!("principal{}", ".a".repeat(9_000))]
        {
            let text = format!("permit(principal, action, resource) when {{ {condition} }};");
            let file = SourceFile { shown: "a.cedar".into(), text };
            check(&file).unwrap();
            // Whatever Cedar says of it: it is said, and the process stands.
            on_deep_stack(|| super::super::compile::parse_text(&file).map(drop).map_err(drop)).unwrap().ok();
        }
    }
}
