//! What a plugin may use: the smaller of what its manifest declares and what the operator grants.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Something of the host that a plugin can use.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Lines for the operator.
    Log,
    /// Its configuration.
    Config,
    /// The decision's instant.
    Clock,
    /// Random bytes.
    Random,
    /// Counts over windows.
    Counter,
    /// Values with an end.
    Kv,
    /// Keys, by their names.
    Crypto,
    /// Attributes of entities.
    Lookup,
    /// Headers that carry credentials.
    Credentials,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Log,
        Self::Config,
        Self::Clock,
        Self::Random,
        Self::Counter,
        Self::Kv,
        Self::Crypto,
        Self::Lookup,
        Self::Credentials,
    ];

    /// The name that manifests, grants, messages and, where it has one, its interface have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Config => "config",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Counter => "counter",
            Self::Kv => "kv",
            Self::Crypto => "crypto",
            Self::Lookup => "lookup",
            Self::Credentials => "credentials",
        }
    }

    /// Whether it asks the shared state, which takes a call off its thread.
    pub fn waits(self) -> bool {
        matches!(self, Self::Counter | Self::Kv)
    }
}

/// What one plugin may use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    declared: BTreeSet<Capability>,
    granted: BTreeSet<Capability>,
    keys: BTreeSet<String>,
}

/// A capability that a plugin does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the capability `{}` is not granted", .0.name())]
pub struct Withheld(pub Capability);

impl Grant {
    /// What the manifest declares and the operator grants; `keys` are the names of the keys that `crypto` may use.
    pub fn new(
        declared: impl IntoIterator<Item = Capability>,
        granted: impl IntoIterator<Item = Capability>,
        keys: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            declared: declared.into_iter().collect(),
            granted: granted.into_iter().collect(),
            keys: keys.into_iter().collect(),
        }
    }

    /// May it? The one place that answers.
    ///
    /// # Errors
    /// When it may not.
    pub fn may(&self, capability: Capability) -> Result<(), Withheld> {
        let may = self.declared.contains(&capability) && self.granted.contains(&capability);
        if may { Ok(()) } else { Err(Withheld(capability)) }
    }

    /// Whether it may use this key: that it may use keys at all is [`Grant::may`]'s to say.
    pub fn may_use_key(&self, name: &str) -> bool {
        self.may(Capability::Crypto).is_ok() && self.keys.contains(name)
    }

    /// What it may use.
    pub fn effective(&self) -> impl Iterator<Item = Capability> {
        Capability::ALL.into_iter().filter(|capability| self.may(*capability).is_ok())
    }

    /// The names of its keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }
}
