//! What a killed process, a full disk and a lost power supply leave behind.

use super::super::segment::Fault;
use super::*;

fn append_bytes(path: &Path, bytes: &[u8]) {
    let mut all = std::fs::read(path).unwrap();
    all.extend_from_slice(bytes);
    std::fs::write(path, all).unwrap();
}

fn gap(path: &Path) -> serde_json::Value {
    let line =
        lines(path).into_iter().find(|line| line.windows(12).any(|it| it == b"\"kind\":\"gap\"")).unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_leaves_a_bounded_gap() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..21).await;
    drop(log);
    let report = place.verify();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!((report.decisions, report.gaps), (20, 0));

    let log = place.open().await;
    let bound = log.opened().missing_at_most;
    assert!((1..=2 * 1024).contains(&bound), "{bound}");
    assert_eq!(log.stats().gaps, 1);
    append(&log, 21..31).await;
    for number in 1..31 {
        assert!(log.find(&id(number)).await.unwrap().is_some(), "{number}");
    }
    log.close().await.unwrap();
    let report = place.verify();
    assert!(report.is_whole() && report.warnings.is_empty(), "{report:?}");
    assert_eq!((report.decisions, report.gaps, report.missing_at_most), (30, 1, bound));
    let event = &gap(&place.last_segment())["event"];
    assert_eq!((&event["reason"], &event["exact"]), (&"unclean_end".into(), &false.into()));
    assert_eq!(event["missing_from"], 22);
    assert_eq!(event["at_most"], bound);
}

#[tokio::test]
async fn a_clean_restart_adds_no_record() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..4).await;
    let before = log.stats().last_seq;
    log.close().await.unwrap();
    assert!(matches!(log.append(&mut one(9)).await, Err(AuditError::Closed)));
    drop(log);
    let log = place.open().await;
    assert_eq!((log.stats().last_seq, log.opened().missing_at_most), (before, 0));
    append(&log, 4..6).await;
    log.close().await.unwrap();
    assert_eq!(
        kinds(&place.last_segment()),
        ["segment", "decision", "decision", "decision", "decision", "decision"]
    );
    assert!(place.verify().is_whole());
}

fn one(number: u64) -> Batch {
    let mut batch = Batch::new();
    push(&mut batch, number, Timestamp(1));
    batch
}

#[tokio::test]
async fn a_record_removed_before_the_restart_after_a_kill_still_shows() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..11).await;
    log.checkpoint_now().await.unwrap().unwrap();
    drop(log);
    let path = place.last_segment();
    let mut all = lines(&path);
    all.pop();
    std::fs::write(&path, all.concat()).unwrap();
    assert!(!place.verify().is_whole());
    let log = place.open().await;
    append(&log, 11..13).await;
    log.close().await.unwrap();
    let report = place.verify();
    assert_eq!(report.findings_total, 1, "{report:?}");
    assert!(matches!(report.findings[0].problem, Problem::Cut { ends_at: 10, covered: 11 }));
}

#[tokio::test]
async fn the_end_cut_while_stopped_is_recorded_and_reported() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..11).await;
    log.close().await.unwrap();
    drop(log);
    let path = place.last_segment();
    let mut all = lines(&path);
    all.truncate(8);
    std::fs::write(&path, all.concat()).unwrap();
    let log = place.open().await;
    assert_eq!(log.opened().missing_at_most, 3);
    log.close().await.unwrap();
    assert_eq!(gap(&path)["event"]["reason"], "end_missing");
    assert!(matches!(place.verify().findings[0].problem, Problem::Cut { ends_at: 8, covered: 11 }));
}

#[tokio::test]
async fn a_torn_record_is_a_warning_and_is_cut_off_and_kept_at_the_next_start() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    drop(log);
    let path = place.last_segment();
    let good = std::fs::read(&path).unwrap();
    let last = lines(&path).pop().unwrap();
    for torn in [1, 20, 60, 150, last.len() - 1] {
        std::fs::write(&path, &good[..good.len() - last.len() + torn]).unwrap();
        let report = place.verify();
        assert!(report.is_whole(), "{torn} {report:?}");
        assert!(report.warnings.iter().any(|it| it.contains("unfinished")), "{torn} {report:?}");
    }
    append_bytes(&path, b"");
    let cut = last.len() as u64 - 1;
    let log = place.open().await;
    assert_eq!(log.opened().cut_bytes, cut);
    log.close().await.unwrap();
    assert_eq!(kinds(&path), ["segment", "decision", "decision", "decision", "decision", "gap", "recovered"]);
    let kept = std::fs::read_dir(place.log())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|it| it == "cut"))
        .unwrap();
    assert_eq!(std::fs::read(kept).unwrap(), last[..last.len() - 1]);
    let report = place.verify();
    assert!(report.is_whole() && report.warnings.is_empty(), "{report:?}");
}

