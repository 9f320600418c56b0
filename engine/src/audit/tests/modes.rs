//! The modes and the background work.

use super::super::segment::Fault;
use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn gap_mode_drops_behind_a_stalled_disk_and_records_the_exact_count() {
    let runtime = runtime();
    let (place, log) = runtime.block_on(async {
        let place = Place::new().await;
        let log = place
            .try_open(|options| {
                options.mode = Mode::Gap;
                options.queue_records = 10;
            })
            .await
            .unwrap();
        (place, log)
    });
    let stalled = log.shared().lock_writer();
    runtime.block_on(append(&log, 1..101));
    let dropped = log.stats().dropped;
    assert!(dropped >= 70, "{dropped}");
    drop(stalled);
    runtime.block_on(async {
        append(&log, 101..103).await;
        log.close().await.unwrap();
    });
    let report = place.verify();
    assert!(report.is_whole() && report.warnings.is_empty(), "{report:?}");
    let dropped = log.stats().dropped;
    assert_eq!((report.decisions + dropped, report.missing_at_most), (102, dropped));
    assert_eq!(report.gaps, log.stats().gaps);
    let text = std::fs::read_to_string(place.last_segment()).unwrap();
    assert!(text.contains("\"reason\":\"queue_full\"") && text.contains("\"exact\":true"));
}

#[test]
fn queued_mode_waits_for_room_and_loses_nothing() {
    let runtime = runtime();
    let (place, log) = runtime.block_on(async {
        let place = Place::new().await;
        let log = place
            .try_open(|options| {
                options.mode = Mode::Queued;
                options.queue_records = 10;
            })
            .await
            .unwrap();
        (place, log)
    });
    let stalled = log.shared().lock_writer();
    let other = log.clone();
    let appending = runtime.spawn(async move { append(&other, 1..101).await });
    std::thread::sleep(Duration::from_millis(100));
    assert!(!appending.is_finished(), "it waits while the queue is full");
    drop(stalled);
    runtime.block_on(async {
        appending.await.unwrap();
        assert!(log.find(&id(100)).await.unwrap().is_some(), "found at once");
        log.close().await.unwrap();
    });
    let report = place.verify();
    assert!(report.is_whole());
    assert_eq!((report.decisions, report.gaps), (100, 0));
    let order: Vec<u64> = runtime
        .block_on(log.scan(Scan { limit: 500, ..Scan::default() }, |_| true))
        .unwrap()
        .items
        .iter()
        .map(|record| {
            serde_json::from_slice::<serde_json::Value>(&record.event).unwrap()["n"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(order, (1..101).rev().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_mode_refuses_while_the_disk_does_and_keeps_what_it_took() {
    let place = Place::new().await;
    let log = place.try_open(|options| options.mode = Mode::Queued).await.unwrap();
    log.shared().lock_writer().segment_mut().fault = Some(Fault::Short(9));
    append(&log, 1..2).await;
    log.0.queue.as_ref().unwrap().settled().await;
    let mut batch = Batch::new();
    push(&mut batch, 2, Timestamp(2));
    assert!(matches!(log.append(&mut batch).await, Err(AuditError::Unavailable(_))));
    log.shared().lock_writer().segment_mut().fault = None;
    while log.append(&mut batch).await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    log.close().await.unwrap();
    let report = place.verify();
    assert!(report.is_whole());
    assert_eq!(report.decisions, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_queue_lost_is_within_the_gap_of_the_next_start() {
    let place = Place::new().await;
    let log = place.try_open(|options| options.mode = Mode::Queued).await.unwrap();
    log.shared().lock_writer().segment_mut().fault = Some(Fault::Short(0));
    // In one go: as soon as the thread has met the fault, appends are refused.
    let mut batch = Batch::new();
    (1..51).for_each(|number| push(&mut batch, number, Timestamp(1)));
    log.append(&mut batch).await.unwrap();
    drop(log);
    let log = place.open().await;
    assert!(log.opened().missing_at_most >= 50);
    log.close().await.unwrap();
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn syncing_always_and_a_thousand_records_in_one_batch() {
    let place = Place::new().await;
    let log = place.try_open(|options| options.sync = Sync::Always).await.unwrap();
    let mut batch = Batch::new();
    for number in 0..1_000 {
        push(&mut batch, number, Timestamp(1));
    }
    log.append(&mut batch).await.unwrap();
    assert_eq!(log.stats().records, 1_000);
    log.close().await.unwrap();
    assert_eq!(place.verify().decisions, 1_000);
}

#[tokio::test]
async fn a_batch_of_16_mib_is_appended_whole() {
    let place = Place::new().await;
    let log = place.open().await;
    let mut batch = Batch::new();
    let text = format!("\"{}\"", "x".repeat(1 << 20));
    for number in 0..16 {
        let write = |buffer: &mut Vec<u8>| std::io::Write::write_all(buffer, text.as_bytes());
        batch.push(&id(number), Kind::Decision, Timestamp(1), write).unwrap();
    }
    log.append(&mut batch).await.unwrap();
    assert_eq!(log.find(&id(15)).await.unwrap().unwrap().event.len(), text.len());
    log.close().await.unwrap();
    assert!(place.verify().is_whole());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_background_fills_the_index_signs_and_closes() {
    let place = Place::new().await;
    let log = place.open_small().await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(log.clone().run_background(async move { drop(stopped.await) }));
    append(&log, 1..601).await;
    let before = log.stats().index_lag_records;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let after = log.stats();
    assert!(after.index_lag_records < 256 && before >= after.index_lag_records, "{before} {after:?}");
    assert!(after.checkpoint_seq > 0, "a new segment is a reason for a checkpoint");
    assert!(log.shared().lock_pending().is_empty());
    place.clock.advance(Duration::from_secs(11));
    append(&log, 601..602).await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(log.stats().checkpoint_seq, log.stats().last_seq);
    stop.send(()).unwrap();
    running.await.unwrap().unwrap();
    assert_eq!((log.stats().index_lag_records, log.stats().background_errors), (0, 0));
    let report = place.verify();
    assert!(report.is_whole() && report.warnings.is_empty() && report.checkpoints >= 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_and_signing_beside_a_running_log_finds_it_whole() {
    let place = Place::new().await;
    let log = place.try_open(|options| options.segment_bytes = 20_000).await.unwrap();
    append(&log, 1..2).await;
    let appending = tokio::spawn({
        let log = log.clone();
        async move {
            for start in 0..40 {
                append(&log, start * 25 + 2..start * 25 + 27).await;
                log.checkpoint_now().await.unwrap();
            }
        }
    });
    let mut rounds = 0;
    while !appending.is_finished() || rounds == 0 {
        let kept = checkpoint(place.folder.path(), &place.root(), place.clock.as_ref()).unwrap();
        let report = place.verify_against(&kept);
        assert!(report.is_whole(), "{report:?}");
        rounds += 1;
        tokio::task::yield_now().await;
    }
    appending.await.unwrap();
    log.close().await.unwrap();
    assert_eq!(place.verify().decisions, 1_001);
}
