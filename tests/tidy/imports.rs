//! Which module may know what: the invariants that are kept by absence.

use super::rust_text::{self, Token};
use super::{Source, report, sources};

/// A name that only some modules, or all but some, may use.
struct Rule {
    names: &'static [&'static str],
    kind: Kind,
    scope: Scope,
    reason: &'static str,
}

enum Kind {
    /// A module of the engine or a crate: the first part of a path.
    Module,
    /// An item: any part of a path.
    Item,
}

enum Scope {
    NotIn(&'static [&'static str]),
    OnlyIn(&'static [&'static str]),
}

const RULES: &[Rule] = &[
    Rule {
        names: &["http", "store", "state", "sqlx", "axum", "redis", "tokio"],
        kind: Kind::Module,
        scope: Scope::NotIn(&["engine/src/decision"]),
        reason: "`decision` is pure: no I/O, no HTTP, no SQL",
    },
    Rule {
        names: &["http", "store", "state", "config", "app", "plugin", "validate", "sqlx", "axum", "tokio"],
        kind: Kind::Module,
        scope: Scope::NotIn(&["engine/src/route"]),
        reason: "`route` knows paths alone, not who asks about them",
    },
    Rule {
        names: &["sqlx"],
        kind: Kind::Module,
        scope: Scope::OnlyIn(&["engine/src/store"]),
        reason: "the only SQL is in `store`",
    },
    Rule {
        names: &["redis"],
        kind: Kind::Module,
        scope: Scope::OnlyIn(&["engine/src/state"]),
        reason: "the only Redis commands are in `state`",
    },
    Rule {
        names: &["StatusCode"],
        kind: Kind::Item,
        scope: Scope::OnlyIn(&["engine/src/http"]),
        reason: "the only status codes are in `http`",
    },
];

/// The one file that may hold `unsafe`: compiled code is handed to the engine there, once a MAC vouches for it.
const UNSAFE_HOME: &str = "engine/src/plugin/cache.rs";

/// How a string begins that is SQL. (Upper case: that is how `store` writes it.)
const SQL: &[&str] = &["SELECT ", "INSERT INTO ", "DELETE FROM ", "CREATE TABLE ", "ALTER TABLE ", "PRAGMA "];

fn problems(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    if !source.is_rust() || !source.path.starts_with("engine/src/") {
        return problems;
    }
    for path in rust_text::paths(&source.text) {
        for rule in RULES.iter().filter(|rule| !rule.allows(source)) {
            if rule.is_named_by(&path, source) {
                problems.push(format!("{}: names `{}`: {}", source.path, path.join("::"), rule.reason));
            }
        }
    }
    if !source.is_within("engine/src/store") {
        problems.extend(
            sql_in(&source.text).map(|sql| format!("{}: SQL outside of `store`: `{sql}`", source.path)),
        );
    }
    problems
}

fn sql_in(text: &str) -> impl Iterator<Item = String> {
    rust_text::tokens(text).into_iter().filter_map(|token| match token {
        Token::Text(text) if SQL.iter().any(|start| text.trim_start().starts_with(start)) => Some(text),
        _ => None,
    })
}

impl Rule {
    fn allows(&self, source: &Source) -> bool {
        match self.scope {
            Scope::NotIn(modules) => !modules.iter().any(|module| source.is_within(module)),
            Scope::OnlyIn(modules) => modules.iter().any(|module| source.is_within(module)),
        }
    }

    fn is_named_by(&self, path: &[String], source: &Source) -> bool {
        let is_name = |part: &String| self.names.contains(&part.as_str());
        match self.kind {
            Kind::Item => path.iter().any(is_name),
            // A word alone is a variable or a field, unless `use` made it a path.
            Kind::Module => {
                path.len() > 1
                    && (path.first().is_some_and(is_name) || from_root(path, source).is_some_and(is_name))
            }
        }
    }
}

