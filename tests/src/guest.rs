//! Guests in the text format: the sources in `tests/guests/text`, made into components here.
//!
//! Promises: a component is made of what stands in the source and of the contract's own world, and of nothing else.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The text of a guest.
///
/// # Panics
/// When there is none of this name.
pub fn source(name: &str) -> String {
    let path = crate::repository().join("tests/guests/text").join(name).with_extension("wat");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The component of a guest: of a module that exports a hook, or the text's own. A module that exports none stays one.
///
/// # Panics
/// When its text is not what it should be.
pub fn component(name: &str) -> Vec<u8> {
    let text = source(name);
    let bytes = wat::parse_str(&text).expect("a guest is WebAssembly text");
    let Some(world) = world_of(&text) else { return bytes };
    let mut resolve = Resolve::default();
    let contract = crate::repository().join("sdk/wit");
    let (package, _) = resolve.push_dir(&contract).expect("the contract can be read");
    let world = resolve.select_world(&[package], Some(world)).expect("the contract has the world");
    let mut module = bytes;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .expect("a module takes its world");
    let mut encoder =
        ComponentEncoder::default().validate(true).module(&module).expect("a module of its world");
    encoder.encode().expect("a module of its world")
}

/// The world that it exports a hook of; none is what becomes no component here.
fn world_of(text: &str) -> Option<&'static str> {
    if text.contains("initialiser@1.0.0#") {
        Some("validate-initialised")
    } else if text.contains("validator@1.0.0#") {
        Some("validate")
    } else {
        None
    }
}

/// Puts a guest into a plugins folder: it declares `log` when it imports it, and looks at `/<its name>` alone.
///
/// # Panics
/// When the folder can't be written to.
pub fn place(name: &str, folder: &Path) {
    let capabilities = if source(name).contains("portcullis:plugin/log@") { "\"log\"" } else { "" };
    let manifest = format!(
        "name = {name:?}\nversion = \"1.0.0\"\nhook = \"validate\"\ncapabilities = [{capabilities}]\nroutes = [\"* /{name}\"]\n"
    );
    let own = folder.join(name);
    std::fs::create_dir(&own).expect("a folder for the guest");
    std::fs::write(own.join("plugin.toml"), manifest).expect("a manifest");
    std::fs::write(own.join("plugin.wasm"), component(name)).expect("a component");
}
