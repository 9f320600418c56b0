//! The SDK for plugin authors: one trait a hook, one macro that exports it, and friendly types for what a hook sees.
//!
//! Promises: a plugin is made once, before it serves, and every call begins with it as it was made; a component imports
//! only what its code calls; the same code runs natively, where [`testing`] stands in for the host. Must never: hide a
//! failure, or offer what the contract in `wit/` does not.
//!
//! ```ignore
//! use portcullis_sdk::prelude::*;
//!
//! #[derive(Deserialize)]
//! struct Settings {
//!     longest_path: usize,
//! }
//!
//! struct ShortPaths {
//!     longest: usize,
//! }
//!
//! impl Validate for ShortPaths {
//!     type Config = Settings;
//!
//!     fn new(settings: Settings) -> Result<Self, Failure> {
//!         Ok(Self { longest: settings.longest_path })
//!     }
//!
//!     fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
//!         if request.path().len() > self.longest {
//!             return Err(Rejection::new("path-too-long"));
//!         }
//!         Ok(Vec::new())
//!     }
//! }
//!
//! portcullis_sdk::export_validate!(ShortPaths);
//! ```

mod detect;
mod document;
mod failure;
mod finding;
pub mod host;
mod mask;
mod request;
mod sign;
mod validate;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod exported;
#[cfg(target_arch = "wasm32")]
#[path = "wasm.rs"]
mod ground;

#[cfg(not(target_arch = "wasm32"))]
#[path = "native.rs"]
mod ground;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use detect::{Assessment, Contribution, Detect, Event, Observation, Reading, Subject};
pub use document::{Document, Leaf, LeafRef, LeafTable, Node, ValueRef};
pub use failure::{Failure, Refusal};
pub use finding::{Finding, Location, Rejection};
pub use mask::{Edit, Mask, Method, Obligation, Replacement};
pub use request::{Header, Request};
pub use sign::{Components, Message, Sign};
pub use validate::Validate;

/// What a plugin's source begins with: `use portcullis_sdk::prelude::*;`.
pub mod prelude {
    pub use serde::Deserialize;

    pub use crate::{
        Assessment, Components, Contribution, Detect, Document, Edit, Event, Failure, Finding, Header, Leaf,
        LeafRef, LeafTable, Location, Mask, Message, Method, Node, Obligation, Observation, Reading, Refusal,
        Rejection, Replacement, Request, Sign, Subject, Validate, ValueRef, host,
    };
}
