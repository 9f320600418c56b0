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

#[test]
fn a_node_without_its_redis_claims_nothing_and_says_so() {
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(records())) else { return };
    let [one, two] = cluster.nodes() else { panic!("two nodes") };
    let body = json!({"key": "k", "ttl_seconds": 600});
    one.redis.cut();
    for _ in 0..5 {
        let answer = one.server.post("/v1/claims", &body).expect_status(503);
        assert_eq!(answer.problem(), "state_unavailable");
        assert!(answer.json().get("claimed").is_none(), "{}", answer.text());
    }
    let won = two.server.post("/v1/claims", &body).expect_status(200).json();
    assert_eq!(won["claimed"], json!(true), "what was refused claimed nothing");
    one.redis.mend();
    let mended = std::time::Instant::now();
    let lost = loop {
        let answer = one.server.post("/v1/claims", &body);
        if answer.status == 200 {
            break answer.json();
        }
        assert!(mended.elapsed() < std::time::Duration::from_secs(3), "{}", answer.text());
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(lost, json!({"claimed": false}));
}
