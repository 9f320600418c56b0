//! Homes: what is tested on SQLite is tested on PostgreSQL, and what on the embedded state, on Redis, and the reverse.

use super::{Source, report, sources};

/// Modules of tests that come in pairs.
const PAIRS: &[[&str; 2]] = &[["mod on_sqlite", "mod on_postgres"], ["mod on_embedded", "mod on_redis"]];

fn problems(source: &Source) -> Vec<String> {
    if !source.is_rust() || !source.path.starts_with("engine/src/") {
        return Vec::new();
    }
    let has = |name: &str| source.text.contains(name);
    let alone = PAIRS.iter().flat_map(|[one, other]| match (has(one), has(other)) {
        (true, false) => Some((one, other)),
        (false, true) => Some((other, one)),
        _ => None,
    });
    alone.map(|(one, other)| format!("{}: `{one}` without `{other}`", source.path)).collect()
}

#[test]
fn no_home_is_tested_alone() {
    report(&sources().unwrap().iter().flat_map(problems).collect::<Vec<_>>());
}

#[test]
fn a_home_that_is_tested_alone_is_found() {
    let found = |text: &str| problems(&Source::made_up("engine/src/store/tests.rs", text)).len();
    assert_eq!(found("mod on_sqlite { } mod on_postgres { }"), 0);
    assert_eq!(found("mod on_postgres { }"), 1);
    assert_eq!(found("mod on_sqlite { } mod on_redis { }"), 2);
    assert_eq!(found("fn store() {}"), 0);
}
