//! The SDK for plugin authors.
//!
//! A plugin is a sandboxed WASM component that says what Cedar cannot: a
//! validation, a mask, a signature, a detection. This crate will hold one trait
//! a hook and the macro that exports it, over the contract in `sdk/wit/`. It has
//! no items until that contract is published.
