//! Why there is no answer: the plugin's own reasons, and the host's.
//!
//! Promises: each is a value, never a text to be parsed. Must never: stand for an answer.

use std::fmt;

/// Why a plugin has no answer. The call then counts as failed, and the plugin's failure policy says what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can't do this kind of thing: another method, another algorithm.
    Unsupported,
    /// What it was given is not what it needs.
    Invalid,
    /// What it needs can't be had now.
    Unavailable,
    /// Its configuration is not usable.
    Misconfigured,
}

/// Why a function of the host gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such key, entity or value for this plugin.
    Unknown,
    /// An argument is outside of its bounds.
    Invalid,
    /// The host can't be asked now.
    Unavailable,
}

/// So that `?` passes a refusal on: what the host does not know is what the operator has to configure.
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown => Self::Misconfigured,
            Refusal::Invalid => Self::Invalid,
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unsupported => "the plugin can't do this",
            Self::Invalid => "the plugin was given what it can't use",
            Self::Unavailable => "what the plugin needs can't be had now",
            Self::Misconfigured => "the plugin's configuration is not usable",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "the host knows no such key, entity or value",
            Self::Invalid => "an argument is outside of its bounds",
            Self::Unavailable => "the host can't be asked now",
        })
    }
}

impl std::error::Error for Failure {}
impl std::error::Error for Refusal {}
