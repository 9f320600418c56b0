//! The engine that plugins run on: one for the process.
//!
//! Promises: what runs is interrupted when its time is over, whatever it does; an idle server has no timer. Must never: turn on a
//! feature of WebAssembly whose results differ between machines.

use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::Budget;
use super::bindings::portcullis::plugin;
use super::host::Sandbox;
use super::surroundings::Keys;
use super::ticker::Ticker;
use crate::clock::Clock;
use crate::state::State;

/// How much the runtime may take.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeSettings {
    /// How many calls there can be at once.
    pub instances: u32,
    /// How long the compilation of one plugin may take, in seconds.
    pub compile_seconds: u64,
    /// How large a component may be, in bytes.
    pub component_bytes: usize,
}

impl Default for RuntimeSettings {
    fn default() -> Self {
        Self { instances: 256, compile_seconds: 30, component_bytes: 16 << 20 }
    }
}

/// What functions of the host stand on.
#[derive(Clone, Debug)]
pub struct Services {
    /// For how long a call took.
    pub clock: Arc<dyn Clock>,
    /// For `counter` and `kv`; without it they are unavailable.
    pub state: Option<State>,
    /// For `crypto`.
    pub keys: Arc<dyn Keys>,
}

/// Why there is no runtime.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine can't be made.
    #[error("the runtime of plugins can't start: {0}")]
    Engine(String),
    /// The thread that ends what takes too long can't be started.
    #[error("the timer of plugins can't start: {0}")]
    Ticker(#[from] std::io::Error),
}

/// The engine, and what every plugin is linked with.
pub struct Runtime {
    pub(super) engine: Engine,
    /// For components that import nothing that waits.
    pub(super) prompt: Linker<Sandbox>,
    /// For the others.
    pub(super) waiting: Linker<Sandbox>,
    pub(super) settings: RuntimeSettings,
    pub(super) services: Services,
    pub(super) ticker: Ticker,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// A deep recursion ends here.
const STACK_BYTES: usize = 512 << 10;
/// Memory of an instance that is kept from call to call; what a call wrote is reset.
const RESIDENT_BYTES: usize = 4 << 20;

impl Runtime {
    /// Makes the engine, and reserves address space for its instances.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new(settings: RuntimeSettings, services: Services) -> Result<Arc<Self>, RuntimeError> {
        let failed = |error: wasmtime::Error| RuntimeError::Engine(format!("{error:#}"));
        let engine = Engine::new(&config(settings.instances)).map_err(failed)?;
        let prompt = linker(&engine, false).map_err(failed)?;
        let waiting = linker(&engine, true).map_err(failed)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Arc::new(Self { engine, prompt, waiting, settings, services, ticker }))
    }
}

fn config(instances: u32) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(4))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(2))
        .total_stacks(instances)
        .max_memories_per_component(1)
        .max_tables_per_component(2)
        .max_core_instances_per_component(4)
        .max_memory_size(usize::try_from(Budget::MOST.memory_bytes).unwrap_or(usize::MAX))
        .table_elements(20_000)
        .max_unused_warm_slots(instances)
        .linear_memory_keep_resident(RESIDENT_BYTES)
        .table_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .memory_init_cow(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

fn linker(engine: &Engine, waits: bool) -> wasmtime::Result<Linker<Sandbox>> {
    type Data = HasSelf<Sandbox>;
    let mut linker = Linker::new(engine);
    plugin::types::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    plugin::log::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    plugin::config::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    plugin::clock::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    plugin::random::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    plugin::crypto::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    plugin::lookup::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    if waits {
        plugin::counter::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
        plugin::kv::add_to_linker::<_, Data>(&mut linker, |sandbox| sandbox)?;
    }
    Ok(linker)
}
