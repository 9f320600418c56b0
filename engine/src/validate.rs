//! Stage `validate`, the host's own part: is a request what its route takes? JSON Schema by route.
//!
//! Promises: nothing is fetched, now or later; what is wrong with a schema or a route is an error of the start. A path that
//! two readers could understand differently is no known route. Must never: put a value of a request into a finding.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::config::validate::{SchemaSource, UnknownRoutes, Validate};
use crate::plugin::Request;
use crate::plugin::input::{Body, form};
use crate::plugin::output::{Finding, Location};
use crate::route::{Pattern, Router};

mod schema;
#[cfg(test)]
mod tests;

use schema::{Part, Schema, Schemas};

/// How many findings one request gets.
const FINDINGS: usize = 8;
/// More routes than that are no list that somebody wrote.
const ROUTES: usize = 5_000;

/// The routes and their schemas, and how often they counted.
#[derive(Debug, Default)]
pub struct Validation {
    router: Router,
    routes: Vec<Route>,
    unknown: UnknownRoutes,
    counts: [AtomicU64; Counted::ALL.len()],
}

#[derive(Debug)]
struct Route {
    schemas: Vec<(Part, Schema)>,
    was_used: AtomicBool,
}

/// What became of a request.
#[derive(Debug)]
pub enum Checked {
    /// No route is configured: nothing was checked.
    Off,
    /// Its route is not known, or has no schema, and it goes on unchecked.
    Passed,
    /// It is what its route takes.
    Valid,
    /// It is not, for these reasons.
    Invalid(Vec<Finding>),
    /// Its route is not known.
    Unknown(Finding),
}

/// What requests are counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Checked, and right.
    Valid,
    /// Checked, and wrong.
    Invalid,
    /// Of no known route, and denied.
    Unknown,
    /// Not checked.
    Unchecked,
}

impl Counted {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Valid, Self::Invalid, Self::Unknown, Self::Unchecked];

    /// The name that metrics have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Unknown => "unknown",
            Self::Unchecked => "unchecked",
        }
    }
}

/// Counts for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Requests, as [`Counted::ALL`] lists them.
    pub requests: [u64; Counted::ALL.len()],
    /// Routes that are configured.
    pub routes: usize,
    /// Routes with a schema.
    pub with_schema: usize,
    /// Routes with a schema that checked a request since the start.
    pub used: usize,
}

