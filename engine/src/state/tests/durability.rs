//! What the state of one process keeps when the process is gone, and what two processes on one database do.

use super::*;

/// A process that is killed writes nothing more: its state is dropped as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_the_process_on_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
    let rate = Rate { per_period: 1, period: HOUR, burst: 5 };
    let version = {
        let state = embedded_state(folder.path(), clock.clone()).await;
        assert!(matches!(state.claim_once("k", "one", HOUR).await.unwrap(), Claim::Won { .. }));
        state.claim_once("short", "one", TINY).await.unwrap();
        for member in ["a", "b", "c"] {
            state.bounded_insert("s", member, (2, WhenFull::EvictOldest), HOUR).await.unwrap();
        }
        state.add("c", 7, HOUR).await.unwrap();
        state.window_add("w", HOUR, 9).await.unwrap();
        state.gcra("r", rate, 4).await.unwrap();
        state.close().await.unwrap();
        // The last second of these is what a kill may lose.
        state.add("c", 100, HOUR).await.unwrap();
        state.put("v", &[0, 255, 7], HOUR).await.unwrap()
    };
    clock.advance(TINY * 5);
    let state = embedded_state(folder.path(), clock.clone()).await;
    assert_eq!(state.claim_once("k", "two", HOUR).await.unwrap(), Claim::Lost);
    assert!(matches!(state.claim_once("short", "two", HOUR).await.unwrap(), Claim::Won { .. }));
    assert_eq!(state.get("v").await.unwrap(), Some((vec![0, 255, 7], version)));
    assert!(matches!(state.compare_and_swap("v", Some(version), b"w", HOUR).await.unwrap(), Swap::Done(_)));
    assert_eq!(state.members("s").await.unwrap(), ["b", "c"]);
    assert_eq!(state.count("c").await.unwrap(), 7);
    assert_eq!(state.window_count("w", HOUR).await.unwrap(), 9);
    assert_eq!(state.gcra("r", rate, 0).await.unwrap().remaining, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_database_have_one_winner_on_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
    let one = embedded_state(folder.path(), clock.clone()).await;
    let two = embedded_state(folder.path(), clock.clone()).await;
    for round in 0..30 {
        let tasks = (0..10).map(|who| {
            let state = if who % 2 == 0 { one.clone() } else { two.clone() };
            let key = format!("round {round}");
            tokio::spawn(async move { state.claim_once(&key, &format!("{who}"), HOUR).await.unwrap() })
        });
        let tasks: Vec<_> = tasks.collect();
        let mut winners = 0;
        for task in tasks {
            winners += usize::from(matches!(task.await.unwrap(), Claim::Won { .. }));
        }
        assert_eq!(winners, 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_are_written_behind_and_what_is_over_is_swept_on_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
    let state = embedded_state(folder.path(), clock.clone()).await;
    state.claim_once("over", "one", TINY).await.unwrap();
    state.add("c", 7, HOUR).await.unwrap();
    clock.advance(TINY * 2);
    let store = Store::open(folder.path()).await.unwrap();
    let maintained = state.clone();
    let maintaining = tokio::spawn(async move { maintained.maintain().await });
    let mut counts = Vec::new();
    for _ in 0..100 {
        counts.clear();
        store.each_state_count(clock.now(), |count| counts.push(count)).await.unwrap();
        if !counts.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((counts[0].entry.as_str(), counts[0].value.as_str()), ("c", "7"));
    for _ in 0..100 {
        // Everything that is over is gone: nothing is left to sweep.
        if store.sweep_state(clock.now()).await.unwrap() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    maintaining.abort();
    assert!(maintaining.await.unwrap_err().is_cancelled(), "it never ends by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_is_an_error_and_never_a_claim_on_embedded() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let settings = Settings { redis_url: None, key_prefix: "portcullis" };
    let clock = ManualClock::at(Timestamp(1_700_000_000_000_000));
    let state = State::open(&settings, &store, clock, Arc::new(SystemRng::new())).await.unwrap();
    state.add("c", 7, HOUR).await.unwrap();
    store.close().await;
    let unavailable = |error: StateError| assert!(matches!(error, StateError::Unavailable(_)), "{error:?}");
    unavailable(state.claim_once("k", "one", HOUR).await.unwrap_err());
    unavailable(state.get("k").await.unwrap_err());
    unavailable(state.put("k", b"v", HOUR).await.unwrap_err());
    unavailable(state.bounded_insert("k", "m", (1, WhenFull::Refuse), HOUR).await.unwrap_err());
    unavailable(state.members("k").await.unwrap_err());
    // Not written is not forgotten.
    unavailable(state.close().await.unwrap_err());
    unavailable(state.close().await.unwrap_err());
    assert_eq!(state.count("c").await.unwrap(), 7);
}

#[tokio::test]
async fn one_process_has_no_stream_on_embedded() {
    let home = Home::embedded().await.unwrap();
    assert!(!home.state.is_shared());
    assert_eq!(home.state.shared_time_offset(), None);
    home.state.publish(stream::Announcement { node: "one", sequence: 1 }).await.unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(1);
    let state = home.state.clone();
    let following = tokio::spawn(async move { state.follow("one", || 1, &sender).await });
    assert!(tokio::time::timeout(Duration::from_millis(300), events.recv()).await.is_err());
    drop(events);
    tokio::time::timeout(Duration::from_secs(5), following).await.expect("it ends").unwrap();
}
