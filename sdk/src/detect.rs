//! The hook `detect`: does it look bad?
//!
//! Promises: each part of a risk carries its reason. Must never: know of another hook.

use serde::de::DeserializeOwned;

use crate::{Failure, Finding, Request};

/// A plugin that judges how bad a request or an event looks.
pub trait Detect: Sized + 'static {
    /// The plugin's configuration, as the manifest's `config_schema` describes it; `()` for none.
    type Config: DeserializeOwned;

    /// Makes the plugin, once, before it serves. Only `log` can be called in it.
    ///
    /// # Errors
    /// When the configuration is not usable. The plugin is then not loaded.
    fn new(config: Self::Config) -> Result<Self, Failure>;

    /// What it thinks of it.
    ///
    /// # Errors
    /// When it has no answer.
    fn detect(&self, observation: &Observation) -> Result<Assessment, Failure>;
}

/// What a detector looks at.
#[derive(Debug)]
pub struct Observation<'a> {
    /// A request or an event.
    pub subject: Subject<'a>,
    /// What the host has counted, as the manifest wishes it.
    pub counters: Vec<Reading>,
}

impl Observation<'_> {
    /// A count by its name; none when the host does not keep it.
    pub fn counter(&self, name: &str) -> Option<&Reading> {
        self.counters.iter().find(|reading| reading.name == name)
    }

    /// The request, when one is looked at.
    pub fn request(&self) -> Option<&Request<'_>> {
        if let Subject::Request(request) = &self.subject { Some(request) } else { None }
    }

    /// The event, when one is looked at.
    pub fn event(&self) -> Option<&Event> {
        if let Subject::Event(event) = &self.subject { Some(event) } else { None }
    }
}

/// A request or an event.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made a call, on the stack")]
pub enum Subject<'a> {
    /// A request.
    Request(Request<'a>),
    /// An event.
    Event(Event),
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// As `decision`.
    pub kind: String,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// What is known of it.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// An attribute by its name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A count that the host keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// As `principal.denials`.
    pub name: String,
    /// How many.
    pub value: u64,
    /// Over which time.
    pub window_seconds: u32,
}

/// What a detector says. The risk is the sum of its parts, 100 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assessment {
    /// The parts of the risk.
    pub risk: Vec<Contribution>,
    /// What it noticed.
    pub findings: Vec<Finding>,
}

/// A part of the risk, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// From 0 to 100.
    pub points: u8,
    /// A code, formed as a finding's rule.
    pub reason: String,
}

impl Assessment {
    /// Nothing looks bad.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a part of the risk.
    pub fn add(&mut self, points: u8, reason: impl Into<String>) {
        self.risk.push(Contribution { points, reason: reason.into() });
    }

    /// Adds a finding.
    pub fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The sum of the parts, 100 at most.
    pub fn points(&self) -> u8 {
        self.risk.iter().fold(0, |sum: u8, part| sum.saturating_add(part.points)).min(100)
    }
}

/// Exports a type that implements [`Detect`] as the crate's plugin.
#[macro_export]
macro_rules! export_detect {
    ($plugin:ty) => {
        const _: () = {
            const fn implements_detect<T: $crate::Detect>() {}
            implements_detect::<$plugin>();
            #[cfg(target_arch = "wasm32")]
            $crate::keep!($plugin, $crate::Detect);
            #[cfg(target_arch = "wasm32")]
            type Exported = $crate::exported::Detector<$plugin>;
            #[cfg(target_arch = "wasm32")]
    $crate::__export_detect_impl!(Exported with_types_in $crate::bindings::detect);
            #[cfg(target_arch = "wasm32")]
    $crate::__export_initialised_impl!(Exported with_types_in $crate::bindings::initialised);
        };
    };
}
