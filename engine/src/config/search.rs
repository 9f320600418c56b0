//! `[search]`: what one search may take.

use serde::Deserialize;

/// `[search]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// The most candidates that one search looks at.
    pub candidates: usize,
    /// How long one page may take, in milliseconds.
    pub deadline_milliseconds: u64,
    /// How many searches run at once.
    pub at_once: usize,
    /// For how long after the first page others of the same search can be had, in seconds.
    pub revision_seconds: u32,
    /// Whether what searches look up in is made ahead of them, and not by the first that needs it.
    pub prepare: bool,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            candidates: 1_000_000,
            deadline_milliseconds: 5_000,
            at_once: 2,
            revision_seconds: 300,
            prepare: true,
        }
    }
}
