//! Kept calls, made again: the same component, input and host answers give the same answer, byte for byte, for the same
//! fuel.
//!
//! Promises: nothing is asked of the world but the archive of components. Must never: tell a call as the same that was
//! not made again.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::archive::{Archive, ArchiveError};
use super::sealed::{KeptCall, Outcome};
use super::{Budget, CompileError, Grant, Plugin, Runtime, Source};

/// Makes kept calls again.
#[derive(Debug)]
pub struct Replayer {
    runtime: Arc<Runtime>,
    archive: Archive,
    /// Compiled once for each component, configuration, budget and grant.
    compiled: HashMap<String, Plugin>,
}

/// Why a call can't be made again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Its component is gone.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Its component does not compile any more.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same answer for the same fuel.
    Same,
    /// Another answer, or other fuel.
    Differs(Difference),
    /// The call ended by what no replay has again: time, or what could not be reached.
    NotCompared(String),
}

/// What is not the same: what was kept, and what came now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The fuel, if it is another.
    pub fuel: Option<(u64, u64)>,
    /// The answer, if it is another.
    pub answer: Option<(String, String)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((was, is)) = self.fuel {
            write!(formatter, "fuel {was}, now {is}")?;
        }
        if let Some((was, is)) = &self.answer {
            let between = if self.fuel.is_some() { "; " } else { "" };
            write!(formatter, "{between}answer {was}, now {is}")?;
        }
        Ok(())
    }
}

impl Replayer {
    /// Makes calls again whose components are in this archive.
    pub fn new(runtime: Arc<Runtime>, archive: Archive) -> Self {
        Self { runtime, archive, compiled: HashMap::new() }
    }

    /// Makes a call again and compares.
    ///
    /// # Errors
    /// When its component is gone or does not compile.
    pub fn replay(&mut self, call: &KeptCall) -> Result<Verdict, ReplayError> {
        if let Outcome::Failure(kind) = call.outcome
            && !call.outcome.is_determined()
        {
            return Ok(Verdict::NotCompared(format!("it failed of `{}`", kind.name())));
        }
        let called = self.compiled(call)?.replay(&call.input, &call.transcript);
        let outcome = Outcome::from(&called.output);
        if !outcome.is_determined() {
            return Ok(Verdict::NotCompared("this machine was too slow for its deadline".into()));
        }
        let (was, is) = (call.outcome.to_bytes(), outcome.to_bytes());
        let difference = Difference {
            fuel: (call.fuel != called.fuel).then_some((call.fuel, called.fuel)),
            answer: (was != is).then(|| (shown(&was), shown(&is))),
        };
        let same = difference.fuel.is_none() && difference.answer.is_none();
        Ok(if same { Verdict::Same } else { Verdict::Differs(difference) })
    }

    fn compiled(&mut self, call: &KeptCall) -> Result<Plugin, ReplayError> {
        let KeptCall { digest, capabilities, keys, budget, transcript, .. } = call;
        let key = format!("{:?}", (digest, capabilities, keys, budget, &transcript.config));
        if let Some(plugin) = self.compiled.get(&key) {
            return Ok(plugin.clone());
        }
        let (component, manifest) = self.archive.read(digest)?;
        let declared = manifest.capabilities.iter().chain(capabilities).copied();
        let plugin = self.runtime.compile(&Source {
            component: &component,
            manifest: &manifest,
            grant: Grant::new(declared, capabilities.iter().copied(), keys.iter().cloned()),
            // Fuel bounds it as it did. That this machine is slow, or busy, says nothing of the call.
            budget: Budget { deadline_milliseconds: Budget::MOST.deadline_milliseconds, ..*budget },
            config: &transcript.config,
            cache: None,
        })?;
        self.compiled.insert(key, plugin.clone());
        Ok(plugin)
    }
}

/// As much of an answer as a line has room for.
fn shown(answer: &[u8]) -> String {
    String::from_utf8_lossy(answer).chars().take(400).collect()
}
