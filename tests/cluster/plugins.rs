//! A plugin's mode that one node is told, every node honours.

use std::time::Duration;

use portcullis_tests::{Cluster, Server, eventually};
use serde_json::{Value, json};

use crate::fixtures::records;
use crate::plugins::placed::place;

/// What takes less than a second, and what a machine that is kept busy adds.
const LIMIT: Duration = Duration::from_secs(10);

fn mode(server: &Server) -> Value {
    server.get("/v1/plugins/echo").expect_status(200).json()["mode"].clone()
}

#[test]
fn a_mode_that_one_node_is_told_every_node_honours() {
    let folder = tempfile::tempdir().unwrap();
    place("echo", folder.path());
    let shown = folder.path().display().to_string();
    let config = format!("[plugins]\nfolder = {shown:?}\nallow_unsigned = true\n[plugins.echo]\n");
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(records()).config(&config)) else { return };
    let [one, other] = cluster.nodes() else { panic!("two nodes") };
    let path = "/v1/plugins/echo/mode";
    let body = json!({"mode": "off"}).to_string();
    let put = one.server.request("PUT", path).header("content-type", "application/json").body(body).send();
    let revision = put.expect_status(201).json()["revision"].as_u64().unwrap();
    assert_eq!(mode(&one.server), json!("off"));
    let honoured = eventually(LIMIT, || (mode(&other.server) == json!("off")).then_some(()));
    assert!(honoured.is_some(), "{}", other.server.stderr());
    // Whoever names the revision waits for it.
    let mut asked = crate::fixtures::question("alice", "read", "record-1");
    asked["at_least_revision"] = json!(revision);
    asked["http"] = json!({"method": "GET", "path": "/"});
    let answer = other.server.post("/v1/decide", &asked).expect_status(200).json();
    assert!(answer.get("findings").is_none(), "{answer}");
    let _ = other.server.request("DELETE", path).send().expect_status(200);
    let back = eventually(LIMIT, || (mode(&one.server) == json!("enforce")).then_some(()));
    assert!(back.is_some(), "{}", one.server.stderr());
}
