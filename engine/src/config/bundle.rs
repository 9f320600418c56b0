//! `[bundle]`: the one file that packs and plugins come from, in the place of folders.

use serde::Deserialize;

use crate::bundle::Source;
use crate::plugin::signature::VerifyingKey;

/// `[bundle]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bundle {
    /// A file, or an `https` URL; without one, policies and plugins are in their folders.
    pub source: Option<Source>,
    /// Whose signatures count.
    pub trusted_keys: Vec<VerifyingKey>,
    /// How often the source is asked, in seconds.
    pub poll_seconds: u64,
    /// How long a download may take, in seconds.
    pub timeout_seconds: u64,
}

impl Default for Bundle {
    fn default() -> Self {
        Self { source: None, trusted_keys: Vec::new(), poll_seconds: 10, timeout_seconds: 30 }
    }
}

impl Bundle {
    /// What no type can say: the field and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.source.is_some() && self.trusted_keys.is_empty() {
            return Err((
                "bundle.trusted_keys",
                "must name a key: an unsigned bundle is never served".into(),
            ));
        }
        for (field, seconds) in
            [("bundle.poll_seconds", self.poll_seconds), ("bundle.timeout_seconds", self.timeout_seconds)]
        {
            if !(1..=86_400).contains(&seconds) {
                return Err((field, "must be from 1 to 86400".into()));
            }
        }
        Ok(())
    }
}
