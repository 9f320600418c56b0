//! One call: a fresh instance, its budgets, and whatever becomes of it.
//!
//! Promises: it ends within its deadline, with an answer that keeps the contract or a failure that says what it failed of; its memory is
//! gone with it. Must never: panic, or give an answer that was not checked.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, Resource, TypedFunc};
use wasmtime::{Store, Trap};

use super::answer;
use super::bindings::exports::portcullis::plugin::{detector, masker, signer, validator};
use super::bindings::portcullis::plugin::types;
use super::compile::{Compiled, Plugin};
use super::host::{Asked, Document, Ended, Sandbox, Tape};
use super::input::{Event, Message, Observation, Observed, Reading, Request};
use super::surroundings::{Called, Surroundings, Transcript};
use super::{CallFailure, FailureKind, Input, Output};

/// A host function that waits is given up so long after the deadline.
const GRACE: Duration = Duration::from_millis(5);

impl Plugin {
    /// Calls it. Whatever it does, there is an answer within its deadline.
    pub async fn call(&self, surroundings: &Surroundings, input: &Input) -> Called {
        let plugin = &*self.0;
        let tenant = Arc::clone(&surroundings.tenant);
        let mut sandbox = Sandbox::new(Arc::clone(&plugin.fixed), surroundings.seed, tenant);
        sandbox.now = u64::try_from(surroundings.now.as_millis()).unwrap_or_default();
        sandbox.lookup = surroundings.lookup.clone();
        if surroundings.record {
            sandbox.tape = Tape::Recording(Vec::new());
        }
        plugin.run(sandbox, input).await
    }

    /// Plays a call again: everything that the host answered comes from the transcript, so nothing is asked and nothing waits.
    pub fn replay(&self, input: &Input, transcript: &Transcript) -> Called {
        let plugin = &*self.0;
        let mut seed = [0; 32];
        if hex::decode_to_slice(&transcript.seed, &mut seed).is_err()
            || *plugin.fixed.config != *transcript.config
        {
            return failed("the transcript is of another configuration, or damaged");
        }
        let mut sandbox = Sandbox::new(Arc::clone(&plugin.fixed), seed, "".into());
        sandbox.now = transcript.now;
        sandbox.tape = Tape::Playing(transcript.answers.clone().into_iter());
        let running = plugin.run(sandbox, input);
        futures_util::FutureExt::now_or_never(running).unwrap_or_else(|| failed("the replay waits"))
    }
}

fn bad(message: &str) -> CallFailure {
    CallFailure { kind: FailureKind::BadAnswer, message: message.to_owned() }
}

fn failed(message: &str) -> Called {
    Called {
        output: Err(bad(message)),
        fuel: 0,
        took: Duration::ZERO,
        memory_bytes: 0,
        logs: Vec::new(),
        logs_dropped: 0,
        transcript: None,
    }
}

impl Compiled {
    async fn run(&self, sandbox: Sandbox, input: &Input) -> Called {
        let clock = &*self.runtime.services.clock;
        let began_at = clock.monotonic();
        let budget = self.fixed.budget;
        let under_way = self.runtime.ticker.call();
        let mut store = self.store(sandbox);
        let answered = match store.set_fuel(budget.fuel) {
            Ok(()) => self.answer(&mut store, input).await,
            Err(error) => Err(error),
        };
        drop(under_way);
        let fuel = budget.fuel.saturating_sub(store.get_fuel().unwrap_or_default());
        let sandbox = store.data_mut();
        let output = match answered {
            Ok(_) if sandbox.has_unplayed() => Err(bad("the replay differs: it asks the host for less")),
            Ok(output) => Ok(output),
            Err(error) => Err(cause(&error)),
        };
        let called = Called {
            output,
            fuel,
            took: Duration::ZERO,
            memory_bytes: sandbox.limiter.peak_bytes,
            logs: std::mem::take(&mut sandbox.logs),
            logs_dropped: sandbox.logs_dropped,
            transcript: sandbox.transcript(),
        };
        // To unmake an instance is a part of its cost.
        drop(store);
        Called { took: clock.monotonic().saturating_sub(began_at), ..called }
    }

    fn store(&self, sandbox: Sandbox) -> Store<Sandbox> {
        let budget = self.fixed.budget;
        let mut store = Store::new(&self.runtime.engine, sandbox);
        store.limiter(|sandbox| &mut sandbox.limiter);
        store.set_epoch_deadline(budget.deadline_milliseconds + 1);
        store.set_hostcall_fuel(usize::try_from(budget.host_bytes).unwrap_or(usize::MAX));
        store
    }

    /// Whether an instance can be made at all: what can't is no plugin, and better known before it is called.
    pub(super) fn start(&self) -> Result<(), CallFailure> {
        let _under_way = self.runtime.ticker.call();
        let mut store = self.store(Sandbox::new(Arc::clone(&self.fixed), [0; 32], "".into()));
        store.set_fuel(self.fixed.budget.fuel).map_err(|error| cause(&error))?;
        let made = futures_util::FutureExt::now_or_never(self.pre.instantiate_async(&mut store));
        match made {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(cause(&error)),
            None => Err(bad("its start waits")),
        }
    }

