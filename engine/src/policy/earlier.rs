//! What a reload keeps of the pack before: policies whose text is the same, and entities whose file is.
//!
//! Promises: a file that is put together from kept and new policies is what parsing it whole would make of it. What is not plainly
//! so is parsed whole. A kept policy was valid under the same schema, and there was nothing to say of it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Pack;
use super::compile;
use super::files::{PackFiles, SourceFile};
use crate::decision::rules::{Rule, Sourced};
use crate::entity::EntityStore;

/// With more new policies than these a file is parsed whole, which takes less time then.
const MOST_NEW: usize = 64;

/// What can be kept.
#[derive(Debug, Default)]
pub struct Earlier<'p> {
    by_text: HashMap<&'p str, &'p Rule>,
    entities: Option<&'p EntityStore>,
}

impl<'p> Earlier<'p> {
    /// What of a pack stands for these files too.
    pub fn of(pack: &'p Pack, files: &PackFiles) -> Self {
        let is_same = |names: &[&str]| {
            names.iter().all(|name| pack.digests.get(*name) == files.get(name).map(digest).as_ref())
        };
        if !is_same(&["schema.cedarschema", "schema.cedarschema.json"]) {
            return Self::default();
        }
        let clean = pack.rules.all.iter().filter(|rule| !rule.told);
        Self {
            by_text: clean.map(|rule| (&*rule.text, rule)).collect(),
            entities: is_same(&["entities.json"]).then_some(&pack.entities),
        }
    }

    /// The entities, if their file is the same.
    pub fn entities(&self) -> Option<EntityStore> {
        self.entities.cloned()
    }

    /// The policies of a file, in order, if most of them are known.
    pub fn policies(&self, file: &SourceFile) -> Option<Vec<Sourced>> {
        if self.by_text.is_empty() {
            return None;
        }
        let chunks = chunks(&file.text)?;
        let new = chunks.iter().filter(|chunk| !self.by_text.contains_key(chunk.text)).count();
        if new > MOST_NEW.min(chunks.len() / 2) {
            return None;
        }
        chunks.into_iter().map(|chunk| self.policy(file, &chunk)).collect()
    }

    fn policy(&self, file: &SourceFile, chunk: &Chunk<'_>) -> Option<Sourced> {
        if let Some(rule) = self.by_text.get(chunk.text) {
            return Some(Sourced {
                policy: rule.policy.clone(),
                file: Arc::clone(&file.shown),
                line: chunk.line,
                column: chunk.column(&file.text),
                offset: chunk.start,
                text: Arc::clone(&rule.text),
                kept: Some(Arc::clone(&rule.prepared)),
                told: false,
            });
        }
        // Blank before it is what came before it, so that places in messages are places in the file.
        let before = file.text.get(..chunk.start)?;
        let blank = before.chars().flat_map(|letter| match letter {
            '\n' => std::iter::repeat_n('\n', 1),
            other => std::iter::repeat_n(' ', other.len_utf8()),
        });
        let text = blank.chain(chunk.text.chars()).collect();
        let alone = SourceFile { shown: Arc::clone(&file.shown), text };
        let mut parsed = compile::parse_whole(&alone).ok()?;
        let one = parsed.pop()?;
        // What is blank has as many bytes as what stood there, not as many letters.
        let one = Sourced { column: chunk.column(&file.text), ..one };
        parsed.is_empty().then_some(one)
    }
}

/// What tells two texts apart.
pub fn digest(file: &SourceFile) -> [u8; 32] {
    *blake3::hash(file.text.as_bytes()).as_bytes()
}

/// One policy in a text.
#[derive(Debug, PartialEq, Eq)]
struct Chunk<'t> {
    start: usize,
    /// From 1.
    line: usize,
    text: &'t str,
}

impl Chunk<'_> {
    /// In characters, from 1.
    fn column(&self, whole: &str) -> usize {
        let before = whole.get(..self.start).unwrap_or_default();
        1 + before.chars().rev().take_while(|letter| *letter != '\n').count()
    }
}

/// The policies of a text; none when its end belongs to none.
fn chunks(text: &str) -> Option<Vec<Chunk<'_>>> {
    let bytes = text.as_bytes();
    let mut chunks = Vec::new();
    let (mut line, mut start, mut at) = (1, None, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\n' => line += 1,
            byte if byte.is_ascii_whitespace() => {}
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                // To the line's end, which is counted in the next step.
                at += bytes.get(at..)?.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len() - at);
                continue;
            }
            _ => {
                let (from, on) = *start.get_or_insert((at, line));
                match byte {
                    b'"' => {
                        let length = string(bytes.get(at..)?)?;
                        line += bytes.get(at..at + length)?.iter().filter(|byte| **byte == b'\n').count();
                        at += length;
                        continue;
                    }
                    b';' => {
                        chunks.push(Chunk { start: from, line: on, text: text.get(from..=at)? });
                        start = None;
                    }
                    _ => {}
                }
            }
        }
        at += 1;
    }
    start.is_none().then_some(chunks)
}

