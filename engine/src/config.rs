//! The configuration: one struct, one file, and the environment over it.
//!
//! Promises: an unknown field, a bad value or an unreadable file is an error that names the file, the line and the
//! field. `PORTCULLIS_SERVER__LISTEN=…` overrides `[server] listen`; a value of the environment is read as TOML, or
//! else as text. The environment is read here and nowhere else.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde::Deserialize;

mod bundle;
mod environment;
mod keys;
mod obligations;
mod plugins;
mod search;
pub mod validate;

pub use bundle::Bundle;
#[cfg(test)]
pub use environment::soak;
use environment::{environment, lay_over};
pub use keys::{Keys, NamedKey};
pub use obligations::Obligations;
pub use plugins::{BudgetWish, PluginSection, Plugins};
pub use search::Search;

use crate::decision::Evaluator;
use crate::policy::problem::Problem;
use crate::policy::settings::from_toml;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where and how to listen.
    pub server: Server,
    /// Certificates; plain HTTP without.
    pub tls: Option<Tls>,
    /// Where durable data is.
    pub data: Data,
    /// Where what is shared, fast and expiring is.
    pub state: State,
    /// Where policies are.
    pub policies: Policies,
    /// Where plugins are.
    pub plugins: Plugins,
    /// The one file that policies and plugins come from, in the place of folders.
    pub bundle: Bundle,
    /// Keys by their names.
    pub keys: Keys,
    /// What follows from decisions.
    pub obligations: Obligations,
    /// Which routes applications have, and what each takes.
    pub validate: validate::Validate,
    /// How large a request may be.
    pub limits: Limits,
    /// What a search may take.
    pub search: Search,
    /// How decisions are recorded.
    pub decision_log: DecisionLog,
    /// What the program says of itself.
    pub logging: Logging,
}

/// `[server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address and port; port 0 picks a free one.
    #[serde(deserialize_with = "deserialize_address")]
    pub listen: SocketAddr,
    /// The base of the URLs in metadata; by default the listening address.
    pub public_url: Option<String>,
    /// Worker threads; by default one a core.
    pub workers: Option<usize>,
    /// Plain HTTP on an address that others can reach.
    pub allow_plaintext: bool,
    /// How long a stopping server waits for what is in flight, in seconds.
    pub shutdown_seconds: u64,
    /// How long a client may take to send a request's headers, in seconds.
    pub header_seconds: u64,
    /// How long a client may take to send a request's body, in seconds.
    pub body_seconds: u64,
    /// How many connections are served at once.
    pub connections: usize,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8470)),
            public_url: None,
            workers: None,
            allow_plaintext: false,
            shutdown_seconds: 30,
            header_seconds: 10,
            body_seconds: 30,
            connections: 10_000,
        }
    }
}

/// `[tls]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// `[data]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Data {
    /// The folder of the database and the decision log.
    pub folder: PathBuf,
    /// The root key's file; by default `root.key` in the folder.
    pub root_key: Option<PathBuf>,
    /// A PostgreSQL database (`postgres://…`) in the place of the folder's SQLite; also `DATABASE_URL`.
    pub database_url: Option<SecretString>,
}

impl Default for Data {
    fn default() -> Self {
        Self { folder: "data".into(), root_key: None, database_url: None }
    }
}

/// `[state]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// A Redis or Valkey (`redis://…`, `rediss://…`) in the place of this process's own memory; also `REDIS_URL`.
    pub redis_url: Option<SecretString>,
    /// What every key begins with, so that one Redis can serve several installations.
    pub key_prefix: String,
}

impl Default for State {
    fn default() -> Self {
        Self { redis_url: None, key_prefix: "portcullis".into() }
    }
}

impl State {
    /// What begins a key must not hold what gives keys their form.
    fn check(&self) -> Result<(), String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if (1..=64).contains(&self.key_prefix.len()) && self.key_prefix.chars().all(allowed) {
            return Ok(());
        }
        Err("must be letters, digits, `-`, `_` and `.`, from 1 to 64".into())
    }
}

