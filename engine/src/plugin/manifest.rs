//! `plugin.toml`: what a plugin is, what it asks for, and what it wants to see.

use serde::{Deserialize, Serialize};

use super::{Budget, Capability, Hook};

/// A plugin's own description of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lower case letters, digits and `-`, 64 at most; it begins with a letter.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// For people, in a sentence.
    #[serde(default)]
    pub description: String,
    /// Where it takes part.
    pub hook: Hook,
    /// What it uses of the host.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// What a call may cost, unless the operator says otherwise.
    #[serde(default)]
    pub budget: Budget,
    /// The JSON Schema (draft 2020-12) of its configuration; without one it takes none.
    #[serde(default)]
    pub config_schema: Option<serde_json::Value>,
    /// The requests that it wants, as `GET /orders/{id}`, `* /admin/*`; empty: all. For `validate` and `detect`.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The kinds of events that it wants. For `detect`.
    #[serde(default)]
    pub events: Vec<String>,
    /// The counts that it wants. For `detect`.
    #[serde(default)]
    pub counters: Vec<CounterWish>,
}

/// A count that a detector wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterWish {
    /// `principal.decisions`, `principal.denials`, `address.decisions` or `address.denials`.
    pub name: String,
    /// Over which time: 1 second to 31 days.
    pub window_seconds: u32,
}
