//! The hook `validate`: is the input sane?
//!
//! Promises: a plugin that implements [`Validate`] and is exported is a component of this hook. Must never: know of
//! another hook.

use serde::de::DeserializeOwned;

use crate::{Failure, Finding, Rejection, Request};

/// A plugin that judges requests.
pub trait Validate: Sized + 'static {
    /// The plugin's configuration, as the manifest's `config_schema` describes it; `()` for none.
    type Config: DeserializeOwned;

    /// Makes the plugin, once, before it serves. Only `log` can be called in it.
    ///
    /// # Errors
    /// When the configuration is not usable. The plugin is then not loaded.
    fn new(config: Self::Config) -> Result<Self, Failure>;

    /// What it notices in a request.
    ///
    /// # Errors
    /// When the request must not go on.
    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection>;
}

/// Exports a type that implements [`Validate`] as the crate's plugin.
#[macro_export]
macro_rules! export_validate {
    ($plugin:ty) => {
        const _: () = {
            const fn implements_validate<T: $crate::Validate>() {}
            implements_validate::<$plugin>();
            #[cfg(target_arch = "wasm32")]
            $crate::keep!($plugin, $crate::Validate);
            #[cfg(target_arch = "wasm32")]
            type Exported = $crate::exported::Validator<$plugin>;
            #[cfg(target_arch = "wasm32")]
    $crate::__export_validate_impl!(Exported with_types_in $crate::bindings::validate);
            #[cfg(target_arch = "wasm32")]
    $crate::__export_initialised_impl!(Exported with_types_in $crate::bindings::initialised);
        };
    };
}
