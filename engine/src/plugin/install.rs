//! From the plugins folder to a set that can be served.
//!
//! Promises: files are read once; what nobody vouches for, what asks for more than it was given, and what fails its own
//! cases does not run. A plugin that can't be loaded leaves its build before where it is. Must never: run a plugin that has
//! no section, or leave one out silently that has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::archive::{Archive, ArchiveError};
use super::breaker::Breakers;
use super::cases::{self, CaseError, CaseFile, Setup, TrialError};
use super::folder::{self, Files, FolderError};
use super::installed::Build;
use super::runtime::RuntimeError;
use super::schema::{self, Misfit};
use super::set::Set;
use super::stats::Stats;
use super::trust::{Trust, TrustError, Trusted};
use super::{
    Budget, Cache, Capability, CompileError, Grant, Manifest, Runtime, Services, Source, bundled, digest,
};
use crate::clock::Clock;
use crate::config::{PluginSection, Plugins};
use crate::policy::problem::Problem;
use crate::random::Rng;

/// A new build's own cases may take so long.
const CASES_PATIENCE: Duration = Duration::from_secs(60);

/// Why a plugin is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// There is none.
    #[error("there is no `{}`, and this binary has no such plugin built in", .0.join(folder::MANIFEST).display())]
    Missing(PathBuf),
    /// Its files can't be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Its manifest is wrong.
    #[error("{0}")]
    Manifest(Problem),
    /// Its manifest is another plugin's.
    #[error("its manifest says `name = \"{0}\"`: folder, section and name must be the same")]
    OtherName(String),
    /// Nobody vouches for it.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// It asks for what it was neither given nor denied.
    #[error(
        "it asks for {}, which `[plugins.{name}]` neither grants nor withholds: there, write `capabilities = [{}]`, or name it in `withhold`",
        ticked(new), quoted(granted.iter().chain(new))
    )]
    NotGranted {
        /// Its name.
        name: String,
        /// What it asks for and has no answer to.
        new: Vec<Capability>,
        /// What it has.
        granted: Vec<Capability>,
    },
    /// Its limits are out of bounds.
    #[error("with its section's `budget`, `{limit}` is not from 1 to {most}")]
    Budget {
        /// Which.
        limit: &'static str,
        /// How large it may be.
        most: u64,
    },
    /// Its configuration does not fit.
    #[error(transparent)]
    Config(#[from] Misfit),
    /// Its component can't be called.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its cases can't be read.
    #[error(transparent)]
    Cases(#[from] CaseError),
    /// Its cases can't be run.
    #[error("its cases can't be run: {0}")]
    Trial(#[from] TrialError),
    /// Its own cases fail.
    #[error("{failed} of its own cases fail, the first: {first}")]
    CasesFail {
        /// How many.
        failed: usize,
        /// The first, and what differs.
        first: String,
    },
    /// What a replay needs can't be kept.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

fn ticked(capabilities: &[Capability]) -> String {
    capabilities.iter().map(|one| format!("`{}`", one.name())).collect::<Vec<_>>().join(", ")
}

fn quoted<'a>(capabilities: impl Iterator<Item = &'a Capability>) -> String {
    capabilities.map(|one| format!("\"{}\"", one.name())).collect::<Vec<_>>().join(", ")
}

/// What plugins are loaded with.
#[derive(Debug)]
pub struct Installer {
    settings: Plugins,
    sections: BTreeMap<String, (Arc<PluginSection>, Arc<Stats>)>,
    trusted: Trusted,
    runtime: Arc<Runtime>,
    cache: Cache,
    archive: Archive,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

/// What came of a load.
#[derive(Debug)]
pub struct Loading {
    /// What can be served: for a plugin that failed, its build before.
    pub set: Arc<Set>,
    /// Which plugins failed, and why.
    pub failures: BTreeMap<String, InstallError>,
    /// Folders that look like plugins and have no section.
    pub unconfigured: BTreeSet<String>,
}

impl Installer {
    /// Makes the runtime. `homes` are where compiled code and components for a replay are kept.
    ///
    /// # Errors
    /// When there is no runtime.
    pub fn new(
        settings: &Plugins,
        services: Services,
        (cache, archive): (Cache, Archive),
        rng: Arc<dyn Rng>,
    ) -> Result<Self, RuntimeError> {
        let sections = settings
            .named
            .iter()
            .map(|(name, section)| (name.clone(), (Arc::new(section.clone()), Arc::<Stats>::default())));
        let trusted = Trusted {
            keys: settings.trusted_keys.clone(),
            allow_unsigned: settings.allow_unsigned.unwrap_or(false),
        };
        let clock = Arc::clone(&services.clock);
        Ok(Self {
            settings: settings.clone(),
            sections: sections.collect(),
            trusted,
            runtime: Runtime::new(settings.runtime, services)?,
            cache,
            archive,
            clock,
            rng,
        })
    }

    /// Loads all plugins that have a section. `before` is what is served; a build that is not in it runs its own cases
    /// first, at the start only if the operator wants that. It blocks.
    pub fn load(&self, before: &Set) -> Loading {
        self.load_from(before, None)
    }

    /// The same, of a bundle's plugins in the place of the folder's.
    pub fn load_from(&self, before: &Set, bundle: Option<&BTreeMap<String, Files>>) -> Loading {
        let with_cases = !before.is_empty() || self.settings.cases_at_start;
        let (mut builds, mut failures) = (Vec::new(), BTreeMap::new());
        for (name, (section, stats)) in &self.sections {
            let served = before.find(name).map(|installed| installed.build());
            let found = self.find(name, bundle);
            match found.and_then(|found| self.load_one((name, section), found, served, with_cases)) {
                Ok(build) => builds.push(build),
                Err(error) => {
                    stats.load_failed();
                    failures.insert(name.clone(), error);
                    builds.extend(served.map(Arc::clone));
                }
            }
        }
        // A plugin that failed may be put right, and its code of before be wanted.
        if failures.is_empty() {
            let used = builds.iter().filter_map(|build| build.plugin.cached_as()).collect();
            self.cache.sweep(&used, self.clock.now());
        }
        let set = Arc::new(Set::of_builds(builds, Arc::clone(before.overrides())));
        Loading { set, failures, unconfigured: unconfigured(&self.settings, bundle) }
    }

    /// What plugins of this name came to, loaded or not.
    pub fn stats(&self) -> impl Iterator<Item = (&str, &Stats)> + Clone {
        self.sections.iter().map(|(name, (_, stats))| (name.as_str(), &**stats))
    }

    /// A plugin's files, and who vouches for them.
    fn find(
        &self,
        name: &str,
        bundle: Option<&BTreeMap<String, Files>>,
    ) -> Result<(Files, Trust), InstallError> {
        let embedded = bundled::find(name);
        let most = self.settings.runtime.component_bytes;
        let found = match bundle {
            Some(bundle) => bundle.get(name).cloned(),
            None => Files::read(&self.settings.folder, name, most)?,
        };
        let files = match found {
            Some(files) if files.component.len() > most => {
                let path = PathBuf::from(files.shown(name)).with_file_name(folder::COMPONENT);
                return Err(FolderError::TooLarge { path, most }.into());
            }
            Some(files) => files,
            None => embedded.clone().ok_or_else(|| {
                let place = bundle.map_or(self.settings.folder.as_path(), |_| Path::new("(bundle)"));
                InstallError::Missing(place.join(name))
            })?,
        };
        let trust = self.trusted.judge(&files, embedded.as_ref())?;
        Ok((files, trust))
    }

    fn load_one(
        &self,
        (name, section): (&str, &Arc<PluginSection>),
        (files, trust): (Files, Trust),
        served: Option<&Arc<Build>>,
        with_cases: bool,
    ) -> Result<Arc<Build>, InstallError> {
        let digests = (digest(&files.component), digest(files.manifest.as_bytes()));
        if let Some(served) = served
            && (*served.plugin.digest(), served.manifest_digest, served.trust)
                == (digests.0, digests.1, trust)
        {
            return Ok(Arc::clone(served));
        }
        let manifest =
            Manifest::parse(&files.shown(name).into(), &files.manifest).map_err(InstallError::Manifest)?;
        if manifest.name != name {
            return Err(InstallError::OtherName(manifest.name));
        }
        let plugin = self.compile(&files, &manifest, section)?;
        if with_cases {
            self.run_cases(&files, &manifest)?;
        }
        if section.record {
            self.archive.keep(&files.component, &manifest)?;
        }
        Ok(Arc::new(Build {
            routes: manifest.parsed_routes().unwrap_or_default(),
            plugin,
            manifest_digest: digests.1,
            section: Arc::clone(section),
            modes: section.modes.iter().cloned().collect(),
            trust,
            in_bundle: files.in_bundle,
            folder: files.folder,
            loaded_at: self.clock.now(),
            stats: self.sections.get(name).map(|(_, stats)| Arc::clone(stats)).unwrap_or_default(),
            enforced: Breakers::new(section.breaker),
            shadow: Breakers::new(section.breaker),
            clock: Arc::clone(&self.clock),
        }))
    }

    fn compile(
        &self,
        files: &Files,
        manifest: &Manifest,
        section: &PluginSection,
    ) -> Result<super::Plugin, InstallError> {
        let grant = granted(manifest, section)?;
        let budget = section.budget.over(manifest.budget);
        if let Some((limit, most)) = budget.out_of_bounds() {
            return Err(InstallError::Budget { limit, most });
        }
        schema::check(manifest, &section.config)?;
        let config = serde_json::Value::Object(section.config.clone()).to_string();
        Ok(self.runtime.compile(&Source {
            component: &files.component,
            manifest,
            grant,
            budget,
            config: &config,
            cache: Some(&self.cache),
        })?)
    }

    /// A new build must do what its author says, before anybody relies on it.
    fn run_cases(&self, files: &Files, manifest: &Manifest) -> Result<(), InstallError> {
        let mut cases = Vec::new();
        for (path, text) in files.cases()? {
            let mut file = CaseFile::parse(&path.to_string_lossy(), &text)?;
            file.cases.retain(|case| !case.expect.is_of_time());
            cases.push(file);
        }
        let setup = Setup {
            component: &files.component,
            manifest,
            // A busy node is no defect of the build: its work is bounded by fuel.
            budget: Budget { deadline_milliseconds: Budget::MOST.deadline_milliseconds, ..manifest.budget },
            clock: Arc::clone(&self.clock),
            rng: Arc::clone(&self.rng),
            patience: Some(CASES_PATIENCE),
        };
        let results = cases::run(setup, &cases)?;
        let failed: Vec<_> = results.iter().filter(|result| !result.differences.is_empty()).collect();
        match failed.first() {
            None => Ok(()),
            Some(first) => Err(InstallError::CasesFail {
                failed: failed.len(),
                first: format!("`{}` in {}: {}", first.name, first.file, first.differences.join("; ")),
            }),
        }
    }
}

/// The folders that look like plugins and have no section: they are told of, and not run.
pub fn unconfigured(settings: &Plugins, bundle: Option<&BTreeMap<String, Files>>) -> BTreeSet<String> {
    let present = match bundle {
        Some(bundle) => Ok(bundle.keys().cloned().collect()),
        None => folder::present(&settings.folder),
    };
    match present {
        Ok(present) => present.into_iter().filter(|name| !settings.named.contains_key(name)).collect(),
        Err(error) => {
            tracing::warn!(%error, "the plugins folder can't be looked at");
            BTreeSet::new()
        }
    }
}

/// What it may use, if there is an answer to all that it asks for.
fn granted(manifest: &Manifest, section: &PluginSection) -> Result<Grant, InstallError> {
    let answered =
        |wanted: &&Capability| section.capabilities.contains(wanted) || section.withhold.contains(wanted);
    let new: Vec<_> = manifest.capabilities.iter().filter(|wanted| !answered(wanted)).copied().collect();
    if new.is_empty() {
        let (declared, granted) =
            (manifest.capabilities.iter().copied(), section.capabilities.iter().copied());
        return Ok(Grant::new(declared, granted, section.keys.iter().cloned()));
    }
    Err(InstallError::NotGranted { name: manifest.name.clone(), new, granted: section.capabilities.clone() })
}

#[cfg(test)]
mod tests;