#[tokio::test]
async fn bytes_that_never_reached_the_disk_are_cut_off() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    drop(log);
    let path = place.last_segment();
    let mut all = lines(&path);
    let count = all.len();
    all[count - 2].iter_mut().skip(30).take(60).for_each(|byte| *byte = 0);
    std::fs::write(&path, all.concat()).unwrap();
    let log = place.open().await;
    assert_eq!(log.opened().cut_bytes as usize, all[count - 2].len() + all[count - 1].len());
    assert!(log.find(&id(3)).await.unwrap().is_some());
    assert!(log.find(&id(5)).await.unwrap().is_none());
    log.close().await.unwrap();
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn a_log_that_does_not_verify_is_not_opened() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    log.close().await.unwrap();
    drop(log);
    let path = place.last_segment();
    let good = std::fs::read(&path).unwrap();
    for at in [200, good.len() - 10] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let error = place.try_open(|_| ()).await.unwrap_err();
        assert!(matches!(error, AuditError::Broken { .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), bad, "nothing is changed by trying");
    }
}

#[tokio::test]
async fn a_segment_whose_first_record_was_torn_is_begun_again() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    let next = log.stats().last_seq + 1;
    drop(log);
    for torn in [&b""[..], b"{\"chain\":{\"v\":1,"] {
        std::fs::write(place.log().join(format!("{next:020}.jsonl")), torn).unwrap();
        let report = place.verify();
        assert!(report.is_whole() && !report.warnings.is_empty(), "{report:?}");
    }
    let log = place.open().await;
    append(&log, 6..9).await;
    log.close().await.unwrap();
    assert_eq!(place.segments().len(), 1);
    let report = place.verify();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.decisions, 8);
}

#[tokio::test]
async fn a_making_that_was_cut_short_looks_like_no_log() {
    let place = Place::new().await;
    drop(place.open().await);
    std::fs::remove_file(place.log().join("reserved")).unwrap();
    let log = place.open().await;
    assert_eq!(*log.opened(), Opened::default());
    log.close().await.unwrap();
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn a_lost_reservation_is_recorded_and_no_number_is_used_twice() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    drop(log);
    std::fs::remove_file(place.log().join("reserved")).unwrap();
    let log = place.open().await;
    assert!(log.opened().missing_unknown);
    assert!(log.stats().last_seq > 1 << 32);
    log.close().await.unwrap();
    let event = &gap(&place.last_segment())["event"];
    assert_eq!((&event["reason"], &event["at_most"]), (&"reservation_lost".into(), &serde_json::Value::Null));
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn a_log_without_its_segments_goes_on_behind_them_and_says_so() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    log.close().await.unwrap();
    drop(log);
    std::fs::remove_file(place.last_segment()).unwrap();
    let log = place.open().await;
    assert_eq!(log.stats().last_seq, 7);
    append(&log, 6..8).await;
    log.close().await.unwrap();
    let report = place.verify();
    assert!(matches!(report.findings[0].problem, Problem::MissingSegment { missing: 6, .. }), "{report:?}");
}

#[tokio::test]
async fn a_full_disk_refuses_the_append_and_changes_nothing() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    let path = place.last_segment();
    let before = std::fs::read(&path).unwrap();
    for fault in [Fault::Short(0), Fault::Short(100), Fault::Stuck(100)] {
        log.shared().lock_writer().segment_mut().fault = Some(fault);
        let error = log.append(&mut one(6)).await.unwrap_err();
        assert!(matches!(&error, AuditError::Io { .. }), "{error}");
    }
    assert!(log.append(&mut one(6)).await.is_err(), "what can't be repaired takes nothing");
    log.shared().lock_writer().segment_mut().fault = None;
    append(&log, 6..8).await;
    let after = std::fs::read(&path).unwrap();
    assert!(after.starts_with(&before));
    assert_eq!(log.stats().write_errors, 4);
    log.close().await.unwrap();
    let report = place.verify();
    assert!(report.is_whole());
    assert_eq!((report.decisions, report.gaps), (7, 0));
}

#[tokio::test]
async fn a_disk_that_stays_full_leaves_a_torn_record_that_the_next_start_repairs() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    log.shared().lock_writer().segment_mut().fault = Some(Fault::Stuck(100));
    assert!(log.append(&mut one(6)).await.is_err());
    drop(log);
    let report = place.verify();
    assert!(report.is_whole() && report.warnings.iter().any(|it| it.contains("unfinished")), "{report:?}");
    let log = place.open().await;
    assert_eq!(log.opened().cut_bytes, 100);
    log.close().await.unwrap();
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn a_segment_moved_away_while_it_is_written_is_noticed() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..6).await;
    let path = place.last_segment();
    let away = place.folder.path().join("away");
    std::fs::rename(&path, &away).unwrap();
    assert!(!log.shared().lock_writer().check_place(log.shared()).unwrap());
    append(&log, 6..9).await;
    assert!(log.find(&id(7)).await.unwrap().is_some());
    log.close().await.unwrap();
    assert!(matches!(place.verify().findings[0].problem, Problem::MissingSegment { .. }));
    std::fs::rename(&away, &path).unwrap();
    assert!(place.verify().is_whole());
}

#[tokio::test]
async fn two_processes_can_not_have_one_log() {
    let place = Place::new().await;
    let log = place.open().await;
    assert!(matches!(place.try_open(|_| ()).await, Err(AuditError::Locked(_))));
    drop(log);
    place.open().await;
}

#[tokio::test]
async fn another_root_key_is_refused() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..3).await;
    log.close().await.unwrap();
    drop(log);
    let key = place.folder.path().join("root.key");
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(place.try_open(|_| ()).await, Err(AuditError::OtherRootKey(_))));
    assert!(matches!(place.try_verify(), Err(AuditError::OtherRootKey(_))));
}
