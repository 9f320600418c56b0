//! The hook `sign`: who vouches for a message?
//!
//! Promises: keys are names; their bytes never enter a plugin. Must never: know of another hook.

use serde::de::DeserializeOwned;

use crate::{Failure, Header};

/// A plugin that signs messages.
pub trait Sign: Sized + 'static {
    /// The plugin's configuration, as the manifest's `config_schema` describes it; `()` for none.
    type Config: DeserializeOwned;

    /// Makes the plugin, once, before it serves. Only `log` can be called in it.
    ///
    /// # Errors
    /// When the configuration is not usable. The plugin is then not loaded.
    fn new(config: Self::Config) -> Result<Self, Failure>;

    /// The headers to add; `key` is a name for [`crate::host::crypto`].
    ///
    /// # Errors
    /// When it has no answer. The message is then not signed.
    fn sign(&self, message: &Message, key: &str) -> Result<Vec<Header>, Failure>;
}

/// What is to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Bytes.
    Bytes(Vec<u8>),
    /// A request that is about to be sent.
    Request(Components),
}

/// A request that is about to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Components {
    /// RFC 9110 §9.
    pub method: String,
    /// Absolute (RFC 9110 §7.1).
    pub target_uri: String,
    /// Names in lower case, in the request's order.
    pub headers: Vec<Header>,
    /// The body.
    pub body: Vec<u8>,
}

/// Exports a type that implements [`Sign`] as the crate's plugin.
#[macro_export]
macro_rules! export_sign {
    ($plugin:ty) => {
        const _: () = {
            const fn implements_sign<T: $crate::Sign>() {}
            implements_sign::<$plugin>();
            #[cfg(target_arch = "wasm32")]
            $crate::keep!($plugin, $crate::Sign);
            #[cfg(target_arch = "wasm32")]
            type Exported = $crate::exported::Signer<$plugin>;
            #[cfg(target_arch = "wasm32")]
    $crate::__export_sign_impl!(Exported with_types_in $crate::bindings::sign);
            #[cfg(target_arch = "wasm32")]
    $crate::__export_initialised_impl!(Exported with_types_in $crate::bindings::initialised);
        };
    };
}
