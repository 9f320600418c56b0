//! `plugin.toml`: what a plugin is, what it asks for, and what it wants to see.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Budget, Capability, Hook};
use crate::policy::problem::Problem;
use crate::policy::settings::from_toml;
use crate::route::Route;

/// A plugin's own description of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lower case letters, digits and `-`, 64 at most; it begins with a letter.
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// For people, in a sentence.
    #[serde(default)]
    pub description: String,
    /// Where it takes part.
    pub hook: Hook,
    /// What it uses of the host.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// What a call may cost, unless the operator says otherwise.
    #[serde(default)]
    pub budget: Budget,
    /// The JSON Schema (draft 2020-12) of its configuration; without one it takes none.
    #[serde(default)]
    pub config_schema: Option<serde_json::Value>,
    /// The requests that it wants, as `GET /orders/{id}`, `* /admin/*`; empty: all. For `validate` and `detect`.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The kinds of events that it wants. For `detect`.
    #[serde(default)]
    pub events: Vec<String>,
    /// The counts that it wants. For `detect`.
    #[serde(default)]
    pub counters: Vec<CounterWish>,
}

/// A count that a detector wants to see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterWish {
    /// `principal.decisions`, `principal.denials`, `address.decisions` or `address.denials`.
    pub name: String,
    /// Over which time: 1 second to 31 days.
    pub window_seconds: u32,
}

/// The most routes, events and counters that a manifest names.
const MOST_WISHES: usize = 256;

/// Whether a plugin can have this name: it stands in paths, reasons and keys of the state.
pub fn is_plugin_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // The server's own findings have that name.
    let is_free = name != crate::evaluation::HOST;
    is_free
        && name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(allowed)
}

impl Manifest {
    /// Reads and checks `plugin.toml`; `file` is its name for people.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, Problem> {
        let manifest: Self = toml::from_str(text).map_err(|error| from_toml(file, text, &error))?;
        manifest.check().map_err(|(field, message)| {
            let begins = |line: &str| {
                line.trim_start().strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='))
            };
            let line = text.lines().position(begins).map_or(1, |line| line + 1);
            Problem::at_position(file, text, (line, 1), format!("`{field}`: {message}"))
        })?;
        Ok(manifest)
    }

    /// What no type says: the field, and what is wrong with it.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if !is_plugin_name(&self.name) {
            let message = format!(
                "`{}` is not valid: lower case letters, digits and `-`, 64 at most, beginning with a letter",
                self.name
            );
            return Err(("name", message));
        }
        if !is_version(&self.version) {
            return Err(("version", format!("`{}` is no semantic version, as `1.0.0`", self.version)));
        }
        if let Some((limit, most)) = self.budget.out_of_bounds() {
            return Err(("budget", format!("`{limit}` must be from 1 to {most}")));
        }
        for wishes in
            [("routes", self.routes.len()), ("events", self.events.len()), ("counters", self.counters.len())]
        {
            if wishes.1 > MOST_WISHES {
                return Err((wishes.0, format!("holds more than {MOST_WISHES}")));
            }
        }
        self.parsed_routes().map_err(|message| ("routes", message))?;
        if !self.routes.is_empty() && !matches!(self.hook, Hook::Validate | Hook::Detect) {
            return Err((
                "routes",
                format!("a plugin of the hook `{}` is not called by routes", self.hook.name()),
            ));
        }
        if self.hook != Hook::Detect && !(self.events.is_empty() && self.counters.is_empty()) {
            return Err(("events", "events and counters are for plugins of the hook `detect`".into()));
        }
        if let Some(event) = self.events.iter().find(|event| *event != "decision") {
            return Err(("events", format!("`{event}` is no kind of event: there is `decision`")));
        }
        const COUNTERS: [&str; 4] =
            ["principal.decisions", "principal.denials", "address.decisions", "address.denials"];
        for wish in &self.counters {
            if !COUNTERS.contains(&wish.name.as_str()) {
                return Err(("counters", format!("`{}` is no counter: {}", wish.name, COUNTERS.join(", "))));
            }
            if !(1..=31 * 86_400).contains(&wish.window_seconds) {
                return Err(("counters", "`window_seconds` must be from 1 to 2678400 (31 days)".into()));
            }
        }
        Ok(())
    }

    /// The requests that it wants.
    ///
    /// # Errors
    /// Which is none.
    pub fn parsed_routes(&self) -> Result<Vec<Route>, String> {
        self.routes.iter().map(|route| route.parse()).collect()
    }
}

/// `MAJOR.MINOR.PATCH`, perhaps with `-pre.release` and `+build` (semver.org 2.0.0 §2, §9, §10).
fn is_version(version: &str) -> bool {
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let is_identifier =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (version, build) =
        version.split_once('+').map_or((version, None), |(version, build)| (version, Some(build)));
    let (core, pre) = version.split_once('-').map_or((version, None), |(core, pre)| (core, Some(pre)));
    let is_numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    core.len() <= 64
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre.is_none_or(|pre| pre.split('.').all(|p| is_identifier(p) && (!is_numeric(p) || is_number(p))))
        && build.is_none_or(|build| build.split('.').all(is_identifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Manifest, String> {
        Manifest::parse(&"plugin.toml".into(), text).map_err(|problem| problem.to_string())
    }

    const GOOD: &str = "name = \"my-rule\"\nversion = \"1.0.0-rc.1+7\"\nhook = \"validate\"\n";

    #[test]
    fn a_manifest_names_what_it_is() {
        let manifest = parse(GOOD).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.hook), ("my-rule", Hook::Validate));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            (GOOD.replace("my-rule", "My-rule"), "plugin.toml:1:1: `name`"),
            (GOOD.replace("my-rule", "../x"), "plugin.toml:1:1: `name`"),
            (GOOD.replace("1.0.0", "01.0.0"), "plugin.toml:2:1: `version`"),
            (GOOD.replace("1.0.0", "1.0"), "plugin.toml:2:1: `version`"),
            (format!("{GOOD}routes = [\"GET orders\"]"), "plugin.toml:4:1: `routes`"),
            (format!("{GOOD}budget = {{fuel = 0}}"), "plugin.toml:4:1: `budget`"),
            (format!("{GOOD}events = [\"decision\"]"), "plugin.toml:4:1: `events`"),
            (format!("{GOOD}capabilities = [\"network\"]"), "plugin.toml:4:"),
            (format!("{GOOD}entry = 1"), "plugin.toml:4:1"),
            (GOOD.replace("validate", "mask") + "routes = [\"* /*\"]", "plugin.toml:4:1: `routes`"),
            (
                GOOD.replace("validate", "detect") + "counters = [{name = \"x\", window_seconds = 1}]",
                "plugin.toml:4:1",
            ),
        ] {
            let message = parse(&text).unwrap_err();
            assert!(message.starts_with(expected), "{expected}: {message}");
        }
    }
}
