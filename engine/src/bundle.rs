//! Bundles: packs and plugins as one signed file, named by what is in it.
//!
//! Promises: the same inputs make the same bytes; what is taken from a bundle is what its manifest says, to the byte, and
//! the manifest is what a trusted key signed. Must never: make anything of a bundle's contents before that is known, or
//! write one of its paths to the disk.

pub mod contents;
pub mod file;
pub mod manifest;
pub mod newest;
pub mod source;

pub use contents::Contents;
pub use file::{Bundle, BundleError};
pub use manifest::Manifest;
pub use newest::{Named, NotNewer};
pub use source::{Source, read_file};

/// No bundle is larger.
pub const MOST_BYTES: usize = 64 << 20;