    async fn answer(&self, store: &mut Store<Sandbox>, input: &Input) -> wasmtime::Result<Output> {
        if input.hook() != self.manifest.hook {
            return Err(Ended::new(FailureKind::BadAnswer, "it is called for another hook").into());
        }
        if !self.waits {
            let instance = self.pre.instantiate(&mut *store)?;
            return self.dispatch(store, instance, input).await;
        }
        let patience = Duration::from_millis(self.fixed.budget.deadline_milliseconds) + GRACE;
        let work = async {
            let instance = self.pre.instantiate_async(&mut *store).await?;
            self.dispatch(store, instance, input).await
        };
        // Epochs end what runs; this ends what waits. A replay has no timer, and nothing in it waits.
        match tokio::runtime::Handle::try_current() {
            Ok(_) => tokio::time::timeout(patience, work).await.unwrap_or_else(|_| Err(too_late().into())),
            Err(_) => work.await,
        }
    }

    async fn dispatch(
        &self,
        store: &mut Store<Sandbox>,
        instance: Instance,
        input: &Input,
    ) -> wasmtime::Result<Output> {
        let most = self.fixed.budget.output_bytes;
        let checked = match input {
            Input::Validate { request } => {
                let request = hold_request(store, request);
                let (answer,): (Result<Vec<types::Finding>, validator::Rejection>,) =
                    self.enter(store, instance, (request,)).await?;
                answer::validated(answer, most).map(Output::Validate)
            }
            Input::Detect(observation) => {
                let observation = hold_observation(store, observation);
                let (answer,): (Result<detector::Assessment, types::Failure>,) =
                    self.enter(store, instance, (observation,)).await?;
                answer::assessed(answer, most).map(Output::Detect)
            }
            Input::Mask { document, obligations } => {
                let handle = Resource::<Document>::new_borrow(store.data_mut().hold(Arc::clone(document))?);
                let obligations: Vec<_> = obligations.iter().map(masker::Obligation::from).collect();
                let (answer,): (Result<Vec<masker::Edit>, types::Failure>,) =
                    self.enter(store, instance, (handle, obligations)).await?;
                answer::masked(answer, document, most).map(|edits| Output::Mask { edits })
            }
            Input::Sign { message, key } => {
                let message = signer::Message::from(message);
                let (answer,): (Result<Vec<types::Header>, types::Failure>,) =
                    self.enter(store, instance, (message, key.clone())).await?;
                answer::signed(answer, most).map(|headers| Output::Sign { headers })
            }
        };
        Ok(checked?)
    }

    async fn enter<P, R>(
        &self,
        store: &mut Store<Sandbox>,
        instance: Instance,
        parameters: P,
    ) -> wasmtime::Result<R>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function: TypedFunc<P, R> = instance.get_typed_func(&mut *store, self.entry)?;
        if self.waits {
            function.call_async(&mut *store, parameters).await
        } else {
            function.call(&mut *store, parameters)
        }
    }
}

fn too_late() -> Ended {
    Ended::new(FailureKind::Deadline, "its time was over while it waited for the host")
}

fn hold_request(store: &mut Store<Sandbox>, request: &Arc<Request>) -> Resource<Asked> {
    store.data_mut().request = Some(Arc::clone(request));
    Resource::new_borrow(0)
}

fn hold_observation(store: &mut Store<Sandbox>, observation: &Observation) -> detector::Observation {
    let subject = match &observation.subject {
        Observed::Request(request) => detector::Subject::Request(hold_request(store, request)),
        Observed::Event(event) => detector::Subject::Event(event.into()),
    };
    let counters = observation.counters.iter().map(detector::Reading::from).collect();
    detector::Observation { subject, counters }
}

/// What a failed call failed of.
pub(super) fn cause(error: &wasmtime::Error) -> CallFailure {
    let with = |kind| CallFailure { kind, message: format!("{error:#}") };
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return CallFailure { kind: ended.kind, message: ended.message.clone() };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return with(FailureKind::Fuel),
        Some(Trap::Interrupt) => return with(FailureKind::Deadline),
        Some(Trap::AllocationTooLarge) => return with(FailureKind::Memory),
        Some(_) => return with(FailureKind::Trap),
        None => {}
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return with(FailureKind::Unavailable);
    }
    let text = format!("{error:#}");
    let kind = if text.contains("fuel allocated for hostcalls has been exhausted") {
        FailureKind::HostBytes
    } else if text.contains("memory minimum size") || text.contains("table minimum size") {
        FailureKind::Memory
    } else {
        // Everything else is what crosses the boundary in another form than the contract's.
        FailureKind::BadAnswer
    };
    CallFailure { kind, message: text }
}

impl From<&super::input::MaskObligation> for masker::Obligation {
    fn from(obligation: &super::input::MaskObligation) -> Self {
        use crate::decision::obligation::MaskMethod;
        let method = match obligation.method {
            MaskMethod::Partial => masker::Method::Partial,
            MaskMethod::Hash => masker::Method::Hash,
            MaskMethod::Redact => masker::Method::Redact,
        };
        Self { pointer: obligation.pointer.clone(), method }
    }
}

impl From<&Message> for signer::Message {
    fn from(message: &Message) -> Self {
        match message {
            Message::Bytes(bytes) => Self::Bytes(bytes.clone()),
            Message::Request(request) => Self::Request(signer::Components {
                method: request.method.clone(),
                target_uri: request.target_uri.clone(),
                headers: request
                    .headers
                    .iter()
                    .map(|(name, value)| types::Header { name: name.clone(), value: value.clone() })
                    .collect(),
                body: request.body.clone(),
            }),
        }
    }
}

impl From<&Event> for detector::Event {
    fn from(event: &Event) -> Self {
        let attributes = event.attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
        Self { kind: event.kind.clone(), at: event.at, attributes: attributes.collect() }
    }
}

impl From<&Reading> for detector::Reading {
    fn from(reading: &Reading) -> Self {
        Self { name: reading.name.clone(), value: reading.value, window_seconds: reading.window_seconds }
    }
}
