//! Finds SQL injection, cross-site scripting, command injection and path traversal.
//!
//! Each value is made canonical, passes a gate that lets plain values through at once, is cut into tokens, and gets a score from
//! what the tokens do. Promises: a finding names its rule and place, and never repeats the value. Must never: take more than one pass
//! over a value for each family and reading of it.

use portcullis_sdk::prelude::*;

mod canonical;
mod command;
mod gate;
mod marks;
mod path;
mod scan;
mod sql;
mod token;
mod xss;

use scan::{Families, Hit, Scanner, worse};

/// The plugin's configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    families: Vec<Family>,
    reject_at: u8,
    ignore: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Family {
    Sql,
    Xss,
    Command,
    Path,
}

impl Default for Settings {
    fn default() -> Self {
        let families = [Family::Sql, Family::Xss, Family::Command, Family::Path].into();
        Self { families, reject_at: 80, ignore: Vec::new() }
    }
}

/// The plugin.
struct InjectionGuard {
    scanner: Scanner,
    reject_at: u8,
    ignore: Vec<Vec<String>>,
}

/// Headers whose values end up in logs, databases and pages.
const HEADERS: [&str; 6] =
    ["user-agent", "referer", "x-forwarded-for", "x-forwarded-host", "origin", "cookie"];
/// A finding for each value is enough, and a request has so many at most.
const FINDINGS: usize = 32;

impl Validate for InjectionGuard {
    type Config = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        let has = |family| settings.families.contains(&family);
        let families = Families {
            sql: has(Family::Sql),
            xss: has(Family::Xss),
            command: has(Family::Command),
            path: has(Family::Path),
        };
        let ignore = settings.ignore.iter().map(|place| steps(place)).collect();
        let scanner = Scanner::new(families).map_err(|_| Failure::Unavailable)?;
        Ok(Self { scanner, reject_at: settings.reject_at, ignore })
    }

    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
        let mut findings = Findings { guard: self, found: Vec::new() };
        findings.look_at_path(request.path());
        for (name, value) in request.query_pairs() {
            findings.look(name, || Location::query(name.as_str()));
            findings.look(value, || Location::query(name.as_str()));
        }
        for header in request.headers().iter().filter(|header| HEADERS.contains(&header.name.as_str())) {
            findings.look(&header.value, || Location::header(header.name.as_str()));
        }
        findings.look_at_body(request);
        let found = findings.found;
        if found.iter().any(|finding| finding.score >= self.reject_at) {
            return Err(Rejection::new("injection").with_all(found));
        }
        Ok(found)
    }
}

/// A place, step by step.
fn steps(place: &str) -> Vec<String> {
    place.split('/').map(str::to_owned).collect()
}

struct Findings<'a> {
    guard: &'a InjectionGuard,
    found: Vec<Finding>,
}

impl Findings<'_> {
    fn look(&mut self, value: &str, place: impl FnOnce() -> Location) {
        if self.found.len() >= FINDINGS {
            return;
        }
        if let Some(hit) = self.guard.scanner.scan(value) {
            self.note(hit, place());
        }
    }

    fn look_at_path(&mut self, path: &str) {
        let scanner = &self.guard.scanner;
        let segments = if scanner.families.path { path::in_request_path(path) } else { None };
        if let Some(hit) = worse(scanner.scan(path), segments) {
            self.note(hit, Location::Path);
        }
    }

    fn look_at_body(&mut self, request: &Request) {
        // Most bodies are plain altogether, and then need not be taken apart.
        let raw = request.raw_body();
        if matches!(raw, [b'{' | b'[', ..]) && gate::is_plain_json(raw, || request.body().is_some()) {
            return;
        }
        let Some(document) = request.body() else {
            let text = canonical::text_of(raw.to_vec());
            return self.look(&text, || Location::body(""));
        };
        for leaf in document.leaf_table().iter() {
            // Names of members are values too, to whoever builds a query of them.
            self.look(leaf.pointer, || Location::body(leaf.pointer));
            if let ValueRef::Text(text) = leaf.value {
                self.look(text, || Location::body(leaf.pointer));
            }
        }
    }

    fn note(&mut self, hit: Hit, location: Location) {
        if !self.guard.ignores(&location) {
            self.found.push(Finding::new(hit.rule, hit.score, location, hit.detail));
        }
    }
}

impl InjectionGuard {
    fn ignores(&self, location: &Location) -> bool {
        if self.ignore.is_empty() {
            return false;
        }
        let place = match location {
            Location::Whole => return false,
            Location::Path => "path".to_owned(),
            Location::Query(name) => format!("query:{name}"),
            Location::Header(name) => format!("header:{name}"),
            Location::Body(pointer) => format!("body:{pointer}"),
        };
        let place = steps(&place);
        self.ignore.iter().any(|ignored| {
            ignored.len() == place.len()
                && ignored.iter().zip(&place).all(|(wanted, step)| wanted == "*" || wanted == step)
        })
    }
}

portcullis_sdk::export_validate!(InjectionGuard);

#[cfg(test)]
mod tests;
