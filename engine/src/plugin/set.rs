//! The plugins that are loaded.

use std::sync::{Arc, LazyLock};

use super::surroundings::Called;
use super::{Hook, Input, Mode, Plugin, Surroundings};

/// All of them.
#[derive(Debug, Default)]
pub struct Set {
    installed: Vec<Arc<Installed>>,
}

/// The set that is in every snapshot until plugins can be loaded.
pub static NONE: LazyLock<Arc<Set>> = LazyLock::new(Arc::default);

impl Set {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.installed.is_empty()
    }

    /// Those of a hook.
    pub fn of(&self, _hook: Hook) -> &[Arc<Installed>] {
        &self.installed
    }
}

/// A plugin that is loaded.
#[derive(Debug)]
pub enum Installed {}

impl Installed {
    /// Its name.
    pub fn name(&self) -> &str {
        match *self {}
    }

    /// How much it counts.
    pub fn mode(&self, _tenant: &str, _route: &str) -> Mode {
        match *self {}
    }

    /// Whether it wants to see such requests.
    pub fn wants(&self, _method: &str, _path: &str) -> bool {
        match *self {}
    }

    /// What follows when it fails.
    pub fn on_failure(&self) -> super::FailurePolicy {
        match *self {}
    }

    /// Whether its calls are kept.
    pub fn records(&self) -> bool {
        match *self {}
    }

    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        match *self {}
    }

    /// Calls it.
    pub async fn call(&self, _surroundings: &Surroundings, _input: &Input) -> Called {
        match *self {}
    }
}

/// Calls off the path.
#[derive(Debug, Default)]
pub struct ShadowQueue;

impl ShadowQueue {
    /// Takes one.
    pub fn offer(&self, installed: Arc<Installed>, _: Surroundings, _: Input, _decision_id: String) {
        match *installed {}
    }
}
