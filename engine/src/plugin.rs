//! Plugins: what Cedar can't say, in a sandbox.
//!
//! Promises: a plugin gets nothing that its manifest does not declare and the operator does not grant, a fresh instance
//! for every call, and budgets for fuel, time, memory and output; whatever it does, the caller gets an answer, by the
//! plugin's failure policy. Must never: have a second path to a capability besides [`Grant::may`].

pub mod archive;
pub mod budget;
pub mod capability;
pub mod failure;
pub mod hook;
pub mod input;
pub mod manifest;
pub mod output;
pub mod sealed;
pub mod set;
pub mod surroundings;

pub use budget::Budget;
pub use capability::{Capability, Grant};
pub use failure::{CallFailure, FailureKind};
pub use hook::{FailurePolicy, Hook, Mode};
pub use input::{Input, Request};
pub use manifest::Manifest;
pub use output::{Finding, Output};
pub use surroundings::{Called, Surroundings};
