//! Where a plugin is tried: the sandbox of production, with keys, entities and a state of its own.
//!
//! Promises: each configuration is compiled once; nothing is left behind. Must never: be used on a worker: it blocks.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::given::{Entities, instant};
use super::{Case, CaseFile, CaseKeys};
use crate::clock::{Clock, Timestamp};
use crate::plugin::schema::{self, Misfit};
use crate::plugin::{
    Budget, Called, Capability, CompileError, FailureKind, Grant, Input, Manifest, Plugin, Runtime,
    RuntimeSettings, Services, Source, Surroundings,
};
use crate::random::Rng;
use crate::state::{self, State};
use crate::store::Store;

/// The instant of a case that names none: 2026-01-01T00:00:00Z.
const NEW_YEAR: Timestamp = Timestamp(1_767_225_600_000_000);
/// A deadline that is missed is tried again: another program may have had the processor. Fuel is what repeats exactly.
const TRIES: u32 = 3;
/// One call at a time needs few.
const INSTANCES: u32 = 4;

/// What is tried, and with which clock and randomness.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// What a call may cost.
    pub budget: Budget,
    /// For how long a call took.
    pub clock: Arc<dyn Clock>,
    /// For what the state needs.
    pub rng: Arc<dyn Rng>,
    /// How long all cases together may take; none is as long as they take.
    pub patience: Option<Duration>,
}

/// Why a plugin can't be tried.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// There is no sandbox, or no state for it.
    #[error("the sandbox can't be made: {0}")]
    Sandbox(String),
    /// A key is out of form.
    #[error("{0}")]
    Key(String),
    /// The configuration does not fit the manifest's schema.
    #[error(transparent)]
    Config(#[from] Misfit),
    /// The component can't be called.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// The case is out of form.
    #[error("{0}")]
    Case(String),
    /// There are too many, or they are too slow.
    #[error("they take longer than {} seconds", .0.as_secs())]
    TooLong(Duration),
}

/// A place to try a plugin.
pub struct Trial<'a> {
    setup: Setup<'a>,
    keys: CaseKeys,
    runtime: Arc<Runtime>,
    waiting: tokio::runtime::Runtime,
    compiled: Vec<(String, Vec<Capability>, Plugin)>,
    calls: u64,
    began: Duration,
    /// The state lies in it.
    _folder: Option<tempfile::TempDir>,
}

/// A call that can be made.
#[derive(Debug)]
pub struct Ready {
    /// What is called.
    pub plugin: Plugin,
    /// What it stands in.
    pub surroundings: Surroundings,
    /// What it is given.
    pub input: Input,
    /// How often; the last answer counts.
    pub repeat: u32,
}

impl<'a> Trial<'a> {
    /// Makes the sandbox, and a state if the manifest asks for one.
    ///
    /// # Errors
    /// When the system refuses, or a key is out of form.
    pub fn new(setup: Setup<'a>, keys: CaseKeys) -> Result<Self, TrialError> {
        let failed = |error: &dyn std::fmt::Display| TrialError::Sandbox(error.to_string());
        let waiting = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let waiting = waiting.map_err(|error| failed(&error))?;
        let asks = setup.manifest.capabilities.iter().any(|capability| capability.waits());
        let folder = asks.then(tempfile::tempdir).transpose().map_err(|error| failed(&error))?;
        let state = folder.as_ref().map(|folder| waiting.block_on(open_state(&setup, folder.path())));
        let services = Services {
            clock: Arc::clone(&setup.clock),
            state: state.transpose().map_err(|error| failed(&error))?,
            keys: keys.make()?,
        };
        let settings = RuntimeSettings { instances: INSTANCES, ..RuntimeSettings::default() };
        let runtime = Runtime::new(settings, services).map_err(|error| failed(&error))?;
        let began = setup.clock.monotonic();
        Ok(Self { setup, keys, runtime, waiting, compiled: Vec::new(), calls: 0, began, _folder: folder })
    }

