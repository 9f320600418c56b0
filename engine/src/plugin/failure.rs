//! How a call fails.

use serde::{Deserialize, Serialize};

/// What a failed call failed of. Each is counted, and a finding of its own.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The plugin did what ends it: a panic, a division by zero, a stack that is full.
    Trap,
    /// Its fuel is used up.
    Fuel,
    /// Its time is over.
    Deadline,
    /// It wanted more memory, or larger tables, than it may have.
    Memory,
    /// It took or gave more bytes than it may.
    HostBytes,
    /// Its answer is too large.
    OutputSize,
    /// Its answer breaks the contract.
    BadAnswer,
    /// It used a capability that is withheld.
    Capability,
    /// It said itself that it has no answer.
    Failed,
    /// What it needs of the host could not be asked.
    Unavailable,
    /// It failed too often, and is not called for a while.
    CircuitOpen,
}

impl FailureKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Trap,
        Self::Fuel,
        Self::Deadline,
        Self::Memory,
        Self::HostBytes,
        Self::OutputSize,
        Self::BadAnswer,
        Self::Capability,
        Self::Failed,
        Self::Unavailable,
        Self::CircuitOpen,
    ];

    /// The name that reasons, findings and metrics have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::HostBytes => "host_bytes",
            Self::OutputSize => "output_size",
            Self::BadAnswer => "bad_answer",
            Self::Capability => "capability",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::CircuitOpen => "circuit_open",
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", kind.name())]
pub struct CallFailure {
    /// Of what.
    pub kind: FailureKind,
    /// For the operator and the plugin's author; never for a caller.
    pub message: String,
}
