//! The plugins that are loaded, as of one snapshot.
//!
//! Promises: it is immutable: a call that began with a set ends with it, whatever is loaded meanwhile.

use std::sync::Arc;

pub use super::installed::Installed;
pub use super::shadow::ShadowQueue;

use super::Hook;
use super::installed::Build;
use super::modes::Overrides;

/// All of them, by hook and name.
#[derive(Clone, Debug, Default)]
pub struct Set {
    validate: Vec<Arc<Installed>>,
    detect: Vec<Arc<Installed>>,
    mask: Vec<Arc<Installed>>,
    sign: Vec<Arc<Installed>>,
    overrides: Arc<Overrides>,
    hash: u64,
}

impl Set {
    /// A set of these builds, with what the store says of their modes.
    pub(super) fn of_builds(mut builds: Vec<Arc<Build>>, overrides: Arc<Overrides>) -> Self {
        builds.sort_by(|one, other| name(one).cmp(name(other)));
        let mut set = Self { hash: hash(&builds), ..Self::default() };
        for build in builds {
            let (hook, stored) = (build.plugin.manifest().hook, overrides.of(name(&build)));
            let installed = Arc::new(Installed::new(build, stored));
            match hook {
                Hook::Validate => set.validate.push(installed),
                Hook::Detect => set.detect.push(installed),
                Hook::Mask => set.mask.push(installed),
                Hook::Sign => set.sign.push(installed),
            }
        }
        Self { overrides, ..set }
    }

    /// The same builds, with what the store says now.
    #[must_use]
    pub fn with_overrides(self: &Arc<Self>, overrides: &Arc<Overrides>) -> Arc<Self> {
        if Arc::ptr_eq(&self.overrides, overrides) || self.overrides == *overrides {
            return Arc::clone(self);
        }
        let builds = self.all().map(|installed| Arc::clone(installed.build())).collect();
        Arc::new(Self::of_builds(builds, Arc::clone(overrides)))
    }

    /// What the store says of modes.
    pub fn overrides(&self) -> &Arc<Overrides> {
        &self.overrides
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// Those of a hook, by name.
    pub fn of(&self, hook: Hook) -> &[Arc<Installed>] {
        match hook {
            Hook::Validate => &self.validate,
            Hook::Detect => &self.detect,
            Hook::Mask => &self.mask,
            Hook::Sign => &self.sign,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Installed>> {
        [&self.validate, &self.detect, &self.mask, &self.sign].into_iter().flatten()
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Arc<Installed>> {
        self.all().find(|installed| installed.name() == name)
    }

    /// The hash of everything about them that decides, save the store's modes; 0 when there is none.
    pub fn hash(&self) -> u64 {
        self.hash
    }
}

fn name(build: &Build) -> &str {
    &build.plugin.manifest().name
}

fn hash(builds: &[Arc<Build>]) -> u64 {
    if builds.is_empty() {
        return 0;
    }
    let mut hasher = blake3::Hasher::new();
    for build in builds {
        let (plugin, section) = (&build.plugin, &build.section);
        let capabilities: Vec<_> = plugin.grant().effective().map(super::Capability::name).collect();
        let keys: Vec<_> = plugin.grant().keys().collect();
        let parts = [
            name(build).to_owned(),
            plugin.digest().to_string(),
            build.manifest_digest.to_string(),
            capabilities.join(","),
            keys.join(","),
            plugin.config().to_owned(),
            format!("{:?}", plugin.budget()),
            format!("{:?} {:?} {:?} {:?}", section.mode, section.modes, section.on_failure, section.breaker),
        ];
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_be_bytes(first)
}
