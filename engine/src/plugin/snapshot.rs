//! The initialiser: run once, and the memory that it leaves is where every call begins.

use std::sync::Arc;

use futures_util::FutureExt as _;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, Lift, TypedFunc, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::bindings::portcullis::plugin::types;
use super::call::cause;
use super::compile::CompileError;
use super::host::{Fixed, Sandbox};
use super::runtime::Runtime;

/// An initialiser may parse its configuration and build tables: more than a call, and still bounded.
const FUEL: u64 = 1_000_000_000;
const DEADLINE_TICKS: u64 = 5_000;

/// The component as its initialiser leaves it.
///
/// # Errors
/// When it fails, traps, or leaves what can't be kept.
pub(super) fn initialised(
    runtime: &Arc<Runtime>,
    component: &[u8],
    initialiser: &str,
    fixed: Arc<Fixed>,
) -> Result<Vec<u8>, CompileError> {
    let failed = |error: wasmtime::Error| CompileError::Initialiser(cause(&error).to_string());
    let wizer = Wizer::new();
    let kept =
        |error: wasmtime::Error| CompileError::Initialiser(format!("its memory can't be kept: {error:#}"));
    let (context, instrumented) = wizer.instrument_component(component).map_err(kept)?;
    let compiled = runtime.machine_code(&instrumented)?;
    let mut sandbox = Sandbox::new(Arc::clone(&fixed), [0; 32], "".into());
    sandbox.initialising = true;
    let mut store = Store::new(&runtime.engine, sandbox);
    store.limiter(|sandbox| &mut sandbox.limiter);
    store.set_fuel(FUEL).map_err(failed)?;
    store.set_epoch_deadline(DEADLINE_TICKS);
    store.set_hostcall_fuel(usize::try_from(fixed.budget.host_bytes).unwrap_or(usize::MAX));
    let under_way = runtime.ticker.call();
    let mut running = Running { store, instance: None, unread: false };
    let work = async {
        running.initialise(runtime, &compiled, initialiser).await?;
        // Reading what it left costs fuel as well, and passes all of its memory.
        running.store.set_fuel(FUEL).map_err(failed)?;
        running.store.set_hostcall_fuel(usize::MAX);
        let snapshot = wizer.snapshot_component(&context, &mut running).await.map_err(kept)?;
        if running.unread {
            return Err(CompileError::Initialiser("its memory can't be read".to_owned()));
        }
        Ok(snapshot)
    };
    // Nothing in it waits: `config` and `log` answer at once, and nothing else answers.
    let done = work.now_or_never();
    drop(under_way);
    for line in std::mem::take(&mut running.store.data_mut().logs) {
        tracing::info!(plugin = fixed.name, level = line.level, "{}", line.message);
    }
    done.unwrap_or_else(|| Err(CompileError::Initialiser("it waits, which an initialiser can't".to_owned())))
}

/// An instance whose initialiser runs.
struct Running {
    store: Store<Sandbox>,
    instance: Option<Instance>,
    /// Whether something that it left could not be read.
    unread: bool,
}

impl Running {
    async fn initialise(
        &mut self,
        runtime: &Runtime,
        component: &Component,
        initialiser: &str,
    ) -> Result<(), CompileError> {
        let failed = |error: wasmtime::Error| CompileError::Initialiser(cause(&error).to_string());
        let missing = || CompileError::Initialiser("`initialise` is not exported".to_owned());
        let instance = runtime.waiting.instantiate_async(&mut self.store, component).await.map_err(failed)?;
        self.instance = Some(instance);
        let (_, interface) = component.get_export(None, initialiser).ok_or_else(missing)?;
        let (_, function) = component.get_export(Some(&interface), "initialise").ok_or_else(missing)?;
        let function: TypedFunc<(), (Result<(), types::Failure>,)> =
            instance.get_typed_func(&mut self.store, function).map_err(failed)?;
        let (done,) = function.call_async(&mut self.store, ()).await.map_err(failed)?;
        done.map_err(|failure| {
            let failure = format!("{failure:?}").split("::").last().unwrap_or_default().to_ascii_lowercase();
            CompileError::Initialiser(format!("it says `{failure}`: look at its configuration"))
        })
    }

    /// What the instrumented component answers about itself.
    async fn ask<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, name: &str) -> Option<R> {
        let answer = self.asked(instance, name).await;
        self.unread |= answer.is_none();
        answer
    }

    async fn asked<R: Lift + Send + Sync + 'static>(&mut self, instance: &str, name: &str) -> Option<R> {
        let of = self.instance?;
        let interface = of.get_export_index(&mut self.store, None, instance)?;
        let index = of.get_export_index(&mut self.store, Some(&interface), name)?;
        let function: TypedFunc<(), (R,)> = of.get_typed_func(&mut self.store, index).ok()?;
        let (answer,) = function.call_async(&mut self.store, ()).await.ok()?;
        Some(answer)
    }
}

impl ComponentInstanceState for Running {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        if let Some(list) = self.ask::<WasmList<u8>>(instance, func).await {
            contents(list.as_le_slice(&self.store));
        }
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.ask(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.ask(instance, func).await.unwrap_or_default()
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        self.ask::<f32>(instance, func).await.unwrap_or_default().to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        self.ask::<f64>(instance, func).await.unwrap_or_default().to_bits()
    }
}