/// `[policies]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// The folder whose folders are packs.
    pub folder: PathBuf,
    /// A folder with a pack that replaces the embedded management pack.
    pub management: Option<PathBuf>,
    /// Whether changes are loaded while the server runs.
    pub watch: bool,
    /// Who evaluates decisions: `compiled`, `cedar`, or `compared` to have both do it each time.
    pub evaluator: Evaluator,
    /// How many sets of packs that were served are kept, to go back to.
    pub revisions_kept: usize,
    /// A folder of packs that are not served: what they would answer is compared with what is answered.
    pub shadow: Option<PathBuf>,
    /// How many decisions wait for that comparison; more are dropped and counted.
    pub shadow_queue: usize,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            folder: "policies".into(),
            management: None,
            watch: true,
            evaluator: Evaluator::default(),
            revisions_kept: 100,
            shadow: None,
            shadow_queue: 1_024,
        }
    }
}

/// `[limits]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body_bytes: usize,
    /// The most items of a batch.
    pub batch_items: usize,
    /// The most bytes of a batch once defaults are laid into every item.
    pub batch_bytes: usize,
    /// The most levels of objects and arrays.
    pub nesting: usize,
    /// How long a request waits for the revision that it wants, in milliseconds.
    pub revision_wait_milliseconds: u64,
    /// The most entities that one call imports.
    pub bulk_entities: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            batch_items: 1_000,
            batch_bytes: 16 << 20,
            nesting: 32,
            revision_wait_milliseconds: 1_000,
            bulk_entities: 2_000_000,
        }
    }
}

/// When an answer may leave, with regard to its record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogMode {
    /// After the record was handed to the operating system.
    #[default]
    Durable,
    /// As soon as there is room for it in a queue.
    Queued,
    /// At once; what finds no room is dropped and counted.
    Gap,
}

/// When records are forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSync {
    /// When the operating system does it.
    Never,
    /// Every `sync_milliseconds`.
    #[default]
    Interval,
    /// With every write.
    Always,
}

/// `[decision_log]`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionLog {
    /// When an answer may leave.
    pub mode: LogMode,
    /// When records are forced to the disk.
    pub sync: LogSync,
    /// How often, with `sync = "interval"`.
    pub sync_milliseconds: u64,
    /// How large a segment file grows.
    pub segment_bytes: u64,
    /// How many records wait in the queue of the modes `queued` and `gap`.
    pub queue_records: usize,
    /// How often a checkpoint is signed, in seconds.
    pub checkpoint_seconds: u64,
}

impl Default for DecisionLog {
    fn default() -> Self {
        Self {
            mode: LogMode::Durable,
            sync: LogSync::Interval,
            sync_milliseconds: 1_000,
            segment_bytes: 64 << 20,
            queue_records: 16_384,
            checkpoint_seconds: 10,
        }
    }
}

/// The form of the program's own log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `[logging]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logging {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives as `portcullis=debug,info`.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

impl Default for Logging {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Text }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("can't read the configuration `{}`: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{0}")]
    File(Problem),
    /// A variable of the environment is wrong.
    #[error("{variable}: {message}")]
    Variable {
        /// Which.
        variable: String,
        /// What is wrong.
        message: String,
    },
    /// A value that no field of its kind can have.
    #[error("`{field}` {message}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with its value.
        message: String,
    },
}

/// Reads `127.0.0.1:8470`, `[::1]:8470` or `localhost:8470`. Other names are not resolved: what a server listens on
/// must not depend on somebody's DNS.
///
/// # Errors
/// What is wanted instead.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let numeric =
        text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| format!("`{text}` is not an address and port, as `127.0.0.1:8470`"))
}

fn deserialize_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_address(&text).map_err(serde::de::Error::custom)
}

