//! One value against all families.

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

/// The worst that a value does.
pub(crate) fn scan(value: &str, families: Families) -> Option<Hit> {
    if gate::is_plain(value) {
        return None;
    }
    let text = canonical::of(value);
    let mut found = None;
    if families.sql && gate::may_be_sql(&text) {
        found = worse(found, sql::judge(&text));
    }
    if families.xss && gate::may_be_markup(&text) {
        found = worse(found, xss::judge(&text));
    }
    if families.command && gate::may_be_command(&text) {
        found = worse(found, command::judge(&text));
    }
    if families.path && gate::may_be_path(&text) {
        found = worse(found, path::judge(&text));
    }
    found
}
