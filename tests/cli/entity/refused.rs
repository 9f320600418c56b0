//! What an import refuses, it refuses whole, and says where it stands.

use portcullis_tests::Server;
use serde_json::{Value, json};

use crate::import::fixture::{
    exclusive_roles, exported, few, file, import, import_lines, lines, serve_office,
};

/// Imports a file that must be refused; gives what was said.
fn refused(server: &Server, name: &str, text: &str, further: &[&str]) -> String {
    let before = exported(server, &[]);
    let path = file(server, name, text);
    for dry in [&["--dry-run"][..], &[]] {
        let ran = import(server, &path, &[further, dry].concat()).expect_status(1);
        assert_eq!(ran.stdout, "");
        assert_eq!(exported(server, &[]), before, "something was written");
        if dry.is_empty() {
            return ran.stderr;
        }
    }
    unreachable!()
}

fn has(said: &str, parts: &[&str]) {
    assert!(
        said.lines().any(|line| parts.iter().all(|part| line.contains(part))),
        "no line with {parts:?}:\n{said}"
    );
}

#[test]
fn each_bad_line_is_named_with_its_field() {
    let server = serve_office();
    let deep = format!(
        "{{\"type\":\"user\",\"id\":\"x\",\"attributes\":{{\"email\":{}1{}}}}}",
        "[".repeat(500),
        "]".repeat(500)
    );
    let bad = [
        ("{\"type\":\"user\",\"id\":\"good\"}", &[][..]),
        ("not json", &["line 2", "column"]),
        ("[]", &["line 3", "object"]),
        ("{\"type\":\"user\"}", &["line 4", "`id`", "missing"]),
        ("{\"type\":\"planet\",\"id\":\"x\"}", &["line 5", "`type`", "`planet`"]),
        ("{\"type\":\"user\",\"id\":\"x\",\"attributes\":{\"level\":\"high\"}}", &["line 6", "level"]),
        ("{\"type\":\"user\",\"id\":\"x\",\"attributes\":{\"colour\":1}}", &["line 7", "colour"]),
        ("{\"type\":\"user\",\"id\":\"x\",\"attributes\":{\"level\":1.5}}", &["line 8"]),
        ("{\"type\":\"user\",\"id\":\"x\",\"attributes\":{\"level\":null}}", &["line 9", "null"]),
        (
            "{\"type\":\"user\",\"id\":\"x\",\"parents\":[{\"type\":\"folder\",\"id\":\"f\"}]}",
            &["line 10", "Folder"],
        ),
        ("{\"type\":\"user\",\"id\":\"\"}", &["line 11", "`id`", "512"]),
        ("{\"type\":\"user\",\"id\":\"a\\u0000b\"}", &["line 12", "`id`", "control"]),
        ("{\"type\":\"user\",\"id\":\"x\",\"id\":\"y\"}", &["line 13", "`id` stands twice"]),
        (
            "{\"type\":\"user\",\"id\":\"x\",\"attributes\":{\"manager\":{\"__expr\":\"User::\\\"a\\\"\"}}}",
            &["line 14"],
        ),
        ("{\"uid\":{\"type\":\"user\",\"id\":\"x\"}}", &["line 15", "`type`", "`user`"]),
        ("{\"uid\":{\"type\":\"Action\",\"id\":\"read\"}}", &["line 16", "`Action`"]),
        ("{\"type\":\"user\",\"id\":\"ada\"}", &["line 17", "`id`", "pack's own files"]),
        (
            "{\"type\":\"user\",\"id\":\"x\",\"parents\":[{\"type\":\"role\",\"id\":\"editor\"}]}",
            &["line 18", "`parents[0]`", "role"],
        ),
        (
            "{\"type\":\"role\",\"id\":\"x\",\"parents\":[{\"type\":\"group\",\"id\":\"staff\"}]}",
            &["line 19", "role"],
        ),
        (deep.as_str(), &["line 20", "recursion"]),
    ];
    let text: String = bad.iter().map(|(line, _)| format!("{line}\n")).collect();
    let said = refused(&server, "bad.ndjson", &text, &[]);
    for (_, parts) in &bad[1..] {
        has(&said, &[&["bad.ndjson"], *parts].concat());
    }
    assert!(said.contains("nothing was imported"), "{said}");
    assert!(!said.contains("line 1:"), "{said}");
}

#[test]
fn twenty_errors_are_shown_and_all_are_counted() {
    let server = serve_office();
    let said = refused(&server, "bad.ndjson", &"x\n".repeat(1_500), &[]);
    assert_eq!(said.matches("bad.ndjson").count(), 20, "{said}");
    assert!(said.contains("1500 errors in all"), "{said}");
}

#[test]
fn an_entity_that_stands_twice_is_named_with_both_places() {
    let server = serve_office();
    let mut all: Vec<Value> = (0..3_000).map(|n| json!({"type": "user", "id": format!("u{n}")})).collect();
    all[2_999] = json!({"uid": {"type": "User", "id": "u17"}, "attrs": {"level": 1}, "parents": []});
    let said = refused(&server, "twice.ndjson", &lines(&all), &[]);
    has(&said, &["line 3000", "User", "u17", "line 18"]);
    let list =
        "[\n{\"uid\":{\"type\":\"User\",\"id\":\"a\"}},\n\n{\"uid\":{\"type\":\"User\",\"id\":\"a\"}}]";
    has(&refused(&server, "twice.json", list, &[]), &["line 4, entity 2", "line 2, entity 1"]);
}