/// How long a string is, with its quotes.
fn string(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Option<Vec<(usize, &str)>> {
        chunks(text).map(|all| all.into_iter().map(|chunk| (chunk.line, chunk.text)).collect())
    }

    #[test]
    fn a_text_is_cut_where_its_policies_end() {
        let text = "// a; comment\n@id(\"a;\\\"\")\npermit(principal, action, resource); // b;\n\n forbid(principal, action, resource)\nwhen { 1 == 2 };\n";
        let first = "@id(\"a;\\\"\")\npermit(principal, action, resource);";
        let second = "forbid(principal, action, resource)\nwhen { 1 == 2 };";
        assert_eq!(texts(text), Some(vec![(2, first), (5, second)]));
        assert_eq!(texts(""), Some(vec![]));
        for open in ["permit(principal, action, resource)", "\"abc", "permit(\"a\\"] {
            assert_eq!(texts(open), None, "{open}");
        }
    }

    fn pack(policies: &str) -> PackFiles {
        let files = [
            ("pack.toml", "name = \"p\"\nversion = \"1.0.0\"\n"),
            ("a.cedar", policies),
            (
                "schema.cedarschema",
                "entity User { level: Long }; entity Doc; action read appliesTo { principal: User, resource: Doc };",
            ),
        ];
        let file = |(name, text): (&str, &str)| {
            (name.to_owned(), SourceFile { shown: name.into(), text: text.to_owned() })
        };
        PackFiles { files: files.into_iter().map(file).collect() }
    }

    fn policy(n: usize) -> String {
        format!(
            "permit(principal == User::\"u{n}\", action == Action::\"read\", resource)\nwhen {{ principal.level > {n} }};\n"
        )
    }

    #[test]
    fn a_reload_makes_what_a_load_makes_and_keeps_what_is_the_same() {
        let many: String = (0..20).map(policy).collect();
        let before = Pack::load(&pack(&many)).unwrap();
        let line =
            format!("@note(\"ü\") {} @note(\"é\") {} ", policy(102).trim_end(), policy(103).trim_end());
        let added =
            format!("// new\n{}{line}{}{}", policy(100), many.replace("> 7 }", "> 70 }"), policy(101));
        let (after, anew) =
            (Pack::load_after(&pack(&added), Some(&before)).unwrap(), Pack::load(&pack(&added)).unwrap());
        let shown = |pack: &Pack| -> Vec<String> {
            let one = |rule: &Rule| {
                let place = (&rule.file, rule.line, rule.column, rule.offset);
                format!("{} {place:?} {} {:?}", rule.id, rule.text, rule.condition)
            };
            pack.rules.all.iter().map(one).collect()
        };
        assert_eq!(shown(&after), shown(&anew));
        let last = anew.rules.all.last().unwrap();
        assert_eq!(added.get(last.offset..), Some(&*format!("{}\n", last.text)));
        let known =
            |rule: &&Rule| before.rules.all.iter().any(|one| Arc::ptr_eq(&one.prepared, &rule.prepared));
        assert_eq!(after.rules.all.iter().filter(known).count(), 19);
    }

    #[test]
    fn what_is_wrong_is_told_as_if_the_file_was_parsed_whole() {
        let many: String = (0..20).map(policy).collect();
        let before = Pack::load(&pack(&many)).unwrap();
        for (from, to) in
            [("> 7 }", "> }"), ("> 7 }", "> \"seven\" }"), ("level > 7", "size > 7"), ("};\n", "}\n")]
        {
            let broken = many.replacen(from, to, 1);
            let told = |result: Result<Pack, Vec<crate::policy::problem::Problem>>| -> Vec<String> {
                result.map(drop).unwrap_err().iter().map(ToString::to_string).collect()
            };
            let after = told(Pack::load_after(&pack(&broken), Some(&before)));
            assert_eq!(after, told(Pack::load(&pack(&broken))), "{to}");
        }
    }

    #[test]
    fn another_schema_keeps_nothing() {
        let many: String = (0..4).map(policy).collect();
        let before = Pack::load(&pack(&many)).unwrap();
        let mut files = pack(&many);
        let schema = files.files.get_mut("schema.cedarschema").unwrap();
        schema.text = schema.text.replace("Long", "String");
        assert!(Pack::load_after(&files, Some(&before)).is_err());
    }
}
