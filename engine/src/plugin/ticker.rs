//! The timer that ends calls: it ticks each millisecond while there are calls, and rests when there are none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use wasmtime::Engine;

/// One step of the engine's epoch.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// So many ticks without a call, and it rests.
const PATIENCE: u32 = 1_000;

/// Advances the engine's epoch while calls are under way.
#[derive(Debug)]
pub(super) struct Ticker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    begun: AtomicU64,
    ended: AtomicU64,
    resting: AtomicBool,
    gone: AtomicBool,
    turn: Mutex<()>,
    woken: Condvar,
}

/// A call under way.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a Shared);

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        std::thread::Builder::new().name("plugin-timer".into()).spawn(move || own.run(&engine))?;
        Ok(Self(shared))
    }

    /// Ticks at least for as long as what this gives lives.
    pub(super) fn call(&self) -> UnderWay<'_> {
        let shared = &*self.0;
        shared.begun.fetch_add(1, Ordering::SeqCst);
        if shared.resting.load(Ordering::SeqCst) {
            drop(shared.turn.lock().unwrap_or_else(PoisonError::into_inner));
            shared.woken.notify_one();
        }
        UnderWay(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::SeqCst);
        drop(self.0.turn.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.woken.notify_one();
    }
}

impl Shared {
    fn run(&self, engine: &Engine) {
        let mut idle = 0;
        let mut seen = 0;
        while !self.gone.load(Ordering::SeqCst) {
            std::thread::sleep(TICK);
            engine.increment_epoch();
            let begun = self.begun.load(Ordering::SeqCst);
            let busy = begun != seen || begun != self.ended.load(Ordering::SeqCst);
            seen = begun;
            idle = if busy { 0 } else { idle + 1 };
            if idle > PATIENCE {
                self.rest(begun);
                idle = 0;
            }
        }
    }

    /// Sleeps until a call begins.
    fn rest(&self, seen: u64) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.resting.store(true, Ordering::SeqCst);
        while self.begun.load(Ordering::SeqCst) == seen && !self.gone.load(Ordering::SeqCst) {
            turn = self.woken.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        self.resting.store(false, Ordering::SeqCst);
    }
}
