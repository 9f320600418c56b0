//! One value against all families.

use aho_corasick::BuildError;

use crate::marks::Marks;
use crate::{canonical, command, gate, path, sql, xss};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Families {
    pub(crate) sql: bool,
    pub(crate) xss: bool,
    pub(crate) command: bool,
    pub(crate) path: bool,
}

/// What was found in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    pub(crate) rule: &'static str,
    /// From 0 to 100.
    pub(crate) score: u8,
    pub(crate) detail: &'static str,
}

impl Hit {
    pub(crate) const fn new(rule: &'static str, score: u8, detail: &'static str) -> Self {
        Self { rule, score, detail }
    }
}

/// The worse of two.
pub(crate) fn worse(one: Option<Hit>, other: Option<Hit>) -> Option<Hit> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.score > one.score { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// What looks.
#[derive(Debug)]
pub(crate) struct Scanner {
    pub(crate) families: Families,
    marks: Marks,
}

impl Scanner {
    pub(crate) fn new(families: Families) -> Result<Self, BuildError> {
        Ok(Self { families, marks: Marks::new()? })
    }

    /// The worst that a value does.
    pub(crate) fn scan(&self, value: &str) -> Option<Hit> {
        if gate::is_plain(value) {
            return None;
        }
        let text = canonical::of(value);
        let marks = self.marks.of(&text);
        let signs = gate::signs(&text, marks);
        let mut found = None;
        if self.families.sql && signs.sql {
            found = worse(found, sql::judge(&text));
        }
        if self.families.xss && signs.markup {
            found = worse(found, xss::judge(&text, marks, &self.marks));
        }
        if self.families.command && signs.command {
            found = worse(found, command::judge(&text, marks, &self.marks));
        }
        if self.families.path && signs.path {
            found = worse(found, path::judge(&text, marks, &self.marks));
        }
        found
    }
}
