//! What `wit-bindgen` makes of the contract: the shared interfaces once, and one world a hook on top of them.
//!
//! Promises: all hooks share the same types. Must never: be used but by the SDK itself and its macros.

/// Everything that a host offers.
pub mod base {
    wit_bindgen::generate!({ path: "wit", world: "base", generate_all, generate_unused_types: true });
}

/// The initialiser, which a plugin of any hook exports besides it: the two worlds are joined in its component.
pub mod initialised {
    wit_bindgen::generate!({
        path: "wit",
        world: "initialised",
        pub_export_macro: true,
        with: { "portcullis:plugin/types@1.0.0": crate::bindings::base::portcullis::plugin::types },
    });
}

macro_rules! world {
    ($module:ident, $world:literal) => {
        /// A hook's world.
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                world: $world,
                pub_export_macro: true,
                with: {
                    "portcullis:plugin/types@1.0.0": crate::bindings::base::portcullis::plugin::types,
                    "portcullis:plugin/log@1.0.0": crate::bindings::base::portcullis::plugin::log,
                    "portcullis:plugin/config@1.0.0": crate::bindings::base::portcullis::plugin::config,
                    "portcullis:plugin/clock@1.0.0": crate::bindings::base::portcullis::plugin::clock,
                    "portcullis:plugin/random@1.0.0": crate::bindings::base::portcullis::plugin::random,
                    "portcullis:plugin/counter@1.0.0": crate::bindings::base::portcullis::plugin::counter,
                    "portcullis:plugin/kv@1.0.0": crate::bindings::base::portcullis::plugin::kv,
                    "portcullis:plugin/crypto@1.0.0": crate::bindings::base::portcullis::plugin::crypto,
                    "portcullis:plugin/lookup@1.0.0": crate::bindings::base::portcullis::plugin::lookup,
                },
            });
        }
    };
}

world!(validate, "validate");
world!(mask, "mask");
world!(sign, "sign");
world!(detect, "detect");
