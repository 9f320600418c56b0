//! Cases: what a plugin should answer, as YAML beside it.
//!
//! Promises: a case is called as production calls the plugin: the same component, budgets, grants and checks; its state and
//! its keys are its own. Must never: pass a case that expects nothing, or touch what a server keeps.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::Capability;

mod expectation;
mod given;
mod keys;
mod trial;

pub use expectation::Expectation;
pub use given::{Entity, Event, Headers, Message, Reading, Request};
pub use keys::{CaseKey, CaseKeys};
pub use trial::{Ready, Setup, Trial, TrialError};

/// A file of cases. What stands before the cases is for all that do not say otherwise.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// Its path, as messages show it.
    #[serde(skip)]
    pub shown: String,
    /// The plugin's configuration; none is `{}`.
    #[serde(default)]
    pub config: Option<Value>,
    /// The decision's instant (RFC 3339).
    #[serde(default)]
    pub now: Option<String>,
    /// What `random` begins with.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Capabilities that the operator withholds.
    #[serde(default)]
    pub withhold: Option<Vec<Capability>>,
    /// Keys for `crypto`, by their names.
    #[serde(default)]
    pub keys: CaseKeys,
    /// Entities for `lookup`.
    #[serde(default)]
    pub entities: Vec<Entity>,
    /// In order.
    pub cases: Vec<Case>,
}

/// One call, and what it should answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence.
    #[serde(default)]
    pub name: String,
    /// The plugin's configuration.
    #[serde(default)]
    pub config: Option<Value>,
    /// The decision's instant (RFC 3339).
    #[serde(default)]
    pub now: Option<String>,
    /// What `random` begins with.
    #[serde(default)]
    pub seed: Option<u64>,
    /// Capabilities that the operator withholds.
    #[serde(default)]
    pub withhold: Option<Vec<Capability>>,
    /// Keys for `crypto`, by their names.
    #[serde(default)]
    pub keys: CaseKeys,
    /// Entities for `lookup`.
    #[serde(default)]
    pub entities: Vec<Entity>,
    /// How often it is called; the last answer counts. For plugins that count.
    #[serde(default)]
    pub repeat: Option<u32>,
    /// For `validate` and `detect`.
    #[serde(default)]
    pub request: Option<Request>,
    /// For `detect`.
    #[serde(default)]
    pub event: Option<Event>,
    /// What the host has counted, for `detect`.
    #[serde(default)]
    pub counters: std::collections::BTreeMap<String, Reading>,
    /// For `mask`.
    #[serde(default)]
    pub document: Option<Value>,
    /// For `mask`.
    #[serde(default)]
    pub obligations: Vec<super::input::MaskObligation>,
    /// For `sign`.
    #[serde(default)]
    pub message: Option<Message>,
    /// With which key, for `sign`.
    #[serde(default)]
    pub key: Option<String>,
    /// What it should answer.
    #[serde(default)]
    pub expect: Expectation,
}

/// How a case went.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What differs; empty when it holds.
    pub differences: Vec<String>,
    /// How much fuel the call used.
    pub fuel: u64,
    /// How long it took.
    pub took: Duration,
}

/// Why cases can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// A file or folder can't be read.
    #[error("can't read `{}`: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is no YAML of this form.
    #[error("{file}: {message}")]
    Form {
        /// Which, and where.
        file: String,
        /// What is wrong.
        message: String,
    },
}

impl CaseFile {
    /// Reads YAML text; `shown` is what messages call it.
    ///
    /// # Errors
    /// Where it is not of this form.
    pub fn parse(shown: &str, text: &str) -> Result<Self, CaseError> {
        let form = |error: serde_norway::Error| {
            let at = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
            CaseError::Form { file: format!("{shown}{at}"), message: error.to_string() }
        };
        let file: Self = serde_norway::from_str(text).map_err(form)?;
        match file.cases.iter().position(|case| case.name.is_empty()) {
            Some(index) => {
                let message = format!("case {} has no `name`", index + 1);
                Err(CaseError::Form { file: shown.to_owned(), message })
            }
            None => Ok(Self { shown: shown.to_owned(), ..file }),
        }
    }
}

/// The files of cases in a folder, by their names; none when there is no folder.
///
/// # Errors
/// When one can't be read, or is not of this form.
pub fn read(folder: &Path) -> Result<Vec<CaseFile>, CaseError> {
    let failed = |source| CaseError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|found| found == "yaml" || found == "yml");
    let mut paths = Vec::new();
    for entry in entries {
        paths.extend(Some(entry.map_err(failed)?.path()).filter(is_yaml));
    }
    paths.sort();
    let parsed = paths.into_iter().map(|path| {
        let shown = path.to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).map_err(|source| CaseError::Read { path, source })?;
        CaseFile::parse(&shown, &text)
    });
    parsed.collect()
}

/// Runs all cases of the files. It blocks: not on a worker.
///
/// # Errors
/// When there is no runtime for them, two keys have one name, or they take longer than they may.
pub fn run(setup: Setup<'_>, files: &[CaseFile]) -> Result<Vec<CaseResult>, TrialError> {
    let mut keys = CaseKeys::default();
    for file in files {
        keys.join(&file.keys)?;
        file.cases.iter().try_for_each(|case| keys.join(&case.keys))?;
    }
    let mut trial = Trial::new(setup, keys)?;
    let mut results = Vec::new();
    for file in files {
        for case in &file.cases {
            results.push(run_one(&mut trial, file, case));
            // After it: what was cut short is no result.
            trial.check_time()?;
        }
    }
    Ok(results)
}

fn run_one(trial: &mut Trial<'_>, file: &CaseFile, case: &Case) -> CaseResult {
    let mut result = CaseResult {
        name: case.name.clone(),
        file: file.shown.clone(),
        differences: Vec::new(),
        fuel: 0,
        took: Duration::ZERO,
    };
    match trial.ready(file, case) {
        Err(error) => result.differences.push(error.to_string()),
        Ok(ready) => {
            let called = trial.call(&ready);
            result.differences = case.expect.compare(&called, &ready.input);
            (result.fuel, result.took) = (called.fuel, called.took);
        }
    }
    result
}

#[cfg(test)]
mod tests;
