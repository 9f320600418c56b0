//! From a component's bytes to something that can be called.
//!
//! Promises: what it imports is what its manifest declares; what is too large or takes too long to compile is refused; an initialiser
//! runs once, here, and never again. Must never: run compiled code that this node did not make.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::cache::Cache;
use super::digest::{Digest, digest};
use super::host::{Fixed, Sandbox};
use super::inspect::{Inspection, Wanted, inspect, wanted};
use super::runtime::Runtime;
use super::{Budget, FailureKind, Grant, Hook, Manifest, snapshot};

/// What a plugin is made of.
#[derive(Debug)]
pub struct Source<'a> {
    /// The component.
    pub component: &'a [u8],
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// What it may use.
    pub grant: Grant,
    /// What a call may cost.
    pub budget: Budget,
    /// Its configuration: JSON text that fits the manifest's schema.
    pub config: &'a str,
    /// Where compiled code is kept.
    pub cache: Option<&'a Cache>,
}

/// Why a component can't be called.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// It is larger than it may be.
    #[error("the component has {bytes} bytes and may have {most} (`plugins.component_bytes`)")]
    TooLarge {
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        most: usize,
    },
    /// It is no component.
    #[error("that is no component: {0}")]
    NoComponent(String),
    /// It imports what is no plugin's to import.
    #[error(
        "it imports `{0}`, which no plugin is given: build it for `wasm32-unknown-unknown`, with nothing but the contract's imports"
    )]
    ForeignImport(String),
    /// It imports what its manifest does not declare.
    #[error("it imports `{import}`, and its manifest does not declare the capability `{capability}`")]
    Undeclared {
        /// The import.
        import: String,
        /// The capability.
        capability: &'static str,
    },
    /// It does not export its hook.
    #[error(
        "its manifest says `hook = \"{hook}\"`, and it does not export `portcullis:plugin/{interface}@1`"
    )]
    HookMissing {
        /// The hook.
        hook: &'static str,
        /// The interface that is missing.
        interface: &'static str,
    },
    /// Its initialiser failed.
    #[error("its initialiser failed: {0}")]
    Initialiser(String),
    /// No instance of it can be made.
    #[error("it can't start within its budget: {0}")]
    Start(String),
    /// It does not compile.
    #[error("it does not compile: {0}")]
    Compiler(String),
    /// It took too long to compile.
    #[error("it was not compiled in {0} seconds (`plugins.compile_seconds`)")]
    TooSlow(u64),
}

/// A plugin that can be called. It is cheap to copy.
#[derive(Clone)]
pub struct Plugin(pub(super) Arc<Compiled>);

pub(super) struct Compiled {
    pub(super) runtime: Arc<Runtime>,
    pub(super) manifest: Manifest,
    pub(super) digest: Digest,
    pub(super) inspection: Inspection,
    pub(super) fixed: Arc<Fixed>,
    pub(super) pre: InstancePre<Sandbox>,
    pub(super) entry: ComponentExportIndex,
    /// Whether it imports what waits for the state.
    pub(super) waits: bool,
    /// What its compiled code is called in the cache, when there is one.
    pub(super) cached_as: Option<String>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Plugin({} {} {})", self.0.manifest.name, self.0.manifest.version, self.0.digest)
    }
}

