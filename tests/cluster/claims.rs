//! One-time claims at two nodes at once: one winner each.

use portcullis_tests::{Client, Cluster, Server, soak};
use serde_json::json;

use crate::fixtures::records;

const PARALLEL: usize = 50;

#[test]
fn a_key_that_many_claim_at_once_has_one_winner() {
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(records())) else { return };
    let rounds = soak(40, 1_000);
    let barrier = std::sync::Barrier::new(PARALLEL);
    let winners: Vec<std::sync::atomic::AtomicUsize> = (0..rounds).map(|_| 0.into()).collect();
    std::thread::scope(|scope| {
        for claimant in 0..PARALLEL {
            let (barrier, winners) = (&barrier, &winners);
            let server = &cluster.nodes()[claimant % 2].server;
            scope.spawn(move || {
                let client = Client::keeping_alive(server.base(), server.key());
                for (round, won) in winners.iter().enumerate() {
                    let body = json!({"key": format!("round-{round}"), "ttl_seconds": 600});
                    barrier.wait();
                    let answer = client.post("/v1/claims", &body).expect_status(200).json();
                    if answer["claimed"] == json!(true) {
                        won.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
    });
    for (round, won) in winners.into_iter().enumerate() {
        assert_eq!(won.into_inner(), 1, "round {round}");
    }
}