/// The first part of a path once `crate`, `self` and `super` are resolved.
fn from_root<'p>(path: &'p [String], source: &Source) -> Option<&'p String> {
    let first = path.first()?.as_str();
    if matches!(first, "crate" | "portcullis") {
        return path.get(1);
    }
    let ups = path.iter().take_while(|part| *part == "super").count();
    // Inside a module that is written in place, `super` climbs less far; taking it for the
    // full climb can only find more.
    (ups > 0 && ups >= depth(&source.path)).then(|| path.get(ups)).flatten()
}

/// How many modules deep a file is: `engine/src/decision/cedar.rs` is two.
fn depth(path: &str) -> usize {
    let inside = path.trim_start_matches("engine/src/");
    if matches!(inside, "lib.rs" | "main.rs") { 0 } else { inside.split('/').count() }
}

#[test]
fn modules_import_only_what_they_may() {
    let problems: Vec<_> = sources().unwrap().iter().flat_map(problems).collect();
    report(&problems);
}

fn unsafe_in(source: &Source) -> Option<String> {
    let is_unsafe = |token: &Token| matches!(token, Token::Word(word) if word == "unsafe");
    let count = rust_text::tokens(&source.text).iter().filter(|token| is_unsafe(token)).count();
    let most = usize::from(source.path == UNSAFE_HOME);
    (source.is_rust() && count > most).then(|| format!("{}: `unsafe` outside of its home", source.path))
}

#[test]
fn unsafe_has_one_home() {
    report(&sources().unwrap().iter().filter_map(unsafe_in).collect::<Vec<_>>());
}

#[test]
fn unsafe_elsewhere_is_found() {
    let found = |path: &str, text: &str| unsafe_in(&Source::made_up(path, text)).is_some();
    assert!(found("engine/src/app.rs", "fn f() { unsafe { g() } }"));
    assert!(found("sdk/src/lib.rs", "unsafe impl Send for X {}"));
    assert!(!found("engine/src/app.rs", "// unsafe\n#[expect(unsafe_code)] fn f() -> &str { \"unsafe\" }"));
    assert!(!found(UNSAFE_HOME, "unsafe { g() }"));
    assert!(found(UNSAFE_HOME, "unsafe { g() } unsafe { h() }"));
}

#[test]
fn a_forbidden_import_is_found_in_every_spelling() {
    for text in [
        "use crate::http::error;",
        "use crate::{clock, store};",
        "use super::super::state::State;",
        "fn f() { sqlx::query(x); }",
        "use ::axum::Router;",
        "use tokio;\nuse tokio::time::sleep;",
        "fn f() { portcullis::http::routes(); }",
        "use crate::*; fn f() { redis::cmd(x); }",
    ] {
        let source = Source::made_up("engine/src/decision/cedar.rs", text);
        assert!(!problems(&source).is_empty(), "{text}");
    }
}

#[test]
fn what_is_allowed_is_not_found() {
    let pure =
        "use crate::clock::Timestamp; use super::combine; fn f(state: u8) { state.into() } // crate::http::x";
    assert!(problems(&Source::made_up("engine/src/decision.rs", pure)).is_empty());
    let path = "use super::path::plain; fn f(plugin: &str) { plugin.len() }";
    assert!(problems(&Source::made_up("engine/src/route/router.rs", path)).is_empty());
    assert!(!problems(&Source::made_up("engine/src/route.rs", "use crate::plugin::Mode;")).is_empty());
    let sql = r#"use sqlx::Row; const Q: &str = "SELECT 1";"#;
    assert!(problems(&Source::made_up("engine/src/store/meta.rs", sql)).is_empty());
    let status = "use axum::http::StatusCode;";
    assert!(problems(&Source::made_up("engine/src/http/error.rs", status)).is_empty());
}

#[test]
fn sql_redis_and_status_codes_are_found_outside_of_their_homes() {
    for text in [
        "use sqlx::Row;",
        r#"const Q: &str = "SELECT 1";"#,
        "use redis::cmd;",
        "fn f() -> u16 { axum::http::StatusCode::OK.as_u16() }",
        "fn f() -> StatusCode { x }",
    ] {
        assert!(!problems(&Source::made_up("engine/src/audit.rs", text)).is_empty(), "{text}");
    }
}
