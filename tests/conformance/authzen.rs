//! The interop scenarios of OpenID AuthZEN, judged by the packs that ship: exact answers.

use std::sync::OnceLock;

use portcullis_tests::Server;
use serde_json::{Value, json};

use super::{Suite, data, read_json};

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::builder().repository_policies().start())
}

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    file[name].as_array().map_or(&[], Vec::as_slice)
}

fn run(pack: &str, file: &Value) -> Suite {
    let mut suite = Suite::default();
    for case in list(file, "evaluation") {
        let wanted = json!({"decision": case["expected"]});
        check(&mut suite, &format!("/packs/{pack}/access/v1/evaluation"), &case["request"], &wanted);
    }
    for case in list(file, "evaluations") {
        let wanted = json!({"evaluations": case["expected"]});
        check(&mut suite, &format!("/packs/{pack}/access/v1/evaluations"), &case["request"], &wanted);
    }
    suite
}

fn check(suite: &mut Suite, path: &str, request: &Value, wanted: &Value) {
    let answer = server().post(path, request);
    let exact = answer.status == 200 && serde_json::from_slice(&answer.body).ok().as_ref() == Some(wanted);
    suite.count(exact, || format!("{request}: {} {}, wanted {wanted}", answer.status, answer.text()));
}

#[test]
fn authzen_todo() {
    let Some(folder) = data() else { return };
    run("authzen-todo", &read_json(&folder.join("authzen/todo.json"))).report("authzen todo", 43);
}

#[test]
fn authzen_api_gateway() {
    let Some(folder) = data() else { return };
    run("authzen-gateway", &read_json(&folder.join("authzen/api-gateway.json")))
        .report("authzen api-gateway", 25);
}
