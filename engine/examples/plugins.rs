//! What a call of a plugin costs, in this process: the part of `cargo xtask bench plugin` that needs no server.
//!
//! `plugins COMPONENT MANIFEST NAME [ROUNDS]`: calls a validator with 8 headers and a body of 4 KB, each time in a fresh
//! instance, and prints the percentiles of a call, from making the instance to unmaking it: of one plugin alone, of one with
//! 64 loaded, and of 64 in turns. Each round prints them again.

#![expect(clippy::print_stdout, reason = "it prints its figures")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis::clock::{SystemClock, Timestamp};
use portcullis::plugin::input::Body;
use portcullis::plugin::surroundings::NoKeys;
use portcullis::plugin::{
    Cache, Grant, Input, Manifest, Plugin, Request, Runtime, RuntimeSettings, Services, Source, Surroundings,
};
use portcullis::protect::{Purpose, RootKey};
use portcullis::random::SystemRng;

const CALLS: usize = 20_000;
const WARM_UP: usize = 2_000;
const MANY: usize = 64;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (component, manifest, name, rounds) = match arguments.as_slice() {
        [component, manifest, name] => (component, manifest, name, 1),
        [component, manifest, name, rounds] => (component, manifest, name, rounds.parse::<u32>()?),
        _ => return Err("usage: plugins COMPONENT MANIFEST NAME [ROUNDS]".into()),
    };
    let component = std::fs::read(component)?;
    let manifest: Manifest = toml::from_str(&std::fs::read_to_string(manifest)?)?;
    let services = Services { clock: Arc::new(SystemClock::new()), state: None, keys: Arc::new(NoKeys) };
    let runtime = Runtime::new(RuntimeSettings::default(), services)?;
    let folder = std::env::temp_dir().join(format!("portcullis-plugins-{}", std::process::id()));
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (what, loaded, called) in [("", 1, 1), ("_64", MANY, 1), ("_64_in_turns", MANY, MANY)] {
        std::fs::create_dir_all(&folder)?;
        let plugins = compile(&runtime, &component, &manifest, (&folder, loaded));
        std::fs::remove_dir_all(&folder)?;
        let plugins = plugins?;
        for _ in 0..rounds {
            let took = executor.block_on(measure(plugins.get(..called).unwrap_or_default()))?;
            for (percentile, place) in [("p50", CALLS / 2), ("p99", CALLS * 99 / 100)] {
                let took = took.get(place).copied().unwrap_or_default();
                println!("plugin.{name}{what}_{percentile}_us = {:.2} us", took.as_secs_f64() * 1e6);
            }
        }
    }
    Ok(())
}

/// Many of one: compiled once, and each loaded as a plugin of its own.
fn compile(
    runtime: &Arc<Runtime>,
    component: &[u8],
    manifest: &Manifest,
    (folder, many): (&Path, usize),
) -> Result<Vec<Plugin>, Failure> {
    let root = RootKey::create(&folder.join("root.key"), &SystemRng::new())?;
    let cache = Cache::new(folder.join("compiled"), root.derive(Purpose::PluginCache));
    let one = || {
        let capabilities = manifest.capabilities.clone();
        let grant = Grant::new(capabilities.clone(), capabilities, []);
        let source =
            Source { component, manifest, grant, budget: manifest.budget, config: "{}", cache: Some(&cache) };
        runtime.compile(&source)
    };
    Ok((0..many).map(|_| one()).collect::<Result<_, _>>()?)
}

/// A request as an application reports it.
#[derive(serde::Deserialize)]
struct Reported {
    method: String,
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
}

fn request() -> Result<Input, Failure> {
    let reported: Reported = serde_json::from_str(include_str!("request.json"))?;
    let row = r#"{"sku": "A-1000", "name": "a thing for the house", "count": 3, "price": "19.99"}"#;
    let rows = vec![row; 4_096 / (row.len() + 1)].join(",");
    let request = Request::new(
        &reported.method,
        &reported.path,
        Some(reported.query),
        reported.headers.into_iter().collect(),
        Body::Json(format!("[{rows}]")),
    );
    Ok(Input::Validate { request: Arc::new(request) })
}

/// The calls' durations, in order.
async fn measure(plugins: &[Plugin]) -> Result<Vec<Duration>, Failure> {
    let input = request()?;
    let around = Surroundings {
        now: Timestamp(0),
        seed: [1; 32],
        tenant: "default".into(),
        lookup: None,
        record: false,
    };
    let mut took = Vec::with_capacity(CALLS);
    for (round, plugin) in (0..WARM_UP + CALLS).zip(plugins.iter().cycle()) {
        let called = plugin.call(&around, &input).await;
        called.output.map_err(|failure| format!("the call failed: {failure}"))?;
        if round >= WARM_UP {
            took.push(called.took);
        }
    }
    took.sort_unstable();
    Ok(took)
}
