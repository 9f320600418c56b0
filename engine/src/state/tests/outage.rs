//! Redis away, silent, back, empty; and Redis as a cluster.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::Server;
use super::*;

/// How long an answer takes, and what it is.
async fn timed<T>(asking: impl Future<Output = T>) -> (T, Duration) {
    let clock = SystemClock::new();
    let answer = asking.await;
    (answer, clock.monotonic())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_is_an_error_in_a_second_and_used_again_when_it_is_back_on_redis() {
    let Some(mut server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    state.put("k", b"v", HOUR).await.unwrap();
    server.kill();
    for _ in 0..20 {
        let (answer, took) = timed(state.claim_once("c", "one", HOUR)).await;
        assert!(matches!(answer, Err(StateError::Unavailable(_))), "{answer:?}");
        assert!(took < Duration::from_millis(1_500), "{took:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.run().await;
    let back = async {
        while state.claim_once("c", "one", HOUR).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ((), took) = timed(back).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(state.get("k").await.unwrap(), None, "it lost what it had, and that is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_keeps_nobody_waiting_and_queues_nothing_on_redis() {
    let Some(server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    state.add("c", 1, HOUR).await.unwrap();
    server.freeze(true);
    let errors = Arc::new(AtomicUsize::new(0));
    let tasks = (0..50).map(|_| {
        let (state, errors) = (state.clone(), Arc::clone(&errors));
        tokio::spawn(async move {
            let (answer, took) = timed(state.claim_once("c", "one", HOUR)).await;
            assert!(took < Duration::from_millis(1_500), "{took:?}");
            errors.fetch_add(usize::from(answer.is_err()), Ordering::Relaxed);
        })
    });
    let tasks: Vec<_> = tasks.collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(errors.load(Ordering::Relaxed), 50);
    server.freeze(false);
    let back = async {
        while state.count("c").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ((), took) = timed(back).await;
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_server_that_never_was_is_an_error_and_says_no_password_on_redis() {
    let state = redis_state("redis://:hunter2@127.0.0.1:1", "p").await;
    let error = state.get("k").await.unwrap_err();
    assert!(matches!(error, StateError::Unavailable(_)), "{error:?}");
    assert!(!format!("{error} {error:?} {state:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_refused_password_is_an_error_and_is_not_said_on_redis() {
    let Some(server) = Server::start(false).await else { return };
    let mut admin = server.admin().await;
    let () = ::redis::cmd("CONFIG")
        .arg("SET")
        .arg("requirepass")
        .arg("right")
        .query_async(&mut admin)
        .await
        .unwrap();
    let wrong = redis_state(&format!("redis://:hunter2@127.0.0.1:{}", server.port), "p").await;
    let error = wrong.get("k").await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let right = redis_state(&format!("redis://:right@127.0.0.1:{}", server.port), "p").await;
    assert_eq!(right.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_of_another_form_is_an_error_and_no_answer_on_redis() {
    let Some(server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    let mut admin = server.admin().await;
    for (key, value) in
        [("p:value:{.k}", "short"), ("p:value:{.l}", "0123456789abcdeX v"), ("p:count:{.k}", "x")]
    {
        let () = ::redis::cmd("SET").arg(key).arg(value).query_async(&mut admin).await.unwrap();
    }
    let () = ::redis::cmd("LPUSH").arg("p:claim:{.k}").arg("x").query_async(&mut admin).await.unwrap();
    assert!(matches!(state.get("k").await, Err(StateError::Corrupt(_))));
    assert!(matches!(state.get("l").await, Err(StateError::Corrupt(_))));
    assert!(state.count("k").await.is_err() && state.add("k", 1, HOUR).await.is_err());
    assert!(state.claim_once("k", "one", HOUR).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_the_server_forgot_are_sent_again_on_redis() {
    let Some(server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    assert_eq!(state.add("c", 1, HOUR).await.unwrap(), 1);
    let mut admin = server.admin().await;
    let () = ::redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut admin).await.unwrap();
    assert_eq!(state.add("c", 1, HOUR).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_works_on_a_cluster_on_redis() {
    let Some(mut server) = Server::start(true).await else { return };
    for _ in 0..3 {
        let state = redis_state(&server.url(), &fresh_prefix()).await;
        super::histories::run_some(&Home { state, clock: None, _folder: None }).await;
    }
    let state = redis_state(&server.url(), "p").await;
    state.put("k", b"v", HOUR).await.unwrap();
    server.kill();
    let (answer, took) = timed(state.get("k")).await;
    assert!(matches!(answer, Err(StateError::Unavailable(_))), "{answer:?}");
    assert!(took < Duration::from_millis(1_500), "{took:?}");
    server.run().await;
    let back = async {
        while state.get("k").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ((), took) = timed(back).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
}