impl Config {
    /// Reads the file, if there is one, and lays the environment over it.
    ///
    /// # Errors
    /// When either is wrong.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let text = match path {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?,
        };
        let shown: Arc<str> =
            path.map_or_else(|| "configuration".into(), |path| path.display().to_string().into());
        let mut config = Self::parse(&shown, &text, environment())?;
        config.validate.folder = path.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        Ok(config)
    }

    fn parse(
        file: &Arc<str>,
        text: &str,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        // The file alone first, so that its errors have its lines.
        let deserializer = toml::Deserializer::parse(text)
            .map_err(|error| ConfigError::File(from_toml(file, text, &error)))?;
        let mut config: Self = serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            let mut problem = from_toml(file, text, error.inner());
            if path != "." {
                problem.message = format!("`{path}`: {}", problem.message);
            }
            ConfigError::File(problem)
        })?;
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| ConfigError::File(from_toml(file, text, &error)))?;
        for (variable, value) in variables {
            let wrong = |message: String| ConfigError::Variable { variable: variable.clone(), message };
            lay_over(&mut table, &variable, &value).map_err(wrong)?;
            config = serde_path_to_error::deserialize(table.clone())
                .map_err(|error| wrong(format!("`{}`: {}", error.path(), error.inner().message())))?;
        }
        config.check().map_err(|(field, message)| not_valid(file, text, field, &message))?;
        Ok(config)
    }

    /// What no type can say; gives the field and what is wrong with it.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let positive = [
            ("limits.body_bytes", self.limits.body_bytes),
            ("limits.batch_items", self.limits.batch_items),
            ("limits.batch_bytes", self.limits.batch_bytes),
            ("limits.nesting", self.limits.nesting),
            ("limits.bulk_entities", self.limits.bulk_entities),
            ("policies.revisions_kept", self.policies.revisions_kept),
            ("policies.shadow_queue", self.policies.shadow_queue),
            ("search.candidates", self.search.candidates),
            ("search.at_once", self.search.at_once),
            ("server.connections", self.server.connections),
            ("server.workers", self.server.workers.unwrap_or(1)),
            ("decision_log.queue_records", self.decision_log.queue_records),
        ];
        if let Some((field, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err((field, "must be at least 1".into()));
        }
        // Values are read and dropped by recursion; deeper input could end the stack.
        if self.limits.nesting > 128 {
            return Err(("limits.nesting", "must be at most 128".into()));
        }
        self.bundle.check()?;
        keys::check(&self.keys)?;
        plugins::check(&self.plugins, &self.keys)?;
        if let Err(message) = self.state.check() {
            return Err(("state.key_prefix", message));
        }
        if let Some(url) = &self.server.public_url {
            let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            if !host.is_some_and(|host| !host.is_empty() && !host.contains([' ', '"', '?', '#'])) {
                return Err((
                    "server.public_url",
                    format!("must be an http or https URL without query, not `{url}`"),
                ));
            }
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.logging.level) {
            return Err(("logging.level", error.to_string()));
        }
        Ok(())
    }

    /// Where the root key is.
    pub fn root_key(&self) -> PathBuf {
        self.data.root_key.clone().unwrap_or_else(|| self.data.folder.join("root.key"))
    }
}

/// The error of a field, at its line if the file has it; else it comes from the environment.
fn not_valid(file: &Arc<str>, text: &str, field: &'static str, message: &str) -> ConfigError {
    let (section, name) = field.split_once('.').unwrap_or(("", field));
    let mut within = "";
    for (place, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            within = header.split(']').next().unwrap_or_default().trim();
        } else if within == section && line.split('=').next().is_some_and(|key| key.trim() == name) {
            let message = format!("`{field}` {message}");
            return ConfigError::File(Problem::at_position(file, text, (place + 1, 1), message));
        }
    }
    ConfigError::Invalid { field, message: message.to_owned() }
}

#[cfg(test)]
mod tests;
