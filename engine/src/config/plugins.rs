//! `[plugins]`: where plugins are and whom to trust; `[plugins.<name>]`: one that is loaded, and what it is given.
//!
//! Promises: a plugin that has no section is not run; a key that is neither a setting nor a section is an error with its
//! place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::keys::Keys;
use crate::plugin::Budget;
use crate::plugin::breaker::BreakerSettings;
use crate::plugin::capability::Capability;
use crate::plugin::hook::{FailurePolicy, Mode};
use crate::plugin::manifest::is_plugin_name;
use crate::plugin::modes::ModeRule;
use crate::plugin::runtime::RuntimeSettings;
use crate::plugin::signature::VerifyingKey;

/// `[plugins]`.
#[derive(Clone, Debug)]
pub struct Plugins {
    /// The folder whose folders are plugins.
    pub folder: PathBuf,
    /// Whether changes are loaded while the server runs.
    pub watch: bool,
    /// Whose signatures count.
    pub trusted_keys: Vec<VerifyingKey>,
    /// Whether plugins run that nobody signed; by default in development alone.
    pub allow_unsigned: Option<bool>,
    /// `instances`, `compile_seconds`, `component_bytes`.
    pub runtime: RuntimeSettings,
    /// How many calls wait to be made beside their requests.
    pub shadow_queue: usize,
    /// Whether plugins run their own cases at the start too, and not only before a build is swapped in.
    pub cases_at_start: bool,
    /// `[plugins.<name>]`.
    pub named: BTreeMap<String, PluginSection>,
}

impl Default for Plugins {
    fn default() -> Self {
        Self {
            folder: "plugins".into(),
            watch: true,
            trusted_keys: Vec::new(),
            allow_unsigned: None,
            runtime: RuntimeSettings::default(),
            shadow_queue: 1_024,
            cases_at_start: false,
            named: BTreeMap::new(),
        }
    }
}

/// `[plugins.<name>]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "a section `[plugins.<name>]`, or a setting of `[plugins]`"
)]
pub struct PluginSection {
    /// What it may use of what its manifest declares.
    pub capabilities: Vec<Capability>,
    /// What it may not use, though its manifest declares it.
    pub withhold: Vec<Capability>,
    /// The names of the keys that it may use.
    pub keys: Vec<String>,
    /// How much it counts where no rule says otherwise.
    pub mode: Mode,
    /// What follows when a call fails.
    pub on_failure: FailurePolicy,
    /// Whether its calls are kept for a replay.
    pub record: bool,
    /// What a call may cost, in the place of the manifest's.
    pub budget: BudgetWish,
    /// Its own configuration.
    #[serde(deserialize_with = "deserialize_config")]
    pub config: Map<String, Value>,
    /// How much it counts, for a tenant or a route.
    pub modes: Vec<ModeRule>,
    /// When it is not called for a while.
    pub breaker: BreakerSettings,
}

/// The limits that differ from the manifest's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetWish {
    fuel: Option<u64>,
    deadline_milliseconds: Option<u64>,
    memory_bytes: Option<u64>,
    host_bytes: Option<u64>,
    log_bytes: Option<u64>,
    output_bytes: Option<u64>,
}

impl BudgetWish {
    /// The manifest's budget with these limits in it.
    pub fn over(&self, manifest: Budget) -> Budget {
        Budget {
            fuel: self.fuel.unwrap_or(manifest.fuel),
            deadline_milliseconds: self.deadline_milliseconds.unwrap_or(manifest.deadline_milliseconds),
            memory_bytes: self.memory_bytes.unwrap_or(manifest.memory_bytes),
            host_bytes: self.host_bytes.unwrap_or(manifest.host_bytes),
            log_bytes: self.log_bytes.unwrap_or(manifest.log_bytes),
            output_bytes: self.output_bytes.unwrap_or(manifest.output_bytes),
        }
    }
}

/// A table as JSON, which is what plugins read.
fn deserialize_config<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let table = toml::Table::deserialize(deserializer)?;
    to_json(toml::Value::Table(table)).and_then(into_object).map_err(D::Error::custom)
}

fn into_object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(members) => Ok(members),
        _ => Err("must be a table".into()),
    }
}

fn to_json(value: toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| format!("`{number}` is no number of JSON"))?,
        toml::Value::Boolean(truth) => truth.into(),
        toml::Value::Datetime(instant) => instant.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into(),
        toml::Value::Table(table) => {
            let members = table.into_iter().map(|(name, value)| Ok((name, to_json(value)?)));
            Value::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

impl<'de> Deserialize<'de> for Plugins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PluginsVisitor)
    }
}

/// By hand, since a flattened map of sections would lose the places of its errors.
struct PluginsVisitor;

impl<'de> Visitor<'de> for PluginsVisitor {
    type Value = Plugins;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the section `[plugins]`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Plugins, A::Error> {
        let mut plugins = Plugins::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "folder" => plugins.folder = map.next_value()?,
                "watch" => plugins.watch = map.next_value()?,
                "trusted_keys" => plugins.trusted_keys = map.next_value()?,
                "allow_unsigned" => plugins.allow_unsigned = Some(map.next_value()?),
                "instances" => plugins.runtime.instances = map.next_value()?,
                "compile_seconds" => plugins.runtime.compile_seconds = map.next_value()?,
                "component_bytes" => plugins.runtime.component_bytes = map.next_value()?,
                "shadow_queue" => plugins.shadow_queue = map.next_value()?,
                "cases_at_start" => plugins.cases_at_start = map.next_value()?,
                name if is_plugin_name(name) => {
                    let section = map.next_value()?;
                    plugins.named.insert(key, section);
                }
                name => {
                    return Err(A::Error::custom(format!(
                        "`{name}` is no setting and no plugin's name: lower case letters, digits and `-`, 64 at most, beginning with a letter"
                    )));
                }
            }
        }
        Ok(plugins)
    }
}

/// What no type can say: the field and what is wrong with it.
pub(super) fn check(plugins: &Plugins, keys: &Keys) -> Result<(), (&'static str, String)> {
    let runtime = &plugins.runtime;
    let within = [
        ("plugins.instances", u64::from(runtime.instances), 4_096),
        ("plugins.compile_seconds", runtime.compile_seconds, 3_600),
        ("plugins.component_bytes", runtime.component_bytes as u64, 256 << 20),
        ("plugins.shadow_queue", plugins.shadow_queue as u64, 1 << 20),
    ];
    if let Some((field, _, most)) = within.iter().find(|(_, value, most)| *value == 0 || value > most) {
        return Err((field, format!("must be from 1 to {most}")));
    }
    for (name, section) in &plugins.named {
        let wrong = |message: String| ("plugins", format!("has in its section `[plugins.{name}]` {message}"));
        if let Some((limit, most)) = section.budget.over(Budget::default()).out_of_bounds() {
            return Err(wrong(format!("`budget.{limit}`, which must be from 1 to {most}")));
        }
        if let Some(both) = section.capabilities.iter().find(|granted| section.withhold.contains(granted)) {
            return Err(wrong(format!("`{}` both granted and withheld", both.name())));
        }
        if let Some(key) = section.keys.iter().find(|key| !keys.contains_key(*key)) {
            return Err(wrong(format!("the key `{key}`, and there is no section `[keys.{key}]`")));
        }
        section.breaker.check().map_err(wrong)?;
    }
    Ok(())
}