impl Runtime {
    /// Checks, initialises, compiles and links a component. Takes a while: not on a worker.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(self: &Arc<Self>, source: &Source<'_>) -> Result<Plugin, CompileError> {
        let inspection = self.check(source)?;
        let fixed = Arc::new(Fixed {
            name: source.manifest.name.clone(),
            grant: source.grant.clone(),
            budget: source.budget,
            config: source.config.into(),
            keys: Arc::clone(&self.services.keys),
            state: self.services.state.clone(),
        });
        let waits = inspection.capabilities().any(super::Capability::waits);
        let cached_as = source.cache.map(|_| Cache::name(&self.engine, source));
        let component = self.component((source, cached_as.as_deref()), &inspection, &fixed)?;
        let failed = |error: wasmtime::Error| CompileError::Compiler(format!("{error:#}"));
        let entry = entry_of(&component, &inspection, source.manifest.hook)?;
        let linker = if waits { &self.waiting } else { &self.prompt };
        let pre = linker.instantiate_pre(&component).map_err(failed)?;
        let compiled = Compiled {
            runtime: Arc::clone(self),
            manifest: source.manifest.clone(),
            digest: digest(source.component),
            inspection,
            fixed,
            pre,
            entry,
            waits,
            cached_as,
        };
        match compiled.start() {
            // That other calls have all instances just now says nothing of this plugin.
            Err(failure) if failure.kind != FailureKind::Unavailable => {
                return Err(CompileError::Start(failure.to_string()));
            }
            _ => {}
        }
        Ok(Plugin(Arc::new(compiled)))
    }

    /// What can be said without compiling.
    fn check(&self, source: &Source<'_>) -> Result<Inspection, CompileError> {
        let (bytes, most) = (source.component.len(), self.settings.component_bytes);
        if bytes > most {
            return Err(CompileError::TooLarge { bytes, most });
        }
        let inspection = inspect(source.component).map_err(CompileError::NoComponent)?;
        for import in &inspection.imports {
            match wanted(import) {
                Wanted::Types => {}
                Wanted::Foreign => return Err(CompileError::ForeignImport(import.clone())),
                Wanted::Capability(capability) if source.manifest.capabilities.contains(&capability) => {}
                Wanted::Capability(capability) => {
                    let capability = capability.name();
                    return Err(CompileError::Undeclared { import: import.clone(), capability });
                }
            }
        }
        let hook = source.manifest.hook;
        match inspection.export(hook.interface()) {
            Some(_) => Ok(inspection),
            None => Err(CompileError::HookMissing { hook: hook.name(), interface: hook.interface() }),
        }
    }

    /// The compiled component, from the cache where that can vouch for it.
    fn component(
        self: &Arc<Self>,
        (source, name): (&Source<'_>, Option<&str>),
        inspection: &Inspection,
        fixed: &Arc<Fixed>,
    ) -> Result<Component, CompileError> {
        if let (Some(cache), Some(name)) = (source.cache, name)
            && let Some(component) = cache.load(&self.engine, name)
        {
            return Ok(component);
        }
        let (runtime, bytes, fixed) = (Arc::clone(self), source.component.to_vec(), Arc::clone(fixed));
        let initialiser = inspection.export("initialiser").map(str::to_owned);
        let component = self.in_time(move || match initialiser {
            None => runtime.machine_code(&bytes),
            Some(name) => runtime.machine_code(&snapshot::initialised(&runtime, &bytes, &name, fixed)?),
        })?;
        if let (Some(cache), Some(name)) = (source.cache, name) {
            cache.keep(name, &component);
        }
        Ok(component)
    }

    /// Compiles a component.
    ///
    /// # Errors
    /// When it is not valid, or uses what this engine does not have.
    pub(super) fn machine_code(&self, bytes: &[u8]) -> Result<Component, CompileError> {
        Component::new(&self.engine, bytes).map_err(|error| CompileError::Compiler(format!("{error:#}")))
    }

    /// Works on a thread of its own, which is left alone when it takes too long: neither that nor a panic over a
    /// component that nobody foresaw ends more than this plugin's load.
    fn in_time<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CompileError> + Send + 'static,
    ) -> Result<T, CompileError> {
        let (done, compiled) = sync_channel(1);
        std::thread::Builder::new()
            .name("plugin-compiler".into())
            .spawn(move || done.send(work()).ok())
            .map_err(|error| CompileError::Compiler(error.to_string()))?;
        let seconds = self.settings.compile_seconds;
        match compiled.recv_timeout(Duration::from_secs(seconds)) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err(CompileError::TooSlow(seconds)),
            Err(RecvTimeoutError::Disconnected) => {
                Err(CompileError::Compiler("it holds what the compiler can't read".to_owned()))
            }
        }
    }
}

/// Where the hook's function is among a component's exports.
fn entry_of(
    component: &Component,
    inspection: &Inspection,
    hook: Hook,
) -> Result<ComponentExportIndex, CompileError> {
    let missing = || CompileError::HookMissing { hook: hook.name(), interface: hook.interface() };
    let interface = inspection.export(hook.interface()).ok_or_else(missing)?;
    let (_, interface) = component.get_export(None, interface).ok_or_else(missing)?;
    let (_, function) = component.get_export(Some(&interface), hook.name()).ok_or_else(missing)?;
    Ok(function)
}

impl Plugin {
    /// Its own description.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// Which component it is.
    pub fn digest(&self) -> &Digest {
        &self.0.digest
    }

    /// What it may use.
    pub fn grant(&self) -> &Grant {
        &self.0.fixed.grant
    }

    /// What a call may cost.
    pub fn budget(&self) -> &Budget {
        &self.0.fixed.budget
    }

    /// What its compiled code is called in the cache, when there is one.
    pub(super) fn cached_as(&self) -> Option<&str> {
        self.0.cached_as.as_deref()
    }

    /// Its configuration, as JSON text.
    pub fn config(&self) -> &str {
        &self.0.fixed.config
    }

    /// What its component imports, by full names.
    pub fn imports(&self) -> &[String] {
        &self.0.inspection.imports
    }
}
