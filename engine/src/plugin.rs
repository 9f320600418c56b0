//! Plugins: what Cedar can't say, in a sandbox.
//!
//! Promises: a plugin gets nothing that its manifest does not declare and the operator does not grant, a fresh instance
//! for every call, and budgets for fuel, time, memory and output; whatever it does, the caller gets an answer, by the
//! plugin's failure policy. Must never: have a second path to a capability besides [`Grant::may`].

mod answer;
pub mod archive;
mod bindings;
pub mod breaker;
pub mod budget;
pub mod bundled;
pub mod cache;
mod call;
pub mod capability;
pub mod cases;
pub mod compile;
pub mod digest;
pub mod failure;
pub mod folder;
pub mod hook;
mod host;
pub mod input;
pub mod inspect;
pub mod install;
pub mod installed;
pub mod manifest;
pub mod modes;
pub mod output;
mod pointer;
pub mod replay;
pub mod runtime;
pub mod scaffold;
pub mod schema;
pub mod sealed;
pub mod set;
pub mod shadow;
pub mod signature;
mod snapshot;
pub mod stats;
pub mod surroundings;
#[cfg(test)]
pub(crate) mod tests;
mod ticker;
pub mod toolchain;
pub mod trust;

pub use budget::Budget;
pub use cache::Cache;
pub use capability::{Capability, Grant};
pub use compile::{CompileError, Plugin, Source};
pub use digest::{Digest, digest};
pub use failure::{CallFailure, FailureKind};
pub use hook::{FailurePolicy, Hook, Mode};
pub use input::{Input, Request};
pub use manifest::Manifest;
pub use output::{Finding, Output};
pub use runtime::{Runtime, RuntimeSettings, Services};
pub use surroundings::{Called, Surroundings};
