//! A revision that one node is told to serve, every node serves.

use std::time::Duration;

use portcullis_tests::files::write;
use portcullis_tests::{Cluster, Pack, Server, eventually};
use serde_json::{Value, json};

use crate::fixtures::question;

const LIMIT: Duration = Duration::from_secs(10);

fn policy(id: &str) -> String {
    format!("@id(\"{id}\")\npermit(principal, action, resource);\n")
}

fn reasons(server: &Server) -> Value {
    server.post("/v1/decide", &question("alice", "read", "r")).expect_status(200).json()["reasons"].clone()
}

#[test]
fn a_revision_that_one_node_activates_every_node_serves() {
    let builder = Server::builder().pack(Pack::new("edited").cedar(&policy("first")));
    let Some(mut cluster) = Cluster::start(2, &builder) else { return };
    let first = cluster.nodes()[0].server.get("/v1/revisions").json()["active"].as_str().unwrap().to_owned();
    for node in cluster.nodes() {
        write(&node.server.policies().join("edited/policies.cedar"), policy("second"));
        let live = eventually(LIMIT, || (reasons(&node.server) == json!(["second"])).then_some(()));
        assert!(live.is_some(), "{}", node.server.stderr());
    }
    let [one, other] = cluster.nodes() else { panic!("two nodes") };
    let path = format!("/v1/revisions/{first}/activate");
    let done = one.server.request("POST", &path).send().expect_status(200).json();
    assert_eq!(reasons(&one.server), json!(["first"]));
    // Whoever names the number of the change waits until the node serves by it.
    let mut asked = question("alice", "read", "r");
    asked["at_least_revision"] = done["revision"].clone();
    let answer = other.server.post("/v1/decide", &asked).expect_status(200).json();
    assert_eq!(answer["reasons"], json!(["first"]));
    cluster.nodes_mut()[1].server.restart();
    assert_eq!(reasons(&cluster.nodes()[1].server), json!(["first"]));
    let _ = cluster.nodes()[1].server.request("POST", "/v1/revisions/follow").send().expect_status(200);
    for node in cluster.nodes() {
        let back = eventually(LIMIT, || (reasons(&node.server) == json!(["second"])).then_some(()));
        assert!(back.is_some(), "{}", node.server.stderr());
    }
}
