//! Migrations: numbered without gaps, and the same for each database.

use super::{Source, report, sources};

/// The names of a database's migrations, in order.
fn names<'s>(sources: &'s [Source], database: &str) -> Vec<&'s str> {
    let folder = format!("migrations/{database}/");
    let mut names: Vec<_> = sources.iter().filter_map(|source| source.path.strip_prefix(&folder)).collect();
    names.sort_unstable();
    names
}

fn numbering_problems(names: &[&str]) -> Vec<String> {
    let is_right = |index: usize, name: &str| {
        let number = format!("{:04}_", index + 1);
        let title = name.strip_prefix(&number).and_then(|rest| rest.strip_suffix(".sql"));
        let is_of_title = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        title.is_some_and(|title| !title.is_empty() && title.bytes().all(is_of_title))
    };
    let wrong = names.iter().enumerate().filter(|(index, name)| !is_right(*index, name));
    wrong.map(|(index, name)| format!("`{name}`: expected `{:04}_title.sql`", index + 1)).collect()
}

fn difference(one: &[&str], other: &[&str]) -> Vec<String> {
    let missing = |from: &[&str], of: &[&str]| -> Vec<String> {
        of.iter()
            .filter(|name| !from.contains(name))
            .map(|name| format!("`{name}` is not in both folders"))
            .collect()
    };
    let mut problems = missing(one, other);
    problems.extend(missing(other, one));
    problems
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let sources = sources().unwrap();
    let names = names(&sources, "sqlite");
    assert!(!names.is_empty());
    report(&numbering_problems(&names));
}

#[test]
fn both_databases_have_the_same_migrations() {
    let sources = sources().unwrap();
    let (sqlite, postgres) = (names(&sources, "sqlite"), names(&sources, "postgres"));
    if !postgres.is_empty() {
        report(&difference(&sqlite, &postgres));
    }
}

#[test]
fn a_gap_a_double_number_and_a_bad_name_are_found() {
    assert!(numbering_problems(&["0001_a.sql", "0002_b_2.sql"]).is_empty());
    for wrong in
        [&["0001_a.sql", "0003_b.sql"][..], &["0001_a.sql", "0001_b.sql"], &["0001.sql"], &["0001_A.sql"]]
    {
        assert_eq!(numbering_problems(wrong).len(), 1, "{wrong:?}");
    }
}

#[test]
fn a_migration_of_one_database_alone_is_found() {
    assert!(difference(&["0001_a.sql"], &["0001_a.sql"]).is_empty());
    assert_eq!(difference(&["0001_a.sql", "0002_b.sql"], &["0001_a.sql", "0002_c.sql"]).len(), 2);
}
