//! Routes and schemas, as an attacker would try them.

use serde_json::json;

use super::*;
use crate::plugin::input::Body;

fn config(text: &str) -> Validate {
    toml::from_str(text).unwrap()
}

fn routes(routes: &[&str]) -> Result<Validation, String> {
    let mut text = String::new();
    for route in routes {
        let (method, path) = route.split_once(' ').unwrap();
        text.push_str(&format!(
            "[[routes]]\nmethod = \"{method}\"\npath = \"{path}\"\nquery_schema = {{}}\n"
        ));
    }
    Validation::load(&config(&text)).map_err(|error| error.to_string())
}

fn request(route: &str) -> Request {
    let (method, path) = route.split_once(' ').unwrap();
    Request::new(method, path, None, Vec::new(), Body::None)
}

fn posted(path: &str, query: Option<&str>, headers: &[(&str, &str)], body: Body) -> Request {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Request::new("POST", path, query.map(ToOwned::to_owned), headers, body)
}

#[track_caller]
fn rules(checked: Checked) -> Vec<String> {
    match checked {
        Checked::Invalid(findings) => {
            findings.into_iter().map(|finding| format!("{} {}", finding.rule, finding.location)).collect()
        }
        Checked::Unknown(finding) => vec![finding.rule],
        Checked::Valid => Vec::new(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_most_exact_route_counts() {
    let all = ["GET /", "GET /a/{x}", "GET /a/b", "* /a/b", "GET /a/{*rest}", "POST /a/{x}/c", "GET /d/"];
    let validation = routes(&all).unwrap();
    let found = |asked: &str| {
        let (method, path) = asked.split_once(' ').unwrap();
        validation.router.find(method, path).map(|place| all[place])
    };
    for (asked, route) in [
        ("GET /", Some("GET /")),
        ("GET /a/b", Some("GET /a/b")),
        ("PUT /a/b", Some("* /a/b")),
        ("GET /a/x", Some("GET /a/{x}")),
        ("GET /a/%62", Some("GET /a/b")),
        ("GET /a/%C3%A4", Some("GET /a/{x}")),
        ("GET /a/b/c", Some("GET /a/{*rest}")),
        ("GET /a/b/", None),
        ("GET /a/c/", None),
        ("GET /a/b/c/", Some("GET /a/{*rest}")),
        ("POST /a/b/c", Some("POST /a/{x}/c")),
        ("GET /d/", Some("GET /d/")),
        ("GET /d", None),
        ("GET /a", None),
        ("GET /a/", None),
        ("POST /a/x", None),
        ("get /a/b", None),
        ("put /a/b", Some("* /a/b")),
        ("get /a/x", None),
    ] {
        assert_eq!(found(asked), route, "{asked}");
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_no_known_route() {
    let validation = routes(&["GET /orders/{id}", "GET /files/{*rest}", "GET /orders/{id}/lines"]).unwrap();
    assert_eq!(rules(validation.check(&request("GET /orders/1"))), [""; 0]);
    for path in [
        "/orders/1%2Flines",
        "/orders/1%2flines",
        "/orders//1",
        "//orders/1",
        "/orders/1/",
        "/orders/%2e%2e",
        "/orders/.",
        "/orders/..",
        "/files/../orders/1",
        "/files/a/%2E%2E/b",
        "/files/a//b",
        "/orders/1%00",
        "/orders/1%5c..",
        "/orders\\1",
        "/orders/%252e%252e",
        "/orders/1%252Flines",
        "/orders/%",
        "/orders/%4",
        "/orders/%zz",
        "/orders/%ff",
        "/orders/..;a=b",
        "/orders/.;",
        "/ORDERS/1",
        "orders/1",
        "/orders;a/1",
        "/orders/1\u{7f}",
        "/orders/%0a",
        "",
        "*",
        "/orders/1/lines/x",
        "/orders ",
        "/orders/1%2525",
    ] {
        let request = Request::new("GET", path, None, Vec::new(), Body::None);
        let checked = validation.check(&request);
        assert!(matches!(checked, Checked::Unknown(_)), "{path}: {checked:?}");
    }
}

#[test]
fn no_spelling_leads_to_a_laxer_route_than_another_reader_takes() {
    for all in [
        &["POST /orders", "POST /{page}"][..],
        &["POST /orders", "POST /{*rest}"],
        &["POST /orders", "* /{page}", "* /{*rest}"],
        &["POST /Orders", "POST /{page}", "POST /{x}/{y}", "POST /{*rest}"],
    ] {
        let validation = routes(all).unwrap();
        let found = |path: &str| validation.router.find("POST", path);
        assert_eq!(all[found("/other").unwrap()].split_once(' ').unwrap().1.chars().nth(1), Some('{'));
        let own = all[0].split_once(' ').unwrap().1;
        assert_eq!(found(own), Some(0), "{own}");
        for path in [
            "/ORDERS",
            "/orders;a",
            "/orders%3b",
            "/orders%3fa",
            "/orders%23",
            "/orders.",
            "/orders%20",
            "/orders/",
            "/orders;a/",
            "/orders/%20",
            "/orders/;a",
            "/orders/%3f",
        ] {
            assert_eq!(found(path), None, "{path} of {all:?}");
            assert!(validation.router.resembles("POST", path), "{path} of {all:?}");
        }
    }
    let long = format!("/a{}", "/b".repeat(10_000));
    let all = routes(&["GET /{*rest}"]).unwrap();
    assert!(all.router.find("GET", &long).is_none() && all.router.resembles("GET", &long));
    let alike = routes(&["GET /a", "GET /A", "GET /a/", "GET /a/{x}"]).unwrap();
    for (place, path) in ["/a", "/A", "/a/", "/a/B;c"].into_iter().enumerate() {
        assert_eq!(alike.router.find("GET", path), Some(place), "{path}");
    }
}

#[test]
fn with_pass_unknown_routes_go_on_and_lookalikes_do_not() {
    let text = r#"
        unknown_routes = "pass"
        [[routes]]
        method = "POST"
        path = "/orders/{id}"
        body_schema = { type = "object" }
    "#;
    let validation = Validation::load(&config(text)).unwrap();
    for path in ["/", "/other", "/orders", "/orders/1/lines", "/other%2F1", "/a//b", "/a/../b"] {
        let checked = validation.check(&posted(path, None, &[], Body::None));
        assert!(matches!(checked, Checked::Passed), "{path}: {checked:?}");
    }
    assert!(matches!(validation.check(&request("GET /orders/1")), Checked::Passed));
    for path in [
        "/orders/1/",
        "//orders/1",
        "/orders//1",
        "/orders%2F1",
        "/orders%252F1",
        "/orders%25252F1",
        "/Orders/1",
        "/x/../orders/1",
        "/x/%2e%2e/orders/1",
        "/orders\\1",
        "/./orders/1",
        "/orders;v=1/1",
        "/orders/1%00",
        "/orders./1",
        "/orders%20/1",
        "/orders/%31%2F",
        "orders/1",
        "/%6frders/1/",
        "/orders/..",
        "/orders/%2e%2e",
        "/orders/.%00./1",
    ] {
        let checked = validation.check(&posted(path, None, &[], Body::None));
        assert!(
            matches!(&checked, Checked::Unknown(finding) if finding.rule == "route.lookalike"),
            "{path}: {checked:?}"
        );
    }
    let lower = Request::new("post", "/orders/1", None, Vec::new(), Body::None);
    assert!(matches!(validation.check(&lower), Checked::Unknown(_)));
}

#[test]
fn routes_in_each_others_way_are_refused() {
    for (all, named) in [
        (&["GET /a/{x}", "GET /a/{y}"][..], "validate.routes[1]"),
        (&["GET /a", "POST /a", "GET /a"], "validate.routes[2]"),
        (&["GET /{x}/b", "GET /a/{y}"], "every segment"),
        (&["* /{x}/b", "GET /a/{y}"], "every segment"),
        (&["GET /{x}/b", "GET /a/{*rest}"], "every segment"),
        (&["GET a"], "begin with"),
        (&["GET /a//b"], "segment"),
        (&["GET /a/../b"], "segment"),
        (&["GET /a%2Fb"], "decoded"),
        (&["GET /a/{x"], "whole segment"),
        (&["GET /a/{x}y"], "whole segment"),
        (&["GET /{*rest}/a"], "last"),
        (&["GET /{}"], "named"),
        (&["G/T /a"], "no method"),
    ] {
        let error = routes(all).unwrap_err();
        assert!(error.contains(named), "{all:?}: {error}");
    }
    assert!(routes(&["GET /{x}/b", "POST /a/{y}", "GET /a", "* /a", "GET /{*rest}"]).is_ok());
}

#[test]
fn each_part_is_checked_and_findings_name_places_and_no_values() {
    let text = r#"
        [[routes]]
        method = "POST"
        path = "/orders"
        body_schema = { type = "object", required = ["id"], additionalProperties = false, properties = { id = { type = "integer" }, tags = { type = "array", items = { enum = ["a"] } } } }
        query_schema = { type = "object", properties = { page = { type = "string", pattern = "^[0-9]+$" } }, additionalProperties = false }
        header_schema = { type = "object", required = ["x-tenant"], properties = { "x-tenant" = { type = "string", format = "uuid" } } }
    "#;
    let validation = Validation::load(&config(text)).unwrap();
    let json = |value: Value| Body::Json(value.to_string());
    let tenant = [("x-tenant", "2f1b8f6e-7a5f-4a52-9d0c-6f0b7a2c9e11")];
    let good = posted("/orders", Some("page=2"), &tenant, json(json!({"id": 1})));
    assert_eq!(rules(validation.check(&good)), [""; 0]);
    let bad = posted(
        "/orders",
        Some("page=hunter2&page=3&hunter3=1"),
        &[("x-tenant", "hunter2")],
        json(json!({"id": "hunter2", "tags": ["a", "hunter2"], "hunter4": 1})),
    );
    let Checked::Invalid(findings) = validation.check(&bad) else { panic!() };
    let shown = format!("{findings:?}");
    assert!(!shown.contains("hunter"), "{shown}");
    let mut places: Vec<String> = rules(Checked::Invalid(findings));
    places.sort();
    assert_eq!(
        places,
        [
            "schema.additionalProperties body:",
            "schema.additionalProperties request",
            "schema.enum body:/tags/1",
            "schema.format header:x-tenant",
            "schema.type body:/id",
            "schema.type query:page",
        ]
    );
    let without =
        |body: Body, kind: &str| posted("/orders", None, &[tenant[0], ("content-type", kind)], body);
    for (request, rule) in [
        (without(Body::None, "application/json"), "schema.no_body body:"),
        (without(Body::Text("{".into()), "application/json"), "schema.no_document body:"),
        (without(Body::Text(r#"{"id": 1, "id": 2}"#.into()), "application/json"), "schema.no_document body:"),
        (without(Body::Text(r#"{"id": 1}"#.into()), "text/plain"), "schema.no_document body:"),
        (without(Body::Bytes(vec![0xff]), "application/json"), "schema.no_document body:"),
    ] {
        assert_eq!(rules(validation.check(&request)), [rule]);
    }
    let typed = without(Body::Text(r#"{"id": 1}"#.into()), "application/json; charset=utf-8");
    assert_eq!(rules(validation.check(&typed)), [""; 0]);
}

#[test]
fn many_errors_give_few_findings() {
    let text = r#"
        [[routes]]
        method = "POST"
        path = "/"
        body_schema = { items = { type = "string" } }
    "#;
    let validation = Validation::load(&config(text)).unwrap();
    let many = Body::Json(serde_json::to_string(&vec![1; 100_000]).unwrap());
    assert_eq!(rules(validation.check(&posted("/", None, &[], many))).len(), FINDINGS);
}

#[test]
fn a_pattern_that_goes_back_for_ever_gives_up_and_does_not_match() {
    let text = r#"
        [[routes]]
        method = "POST"
        path = "/"
        body_schema = { pattern = "^(?=(a+)+$)(a|aa)+$(?<!b)c" }
    "#;
    let validation = Validation::load(&config(text)).unwrap();
    let long = Body::Json(format!("\"{}!\"", "a".repeat(10_000)));
    assert_eq!(rules(validation.check(&posted("/", None, &[], long))).len(), 1);
}

#[test]
fn errors_of_the_start_name_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("broken.json"), "{\n  \"type\": }").unwrap();
    std::fs::write(folder.path().join("wrong.json"), r#"{"properties": {"a": {"type": "strin"}}}"#).unwrap();
    let load = |schema: &str| {
        let text = format!("[[routes]]\nmethod = \"POST\"\npath = \"/\"\nbody_schema = {schema}\n");
        let mut config = config(&text);
        config.folder = folder.path().to_owned();
        Validation::load(&config).map(drop).map_err(|error| error.to_string())
    };
    for (schema, named) in [
        ("\"missing.json\"", vec!["validate.routes[0].body_schema", "missing.json", "can't read"]),
        ("\"broken.json\"", vec!["validate.routes[0].body_schema", "broken.json", "line 2"]),
        ("\"wrong.json\"", vec!["validate.routes[0].body_schema", "wrong.json", "/properties/a/type"]),
        ("{ \"$ref\" = \"https://example.com/a.json\" }", vec!["https://example.com/a.json"]),
        ("{ \"$ref\" = \"other.json\" }", vec!["other.json"]),
        ("{ \"$ref\" = \"#/$defs/missing\" }", vec!["missing"]),
        ("{ \"$schema\" = \"https://example.com/own\" }", vec!["https://example.com/own"]),
        ("{ pattern = \"(\" }", vec!["pattern"]),
        ("{ format = \"uuuid\" }", vec!["uuuid"]),
    ] {
        let error = load(schema).unwrap_err();
        assert!(named.iter().all(|part| error.contains(part)), "{schema}: {error}");
    }
}

#[test]
fn references_are_documents_of_the_configuration() {
    let text = r##"
        [references."https://example.com/id.json"]
        type = "integer"
        [[routes]]
        method = "POST"
        path = "/"
        body_schema = { properties = { id = { "$ref" = "https://example.com/id.json" } } }
    "##;
    let validation = Validation::load(&config(text)).unwrap();
    let body = |text: &str| posted("/", None, &[], Body::Json(text.into()));
    assert_eq!(rules(validation.check(&body(r#"{"id": 1}"#))), [""; 0]);
    assert_eq!(rules(validation.check(&body(r#"{"id": "1"}"#))), ["schema.type body:/id"]);
}

#[test]
fn without_routes_nothing_is_checked_and_shares_are_counted() {
    let off = Validation::default();
    assert!(matches!(off.check(&request("GET /")), Checked::Off));
    assert_eq!(off.shares().requests, [0, 0, 0, 1]);
    let on = routes(&["GET /a", "GET /b"]).unwrap();
    for route in ["GET /a", "GET /c"] {
        on.check(&request(route));
    }
    assert_eq!(on.shares(), Shares { requests: [1, 0, 1, 0], routes: 2, with_schema: 2, used: 1 });
}

#[test]
fn a_schema_that_leads_to_itself_ends() {
    for schema in [r##"{ "$ref" = "#" }"##, r##"{ allOf = [{ "$ref" = "#" }] }"##] {
        let text = format!("[[routes]]\nmethod = \"POST\"\npath = \"/\"\nbody_schema = {schema}\n");
        if let Ok(validation) = Validation::load(&config(&text)) {
            let _ = validation.check(&posted("/", None, &[], Body::Json("1".into())));
        }
    }
}
