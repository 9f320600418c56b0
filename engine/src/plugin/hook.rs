//! Where a plugin takes part, how much it counts, and what its failure means.

use serde::{Deserialize, Serialize};

/// Where in the walk a plugin is called.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// Is the input sane?
    Validate,
    /// Does it look bad?
    Detect,
    /// What of a response must not be seen?
    Mask,
    /// Who vouches for a message?
    Sign,
}

impl Hook {
    /// The name that manifests, messages and metrics have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Validate => "validate",
            Self::Detect => "detect",
            Self::Mask => "mask",
            Self::Sign => "sign",
        }
    }

    /// The interface that a component exports for it.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Validate => "validator",
            Self::Detect => "detector",
            Self::Mask => "masker",
            Self::Sign => "signer",
        }
    }
}

/// How much a plugin counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It runs, and what it says counts.
    #[default]
    Enforce,
    /// It runs beside the request, and what it would have done is recorded.
    Shadow,
    /// It does not run.
    Off,
}

impl Mode {
    /// The name that configuration, calls and metrics have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }

    /// The mode of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Enforce, Self::Shadow, Self::Off].into_iter().find(|mode| mode.name() == name)
    }
}

/// What follows when a call fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailurePolicy {
    /// The request is denied.
    #[default]
    Deny,
    /// The request goes on, and the failure is a finding.
    Allow,
}
