//! Calls of a plugin, for `cargo xtask bench plugin`: how long each takes, its instance's making and unmaking included.
//!
//! The plugin reads all headers of a request, its body's bytes and the body's leaves. Arguments: how many rounds, how many
//! calls each. Prints a line `single|many <median> <99th percentile>` a round, in nanoseconds: one plugin, and 64 in turns.

#![expect(clippy::print_stdout, reason = "the bench reads the figures from standard output")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use portcullis::clock::{Clock as _, SystemClock, Timestamp};
use portcullis::plugin::input::Body;
use portcullis::plugin::surroundings::{Algorithm, Keys, Refusal};
use portcullis::plugin::{
    Budget, Grant, Hook, Input, Manifest, Output, Plugin, Request, Runtime, RuntimeSettings, Services,
    Source, Surroundings,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

// The server's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const PLUGINS: usize = 64;
const BODY_BYTES: usize = 4 << 10;

/// Reads everything, adds its bytes up, and says so in a finding.
const GUEST: &str = include_str!("plugin_calls.wat");

#[derive(Debug)]
struct NoKeys;

impl Keys for NoKeys {
    fn algorithm(&self, _: &str) -> Result<Algorithm, Refusal> {
        Err(Refusal::Unknown)
    }
    fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }
    fn verify(&self, _: &str, _: &[u8], _: &[u8]) -> Result<bool, Refusal> {
        Err(Refusal::Unknown)
    }
    fn seal(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }
    fn open(&self, _: &str, _: &[u8], _: &[u8]) -> Result<Vec<u8>, Refusal> {
        Err(Refusal::Unknown)
    }
}

/// The guest, with a mark that makes it another component than the others.
fn component(mark: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut resolve = wit_parser::Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit"))?;
    let world = resolve.select_world(&[package], Some("validate"))?;
    let mut module = wat::parse_str(GUEST.replace("MARK", &mark.to_string()))?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    Ok(ComponentEncoder::default().validate(true).module(&module)?.encode()?)
}

fn plugin(runtime: &Arc<Runtime>, mark: usize) -> Result<Plugin, Box<dyn Error>> {
    let manifest = Manifest {
        name: format!("reader-{mark}"),
        version: "1.0.0".into(),
        description: String::new(),
        hook: Hook::Validate,
        capabilities: Vec::new(),
        budget: Budget::default(),
        config_schema: None,
        routes: Vec::new(),
        events: Vec::new(),
        counters: Vec::new(),
    };
    let component = component(mark)?;
    let source = Source {
        component: &component,
        manifest: &manifest,
        grant: Grant::default(),
        budget: manifest.budget,
        config: "{}",
        cache: None,
    };
    Ok(runtime.compile(&source)?)
}

/// 8 headers, 4 KB of JSON.
fn request() -> Input {
    let headers = [
        ("host", "shop.example.com"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("accept", "application/json, text/plain, */*"),
        ("accept-language", "en-GB,en;q=0.8,de;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("content-type", "application/json"),
        ("origin", "https://shop.example.com"),
        ("referer", "https://shop.example.com/basket?step=2"),
    ];
    let mut body = String::from("{\"items\": [");
    for item in 0.. {
        if body.len() > BODY_BYTES - 110 {
            break;
        }
        let separator = if item == 0 { "" } else { "," };
        _ = write!(
            body,
            "{separator}{{\"sku\": \"SKU-{item:05}\", \"quantity\": {}, \"price\": \"{}.95\", \"note\": \"as before, but blue\"}}",
            item % 7,
            item * 3
        );
    }
    body.push_str("], \"voucher\": null, \"gift\": false}");
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut request = Request::default();
    request.method.push_str("POST");
    request.path.push_str("/orders");
    request.headers = headers.to_vec();
    request.body = Body::Json(body);
    Input::Validate { request: Arc::new(request) }
}

/// So many calls, of each plugin in turn: the median and the 99th percentile in nanoseconds.
async fn measure(plugins: &[Plugin], calls: usize) -> Result<(u128, u128), Box<dyn Error>> {
    let surroundings = Surroundings {
        now: Timestamp(1_800_000_000_000_000),
        seed: [7; 32],
        tenant: "default".into(),
        lookup: None,
        record: false,
    };
    let (input, clock) = (request(), SystemClock::new());
    let mut took = Vec::with_capacity(calls);
    for plugin in plugins.iter().cycle().take(calls) {
        let began_at = clock.monotonic();
        let called = plugin.call(&surroundings, &input).await;
        took.push((clock.monotonic() - began_at).as_nanos());
        match called.output {
            Ok(Output::Validate(said)) if said.findings.len() == 1 => {}
            other => return Err(format!("the plugin answered {other:?}").into()),
        }
    }
    took.sort_unstable();
    let at = |percent: usize| took.get((calls * percent).div_ceil(100) - 1).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let (rounds, calls) = (number(7)?.max(1), number(20_000)?.max(PLUGINS));
    let services = Services { clock: Arc::new(SystemClock::new()), state: None, keys: Arc::new(NoKeys) };
    let runtime = Runtime::new(RuntimeSettings::default(), services)?;
    let single = [plugin(&runtime, PLUGINS)?];
    measure(&single, calls / 10 + 1).await?;
    for _ in 0..rounds {
        let (median, late) = measure(&single, calls).await?;
        println!("single {median} {late}");
    }
    let many = (0..PLUGINS).map(|mark| plugin(&runtime, mark)).collect::<Result<Vec<_>, _>>()?;
    measure(&many, calls / 10 + PLUGINS).await?;
    for _ in 0..rounds {
        let (median, late) = measure(&many, calls).await?;
        println!("many {median} {late}");
    }
    Ok(())
}