    /// Reads a case, and compiles the plugin with its configuration.
    ///
    /// # Errors
    /// When the case is out of form, or the plugin does not load with its configuration.
    pub fn ready(&mut self, file: &CaseFile, case: &Case) -> Result<Ready, TrialError> {
        let now = case.now.as_deref().or(file.now.as_deref()).map_or(Ok(NEW_YEAR), instant);
        let now = now.map_err(TrialError::Case)?;
        let mut seed = [0; 32];
        let number = case.seed.or(file.seed).unwrap_or_default().to_le_bytes();
        seed.iter_mut().zip(number).for_each(|(byte, given)| *byte = given);
        let none = Value::Object(serde_json::Map::new());
        let config = case.config.as_ref().or(file.config.as_ref()).unwrap_or(&none);
        let withheld = case.withhold.as_ref().or(file.withhold.as_ref()).cloned().unwrap_or_default();
        let input = case.input(self.setup.manifest.hook, now).map_err(TrialError::Case)?;
        let entities = case.entities.iter().chain(&file.entities).cloned().collect();
        // Nothing that one case counts or keeps is seen by another.
        self.calls += 1;
        Ok(Ready {
            plugin: self.plugin(config, &withheld)?,
            surroundings: Surroundings {
                now,
                seed,
                tenant: format!("case-{}", self.calls).into(),
                lookup: Some(Arc::new(Entities(entities))),
                record: false,
            },
            input,
            repeat: case.repeat.unwrap_or(1).max(1),
        })
    }

    /// Whether there is time left.
    ///
    /// # Errors
    /// When there is none.
    pub fn check_time(&self) -> Result<(), TrialError> {
        let took = self.setup.clock.monotonic().saturating_sub(self.began);
        match self.setup.patience {
            Some(patience) if took > patience => Err(TrialError::TooLong(patience)),
            _ => Ok(()),
        }
    }

    /// Calls it; not again when no time is left.
    pub fn call(&self, ready: &Ready) -> Called {
        let once = || self.waiting.block_on(ready.plugin.call(&ready.surroundings, &ready.input));
        let is_late = |called: &Called| {
            called.output.as_ref().is_err_and(|failure| failure.kind == FailureKind::Deadline)
        };
        let mut called = once();
        for _ in 1..ready.repeat {
            if self.check_time().is_err() {
                break;
            }
            called = once();
        }
        // Where it is called more than once, a call more would count.
        for _ in 1..TRIES {
            if ready.repeat == 1 && is_late(&called) {
                called = once();
            }
        }
        called
    }

    fn plugin(&mut self, config: &Value, withheld: &[Capability]) -> Result<Plugin, TrialError> {
        let text = config.to_string();
        let known = self.compiled.iter().find(|(of, without, _)| *of == text && without == withheld);
        if let Some((_, _, plugin)) = known {
            return Ok(plugin.clone());
        }
        let manifest = self.setup.manifest;
        fits(manifest, config)?;
        let declared = manifest.capabilities.iter().copied();
        let granted = declared.clone().filter(|capability| !withheld.contains(capability));
        let plugin = self.runtime.compile(&Source {
            component: self.setup.component,
            manifest,
            grant: Grant::new(declared, granted, self.keys.names()),
            budget: self.setup.budget,
            config: &text,
            cache: None,
        })?;
        self.compiled.push((text, withheld.to_vec(), plugin.clone()));
        Ok(plugin)
    }
}

async fn open_state(
    setup: &Setup<'_>,
    folder: &std::path::Path,
) -> Result<State, Box<dyn std::error::Error>> {
    let store = Store::open(folder).await?;
    let settings = state::Settings { redis_url: None, key_prefix: "" };
    Ok(State::open(&settings, &store, Arc::clone(&setup.clock), Arc::clone(&setup.rng)).await?)
}

/// Whether a configuration fits the manifest's schema, as a server checks it.
fn fits(manifest: &Manifest, config: &Value) -> Result<(), TrialError> {
    let Some(members) = config.as_object() else {
        return Err(TrialError::Case("`config` must be an object".into()));
    };
    Ok(schema::check(manifest, members)?)
}
