//! Several servers on one PostgreSQL and one Redis: what is changed at one holds at all.

mod claims;
mod plugins;
mod revisions;
mod revocations;

use std::time::Duration;

use portcullis_tests::{Cli, Client, Cluster, Server, eventually};

use crate::fixtures::{create_key, question, records};

/// How long the tests wait for what takes less than a second.
const LIMIT: Duration = Duration::from_secs(10);

fn status(server: &Server, key: &str) -> u16 {
    Client::new(server.base(), Some(key)).post("/v1/decide", &question("alice", "read", "record-1")).status
}

#[test]
fn a_key_that_is_made_beside_one_node_works_on_every_other_until_it_is_revoked() {
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(records())) else { return };
    let [one, other] = cluster.nodes() else { panic!("two nodes") };
    let (id, key) = create_key(one.server.data(), &["assert_subject"], &["*"]);
    for node in [one, other] {
        let works = eventually(LIMIT, || (status(&node.server, &key) == 200).then_some(()));
        assert!(works.is_some(), "{}", node.server.stderr());
    }
    let _ = Cli::new(["key", "revoke", &id]).path("--data", other.server.data()).run().expect_status(0);
    for node in [one, other] {
        let refused = eventually(LIMIT, || (status(&node.server, &key) == 401).then_some(()));
        assert!(refused.is_some(), "{}", node.server.stderr());
    }
}

#[test]
fn a_node_that_starts_again_meets_what_the_others_did_meanwhile() {
    let Some(mut cluster) = Cluster::start(2, &Server::builder().pack(records())) else { return };
    cluster.nodes_mut()[1].server.kill();
    let (_, key) = create_key(cluster.nodes()[0].server.data(), &["assert_subject"], &["*"]);
    cluster.nodes_mut()[1].server.restart();
    assert_eq!(status(&cluster.nodes()[1].server, &key), 200);
}

#[test]
fn a_node_without_its_database_does_not_start_and_takes_no_other() {
    let Some(mut cluster) = Cluster::start(1, &Server::builder().pack(records())) else { return };
    let node = &mut cluster.nodes_mut()[0];
    node.server.stop();
    node.postgres.cut();
    let ran = Cli::new(["serve", "--dev", "--listen", "127.0.0.1:0"])
        .path("--data", node.server.data())
        .path("--policies", &node.server.policies())
        .run_refused();
    assert_eq!(ran.status, 1, "{}", ran.output());
    assert!(!node.server.data().join("portcullis.db").exists(), "it made a database of its own");
    node.postgres.mend();
    node.server.restart();
}
