//! What one call may cost.

use serde::{Deserialize, Serialize};

/// The limits of one call. Each is the plugin's failure when it is exceeded, save `log_bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Units of execution, about one an instruction: the same for the same input, on every machine.
    pub fuel: u64,
    /// How long it may take, in milliseconds.
    pub deadline_milliseconds: u64,
    /// Its linear memory, in bytes.
    pub memory_bytes: u64,
    /// What it may take from and give to the host, in bytes.
    pub host_bytes: u64,
    /// What it may log, in bytes; further lines are dropped and counted.
    pub log_bytes: u64,
    /// What its answer may hold, in bytes.
    pub output_bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            fuel: 10_000_000,
            deadline_milliseconds: 20,
            memory_bytes: 16 << 20,
            host_bytes: 4 << 20,
            log_bytes: 16 << 10,
            output_bytes: 256 << 10,
        }
    }
}

impl Budget {
    /// No budget is larger, whoever asks.
    pub const MOST: Self = Self {
        fuel: 10_000_000_000,
        deadline_milliseconds: 10_000,
        memory_bytes: 64 << 20,
        host_bytes: 64 << 20,
        log_bytes: 1 << 20,
        output_bytes: 8 << 20,
    };

    /// The field that is zero or larger than it may be.
    pub fn out_of_bounds(&self) -> Option<(&'static str, u64)> {
        let most = Self::MOST;
        let fields = [
            ("fuel", self.fuel, most.fuel),
            ("deadline_milliseconds", self.deadline_milliseconds, most.deadline_milliseconds),
            ("memory_bytes", self.memory_bytes, most.memory_bytes),
            ("host_bytes", self.host_bytes, most.host_bytes),
            ("log_bytes", self.log_bytes, most.log_bytes),
            ("output_bytes", self.output_bytes, most.output_bytes),
        ];
        let outside = |(_, value, most): &&(&str, u64, u64)| *value == 0 || value > most;
        fields.iter().find(outside).map(|(name, _, most)| (*name, *most))
    }
}