/// What is wrong with the configuration of routes.
#[derive(Debug, thiserror::Error)]
pub enum ValidateError {
    /// A file can't be read.
    #[error("`{place}`: can't read `{}`: {source}", file.display())]
    Unreadable {
        /// Which entry names it.
        place: String,
        /// Which.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no JSON.
    #[error("`{place}`: `{}` is no JSON: {source}", file.display())]
    NoJson {
        /// Which entry names it.
        place: String,
        /// Which.
        file: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It is no schema that can be used.
    #[error("`{place}`{file}, at `{pointer}`: {message}")]
    Schema {
        /// Which entry.
        place: String,
        /// Which file, in words.
        file: String,
        /// Where in it.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// An entry is wrong.
    #[error("`{place}`: {message}")]
    Route {
        /// Which entry.
        place: String,
        /// What is wrong.
        message: String,
    },
}

impl Validation {
    /// Reads and compiles all that is configured.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn load(config: &Validate) -> Result<Self, ValidateError> {
        let wrong = |place: String, message: String| ValidateError::Route { place, message };
        if config.routes.len() > ROUTES {
            return Err(wrong(
                "validate.routes".into(),
                format!("at most {ROUTES} routes can be configured"),
            ));
        }
        let schemas = Schemas::load(config)?;
        let mut patterns = Vec::with_capacity(config.routes.len());
        let mut routes = Vec::with_capacity(config.routes.len());
        for (number, route) in config.routes.iter().enumerate() {
            let place = format!("validate.routes[{number}]");
            let pattern = Pattern::parse(&route.method, &route.path);
            patterns.push(pattern.map_err(|message| wrong(place.clone(), message))?);
            let parts: [(Part, &Option<SchemaSource>); 3] = [
                (Part::Query, &route.query_schema),
                (Part::Headers, &route.header_schema),
                (Part::Body, &route.body_schema),
            ];
            let mut compiled = Vec::new();
            for (part, source) in parts {
                if let Some(source) = source {
                    compiled.push((part, schemas.compile(&format!("{place}.{}", part.field()), source)?));
                }
            }
            routes.push(Route { schemas: compiled, was_used: AtomicBool::new(false) });
        }
        let router = Router::new(&patterns).map_err(|(first, second, message)| {
            wrong(format!("validate.routes[{second}]"), format!("{message} `validate.routes[{first}]`"))
        })?;
        Ok(Self { router, routes, unknown: config.unknown_routes, counts: Default::default() })
    }

    /// Whether any route is configured.
    pub fn is_on(&self) -> bool {
        !self.routes.is_empty()
    }

    /// A request was reported that nothing checks.
    pub fn skipped(&self) {
        self.count(Counted::Unchecked);
    }

    /// Checks a request.
    pub fn check(&self, request: &Request) -> Checked {
        if !self.is_on() {
            self.count(Counted::Unchecked);
            return Checked::Off;
        }
        let route = self.router.find(&request.method, &request.path).and_then(|place| self.routes.get(place));
        let Some(route) = route else { return self.unknown(request) };
        if route.schemas.is_empty() {
            self.count(Counted::Unchecked);
            return Checked::Passed;
        }
        route.was_used.store(true, Ordering::Relaxed);
        let findings = route.findings(request);
        self.count(if findings.is_empty() { Counted::Valid } else { Counted::Invalid });
        if findings.is_empty() { Checked::Valid } else { Checked::Invalid(findings) }
    }

    fn unknown(&self, request: &Request) -> Checked {
        let looks_known = self.router.resembles(&request.method, &request.path);
        if self.unknown == UnknownRoutes::Pass && !looks_known {
            self.count(Counted::Unchecked);
            return Checked::Passed;
        }
        self.count(Counted::Unknown);
        let (rule, detail) = if looks_known {
            ("route.lookalike", "the path or method is written so that it can be taken for a known route's")
        } else {
            ("route.unknown", "no known route has this method and path")
        };
        let detail = detail.to_owned();
        Checked::Unknown(Finding { rule: rule.to_owned(), score: 0, location: Location::Path, detail })
    }

    fn count(&self, counted: Counted) {
        let places = Counted::ALL.iter().zip(&self.counts);
        places.filter(|(one, _)| **one == counted).for_each(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
        });
    }

    /// For the metrics.
    pub fn shares(&self) -> Shares {
        let mut requests = [0; Counted::ALL.len()];
        for (count, kept) in requests.iter_mut().zip(&self.counts) {
            *count = kept.load(Ordering::Relaxed);
        }
        let with_schema = self.routes.iter().filter(|route| !route.schemas.is_empty());
        let used = with_schema.clone().filter(|route| route.was_used.load(Ordering::Relaxed)).count();
        Shares { requests, routes: self.routes.len(), with_schema: with_schema.count(), used }
    }
}

impl Route {
    fn findings(&self, request: &Request) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (part, schema) in &self.schemas {
            let room = FINDINGS.saturating_sub(findings.len());
            match part {
                Part::Query => {
                    let query = form::document(request.query.as_deref().unwrap_or_default());
                    findings.extend(schema.findings(&query, *part, room));
                }
                Part::Headers => findings.extend(schema.findings(&headers(request), *part, room)),
                Part::Body => match request.document() {
                    Some(document) => findings.extend(schema.findings(&document, *part, room)),
                    None => findings.extend((room > 0).then(|| no_document(request))),
                },
            }
        }
        findings
    }
}

fn no_document(request: &Request) -> Finding {
    let (rule, detail) = match request.body {
        Body::None => ("schema.no_body", "there is no body"),
        _ => ("schema.no_document", "the body is neither JSON nor a form by its type and its text"),
    };
    let location = Location::Body(String::new());
    Finding { rule: rule.to_owned(), score: 0, location, detail: detail.to_owned() }
}

/// An object: a header's value is text, or a list of it when the header stands more than once.
fn headers(request: &Request) -> Value {
    let mut all = serde_json::Map::new();
    for (name, value) in &request.headers {
        let value = Value::String(value.clone());
        match all.get_mut(name) {
            None => {
                all.insert(name.clone(), value);
            }
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(all)
}
