//! The hook `mask`: what of a response must not be seen?
//!
//! Promises: a plugin answers with edits, never with a new document. Must never: know of another hook.

use serde::de::DeserializeOwned;

use crate::{Document, Failure};

/// A plugin that masks documents.
pub trait Mask: Sized + 'static {
    /// The plugin's configuration, as the manifest's `config_schema` describes it; `()` for none.
    type Config: DeserializeOwned;

    /// Makes the plugin, once, before it serves. Only `log` can be called in it.
    ///
    /// # Errors
    /// When the configuration is not usable. The plugin is then not loaded.
    fn new(config: Self::Config) -> Result<Self, Failure>;

    /// What is to be changed. Every obligation must be met: at its pointer, or at each leaf below it.
    ///
    /// # Errors
    /// When it has no answer. The document is then not handed out.
    fn mask(&self, document: &Document, obligations: &[Obligation]) -> Result<Vec<Edit>, Failure>;
}

/// How much of a value stays visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Some characters.
    Partial,
    /// None; equal values stay equal.
    Hash,
    /// None.
    Redact,
}

/// Mask everything at and below a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obligation {
    /// A JSON pointer; the empty one is the whole document.
    pub pointer: String,
    /// How.
    pub method: Method,
}

impl Obligation {
    /// The fields in their order.
    pub fn new(pointer: impl Into<String>, method: Method) -> Self {
        Self { pointer: pointer.into(), method }
    }
}

/// One change of a document. No two may stand in the same place, or one within the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where. Something must stand there.
    pub pointer: String,
    /// What stands there then.
    pub replacement: Replacement,
}

/// What stands in a masked value's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// This text.
    Text(String),
    /// Null.
    Null,
    /// Nothing: the member or element goes.
    Remove,
}

impl Edit {
    /// Puts a text there.
    pub fn text(pointer: impl Into<String>, text: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), replacement: Replacement::Text(text.into()) }
    }

    /// Puts null there.
    pub fn null(pointer: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), replacement: Replacement::Null }
    }

    /// Takes the member or element away.
    pub fn remove(pointer: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), replacement: Replacement::Remove }
    }
}

/// Exports a type that implements [`Mask`] as the crate's plugin.
#[macro_export]
macro_rules! export_mask {
    ($plugin:ty) => {
        const _: () = {
            const fn implements_mask<T: $crate::Mask>() {}
            implements_mask::<$plugin>();
            #[cfg(target_arch = "wasm32")]
            $crate::keep!($plugin, $crate::Mask);
            #[cfg(target_arch = "wasm32")]
            type Exported = $crate::exported::Masker<$plugin>;
            #[cfg(target_arch = "wasm32")]
    $crate::__export_mask_impl!(Exported with_types_in $crate::bindings::mask);
            #[cfg(target_arch = "wasm32")]
    $crate::__export_initialised_impl!(Exported with_types_in $crate::bindings::initialised);
        };
    };
}
