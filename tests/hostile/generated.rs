//! Requests made from the OpenAPI document, half of them spoiled, to every operation: no 5xx,
//! and the document is true enough that at least half of the bodies get past parsing.

use std::collections::BTreeMap;

use portcullis_tests::{Answer, Server, XorShift, soak};
use serde_json::Value;

use super::generator::Generator;
use super::is_well;
use super::mutation::Body;
use crate::fixtures::records;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    described: &'a Value,
    item: &'a Value,
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, item)| {
            METHODS.into_iter().filter_map(move |method| {
                let described = item.get(method)?;
                Some(Operation { path, method, described, item })
            })
        })
        .collect()
}

impl Operation<'_> {
    fn parameters(&self) -> impl Iterator<Item = &Value> {
        [self.item, self.described].into_iter().filter_map(|from| from["parameters"].as_array()).flatten()
    }

    fn send(&self, server: &Server, generator: &Generator<'_>, random: &mut XorShift) -> Answer {
        let spoil = random.one_in(2);
        let mut path = self.path.to_owned();
        let mut query = Vec::new();
        for parameter in self.parameters() {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = text(&generator.value(&parameter["schema"], name, random));
            let value = if spoil && random.one_in(3) { (*random.pick(&SPOILED)).to_owned() } else { value };
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &encode(&value)),
                Some("query") if random.one_in(2) => query.push(format!("{name}={}", encode(&value))),
                _ => {}
            }
        }
        let path = path.replace("{pack}", "records").replace("{id}", "dec_01970000000070008000000000000000");
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        let request = server.request(&self.method.to_uppercase(), &format!("{path}{query}"));
        let Some(schema) = self.described.pointer("/requestBody/content/application~1json/schema") else {
            return request.send();
        };
        let value = generator.value(schema, "", random);
        let body = if spoil { Body::spoiled(value, random) } else { Body::sound(&value) };
        request.header("content-type", body.kind).body(body.bytes).send()
    }
}

const SPOILED: [&str; 8] = ["", "\0", "../..", "dec_x", "-1", "9999999999999999999999", "%", "é'\"<>"];

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Percent-encodes all but letters and digits (RFC 3986 §2.1).
fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[test]
fn no_generated_request_makes_the_server_fail() {
    let server = Server::with(records());
    let document = server.get("/openapi.json").expect_status(200).json();
    let operations = operations(&document);
    let generator = Generator::new(&document);
    let mut random = XorShift::new(2_026);
    let mut statuses: BTreeMap<(String, u16), usize> = BTreeMap::new();
    let (mut posts, mut parsed) = (0_usize, 0_usize);
    for round in 0..soak(1_500, 100_000) {
        let operation = &operations[round % operations.len()];
        let answer = operation.send(&server, &generator, &mut random);
        let name = format!("{} {}", operation.method, operation.path);
        assert!(answer.status < 500, "round {round}, {name}: {} {}", answer.status, answer.text());
        if operation.method == "post" {
            posts += 1;
            parsed += usize::from(![400, 413, 415].contains(&answer.status));
        }
        *statuses.entry((name, answer.status)).or_default() += 1;
    }
    assert!(parsed * 2 >= posts, "only {parsed} of {posts} bodies got past parsing: {statuses:#?}");
    for operation in &operations {
        let name = format!("{} {}", operation.method, operation.path);
        let reached = statuses.keys().any(|(seen, status)| *seen == name && *status != 404);
        // A name that is made up is nobody's.
        let is_of_one = operation.path.contains("{id}") || operation.path.contains("{name}");
        assert!(reached || is_of_one, "{name} was never reached: {statuses:#?}");
    }
    is_well(&server);
}
