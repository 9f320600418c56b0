//! Plugins in the text format, so that every instruction of them is known.

use std::path::Path;
use std::sync::Arc;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::manifest::Manifest;
use super::surroundings::NoKeys;
use super::{
    Budget, Cache, Called, Capability, CompileError, FailureKind, Grant, Hook, Input, Output, Plugin,
    Request, Runtime, RuntimeSettings, Services, Source, Surroundings,
};
use crate::clock::{SystemClock, Timestamp};

mod cached;
mod hooks;
mod hostile;
mod initialised;
mod loaded;
mod reading;
mod replayed;
mod waiting;

/// A runtime with few instances.
fn runtime() -> Arc<Runtime> {
    let settings = RuntimeSettings { instances: 4, ..RuntimeSettings::default() };
    let services = Services { clock: Arc::new(SystemClock::new()), state: None, keys: Arc::new(NoKeys) };
    Runtime::new(settings, services).unwrap()
}

/// A component of a core module in the text format.
fn component(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit");
    let (package, _) = resolve.push_dir(&contract).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// A validator of this body, which leaves the place of its answer; at 64 stands one without findings.
pub(crate) fn validator(more: &str, body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "portcullis:plugin/types@1.0.0" "[resource-drop]request" (func $drop (param i32)))
            {more}
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "portcullis:plugin/validator@1.0.0#validate") (param $request i32) (result i32)
                {body}
                (call $drop (local.get $request))))"#
    );
    component("validate", &module)
}

/// A guest of `tests/guests/text`.
fn guest(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/text");
    let text = std::fs::read_to_string(folder.join(name).with_extension("wat")).unwrap();
    if text.contains("initialiser@1.0.0#") {
        component("validate-initialised", &text)
    } else if text.contains("validator@1.0.0#") {
        component("validate", &text)
    } else {
        wat::parse_str(&text).unwrap()
    }
}

/// The place of an answer without findings.
pub(crate) const NOTHING: &str = "(i32.const 64)";

pub(crate) fn manifest(capabilities: &[Capability]) -> Manifest {
    Manifest {
        name: "guest".into(),
        version: "1.0.0".into(),
        description: String::new(),
        hook: Hook::Validate,
        capabilities: capabilities.to_vec(),
        budget: Budget::default(),
        config_schema: None,
        routes: Vec::new(),
        events: Vec::new(),
        counters: Vec::new(),
    }
}

fn compile(
    runtime: &Arc<Runtime>,
    component: &[u8],
    capabilities: &[Capability],
) -> Result<Plugin, CompileError> {
    // A machine that is busy is no defect of a guest.
    let budget = Budget { deadline_milliseconds: 5_000, ..Budget::default() };
    compile_with(runtime, component, capabilities, capabilities, budget)
}

fn compile_with(
    runtime: &Arc<Runtime>,
    component: &[u8],
    declared: &[Capability],
    granted: &[Capability],
    budget: Budget,
) -> Result<Plugin, CompileError> {
    let manifest = manifest(declared);
    let grant = Grant::new(declared.iter().copied(), granted.iter().copied(), []);
    runtime.compile(&Source { component, manifest: &manifest, grant, budget, config: "{}", cache: None })
}

pub(crate) fn surroundings() -> Surroundings {
    Surroundings {
        now: Timestamp(1_000),
        seed: [7; 32],
        tenant: "default".into(),
        lookup: None,
        record: false,
    }
}

pub(crate) fn request() -> Input {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let request = Request {
        method: "POST".into(),
        path: "/orders".into(),
        headers: vec![header("accept", "*/*"), header("cookie", "secret=1")],
        body: super::input::Body::Json(r#"{"a": [1, "x"]}"#.into()),
        ..Request::default()
    };
    Input::Validate { request: Arc::new(request) }
}

async fn call(plugin: &Plugin) -> Called {
    plugin.call(&surroundings(), &request()).await
}

#[track_caller]
fn is_fine(called: &Called) {
    assert!(matches!(&called.output, Ok(Output::Validate(said)) if said.findings.is_empty()), "{called:?}");
}

#[track_caller]
fn fails_of(called: &Called, kind: FailureKind) {
    assert_eq!(called.output.as_ref().map_err(|failure| failure.kind), Err(kind), "{called:?}");
}
