//! The contract of `sdk/wit/` as Rust, for the host's side.
//!
//! Generated whole from the contract itself: what a plugin and the host agree on is written down once.

wasmtime::component::bindgen!({
    path: "../sdk/wit",
    inline: "
        package portcullis:host;

        world all {
            include portcullis:plugin/base@1.0.0;
            export portcullis:plugin/initialiser@1.0.0;
            export portcullis:plugin/validator@1.0.0;
            export portcullis:plugin/masker@1.0.0;
            export portcullis:plugin/signer@1.0.0;
            export portcullis:plugin/detector@1.0.0;
        }
    ",
    world: "portcullis:host/all",
    imports: {
        "portcullis:plugin/kv": async | trappable,
        "portcullis:plugin/counter": async | trappable,
        default: trappable,
    },
    with: {
        "portcullis:plugin/types.document": super::host::Document,
        "portcullis:plugin/types.request": super::host::Asked,
    },
});
