//! `[obligations]`: what follows from decisions.

use serde::Deserialize;

/// `[obligations]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Obligations {
    /// For how long after a decision its obligations can be carried out here, in seconds.
    pub fresh_seconds: u32,
}

impl Default for Obligations {
    fn default() -> Self {
        Self { fresh_seconds: 300 }
    }
}