#[test]
fn a_list_that_is_cut_off_is_refused_at_its_place() {
    let server = serve_office();
    let list = "[{\"uid\":{\"type\":\"User\",\"id\":\"a\"}},\n{\"uid\":{\"type\":\"User\"";
    has(&refused(&server, "cut.json", list, &[]), &["line 2, entity 2", "cut off"]);
    has(&refused(&server, "none.json", "", &[]), &["line 1", "begin with `[`"]);
}

#[test]
fn who_would_be_in_themselves_is_named() {
    let server = serve_office();
    let group = |id: &str, parent: &str| json!({"type": "group", "id": id, "parents": [{"type": "group", "id": parent}]});
    let role = |id: &str, parent: &str| json!({"type": "role", "id": id, "parents": [{"type": "role", "id": parent}]});
    let said = refused(&server, "c.ndjson", &lines(&[group("a", "a")]), &[]);
    has(&said, &["Group::\"a\" → Group::\"a\""]);
    let said = refused(&server, "c.ndjson", &lines(&[role("x", "y"), role("y", "z"), role("z", "x")]), &[]);
    has(&said, &["a role would inherit itself", " → "]);
    // Half of the circle is in the store, or in the pack's own files.
    let _ = import_lines(&server, &[group("a", "b")]);
    has(&refused(&server, "c.ndjson", &lines(&[group("b", "a")]), &[]), &["in itself"]);
    has(&refused(&server, "c.ndjson", &lines(&[group("staff", "founders")]), &[]), &["founders", "staff"]);
    // A ladder of 50 is no circle, until its end is its beginning.
    let mut ladder: Vec<Value> = (0..50).map(|n| group(&format!("g{n}"), &format!("g{}", n + 1))).collect();
    let _ = import_lines(&server, &ladder);
    ladder.push(group("g50", "g0"));
    has(&refused(&server, "c.ndjson", &lines(&ladder), &[]), &["Group::\"g49\""]);
}

#[test]
fn nobody_comes_to_two_roles_that_exclude_each_other() {
    let server = serve_office();
    let joins = exclusive_roles(&server);
    let said = refused(&server, "duties.ndjson", &lines(&[joins]), &[]);
    has(&said, &["bob", "approver", "payer", "exclude"]);
    // A role that is imported keeps whom it excludes.
    let roles = [json!({"type": "role", "id": "approver"}), json!({"type": "role", "id": "payer"})];
    let by_parents = json!({"type": "user", "id": "eve",
        "parents": [{"type": "role", "id": "approver"}, {"type": "role", "id": "payer"}]});
    let text = lines(&[roles[0].clone(), roles[1].clone(), by_parents]);
    has(&refused(&server, "duties.ndjson", &text, &["--roles-as-parents"]), &["eve", "exclude"]);
}

#[test]
fn roles_as_parents_only_when_it_is_said() {
    let server = serve_office();
    let text = lines(&[
        json!({"type": "role", "id": "editor"}),
        json!({"type": "user", "id": "bob", "parents": [{"type": "role", "id": "editor"}]}),
    ]);
    has(&refused(&server, "roles.ndjson", &text, &[]), &["line 2", "`parents[0]`", "editor"]);
    let path = file(&server, "roles.ndjson", &text);
    let said = import(&server, &path, &["--roles-as-parents"]).expect_status(0).stdout;
    assert!(said.starts_with("created 2,"), "{said}");
}

#[test]
fn bad_tables_and_mappings_are_refused() {
    let server = serve_office();
    let mapping = file(
        &server,
        "m.toml",
        "type = \"user\"\nid = \"login\"\n[attributes]\nlevel = { type = \"long\" }\nmanager = { type = \"entity\", entity = \"user\" }\n",
    );
    let mapping = mapping.to_str().unwrap();
    let with = &["--mapping", mapping][..];
    let table = "login,level,manager\na,x,\nb,1\n,1,\nc,99999999999999999999,\nok,1,a\n";
    let said = refused(&server, "t.csv", table, with);
    has(&said, &["t.csv", "line 2", "`level`", "`x`"]);
    has(&said, &["line 3", "2 cells"]);
    has(&said, &["line 4", "`id`"]);
    has(&said, &["line 5", "`level`"]);
    has(&refused(&server, "t.csv", "login,level\na,1\n", with), &["line 1", "no column `manager`"]);
    has(&refused(&server, "t.csv", table, &[]), &["--mapping"]);
    has(&refused(&server, "t.ndjson", &lines(&few()), with), &["--format csv"]);
    let wrong = file(&server, "w.toml", "type = \"user\"\nid = 3\n");
    has(&refused(&server, "t.csv", table, &["--mapping", wrong.to_str().unwrap()]), &["w.toml:2"]);
    let strange = file(&server, "s.toml", "type = \"planet\"\nid = \"login\"\n");
    has(&refused(&server, "t.csv", table, &["--mapping", strange.to_str().unwrap()]), &["planet"]);
    let action = file(&server, "a.toml", "type = \"Action\"\nid = \"login\"\n");
    has(&refused(&server, "t.csv", table, &["--mapping", action.to_str().unwrap()]), &["Action"]);
}

#[test]
fn what_is_no_file_or_no_pack_is_refused() {
    let server = serve_office();
    let path = file(&server, "few.ndjson", &lines(&few()));
    assert!(
        import(&server, &server.policies(), &["--format", "ndjson"])
            .expect_status(1)
            .stderr
            .contains("folder")
    );
    assert!(
        import(&server, &server.policies().join("none.json"), &[])
            .expect_status(1)
            .stderr
            .contains("none.json")
    );
    assert!(import(&server, &path, &["--pack", "portcullis"]).expect_status(1).stderr.contains("no pack"));
    assert!(import(&server, &path, &["--pack", "other"]).expect_status(1).stderr.contains("other"));
    assert_eq!(import(&server, &path, &["--format", "xml"]).status, 2);
}
