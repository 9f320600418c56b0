//! Records are read back by id and by time, from memory, from the index, and without either.

use super::*;

fn number(record: &Record) -> u64 {
    serde_json::from_slice::<serde_json::Value>(&record.event).unwrap()["n"].as_u64().unwrap()
}

/// Everything, page by page.
async fn all(log: &DecisionLog, limit: usize, max_bytes: u64) -> Vec<u64> {
    let (mut numbers, mut before) = (Vec::new(), None);
    loop {
        let page = log.scan(Scan { before, limit, max_bytes, ..Scan::default() }, |_| true).await.unwrap();
        assert!(page.items.len() <= limit);
        numbers.extend(page.items.iter().map(number));
        if page.next.is_none() {
            return numbers;
        }
        assert!(before.is_none() || page.next < before, "a page goes on where the one before ended");
        before = page.next;
    }
}

#[tokio::test]
async fn a_record_is_found_at_once_and_after_a_restart() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 1..701).await;
    for wanted in [1, 300, 700] {
        let found = log.find(&id(wanted)).await.unwrap().unwrap();
        assert_eq!((number(&found), found.kind.as_str(), found.time.0), (wanted, "decision", wanted as i64));
    }
    assert_eq!(log.find(&id(701)).await.unwrap(), None);
    assert_eq!(log.find("no id").await.unwrap(), None);
    log.flush_index().await.unwrap();
    assert!(log.find(&id(1)).await.unwrap().is_some());
    drop(log);
    let log = place.open().await;
    assert_eq!(log.opened().indexed_blocks, 0, "the index had all but the open block");
    for wanted in [1, 300, 700] {
        assert_eq!(number(&log.find(&id(wanted)).await.unwrap().unwrap()), wanted);
    }
}

#[tokio::test]
async fn the_index_gives_what_the_files_hold_whether_filled_lost_or_rebuilt() {
    let place = Place::new().await;
    let log = place.try_open(|options| options.segment_bytes = 30_000).await.unwrap();
    // Ids and times out of order.
    let order: Vec<u64> = (0..900).map(|n| (n * 577) % 900).collect();
    let mut batch = Batch::new();
    for numbers in order.chunks(7) {
        numbers.iter().for_each(|n| push(&mut batch, *n, Timestamp(*n as i64)));
        log.append(&mut batch).await.unwrap();
    }
    let newest_first: Vec<u64> = order.iter().rev().copied().collect();
    assert_eq!(all(&log, 37, u64::MAX).await, newest_first, "from memory");
    assert!(log.flush_index().await.unwrap() > 3);
    assert_eq!(all(&log, 37, u64::MAX).await, newest_first, "from the index");
    assert!(log.reindex().await.unwrap() > 3);
    assert_eq!(log.stats().index_lag_records, 0);
    assert_eq!(all(&log, 37, 1).await, newest_first, "rebuilt, a block a page");
    let node = log.node().to_owned();
    drop(log);
    place.store.replace_log_blocks(&node, u64::MAX, &[]).await.unwrap();
    let log = place.open().await;
    assert!(log.opened().indexed_blocks > 3);
    assert_eq!(all(&log, 500, 10_000).await, newest_first, "lost, and filled at the start");
    for wanted in 0..900 {
        assert_eq!(number(&log.find(&id(wanted)).await.unwrap().unwrap()), wanted);
    }
}

#[tokio::test]
async fn rebuilding_while_blocks_wait_counts_and_finds_each_once() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 0..600).await;
    log.reindex().await.unwrap();
    assert_eq!(log.stats().index_lag_records, 0);
    append(&log, 600..700).await;
    assert_eq!(log.stats().index_lag_records, 100);
    assert_eq!(all(&log, 64, u64::MAX).await, (0..700).rev().collect::<Vec<_>>());
    log.flush_index().await.unwrap();
    log.close().await.unwrap();
    assert_eq!(log.stats().index_lag_records, 0);
}

#[tokio::test]
async fn an_index_that_reaches_beyond_the_files_is_trimmed() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 0..600).await;
    log.flush_index().await.unwrap();
    drop(log);
    let path = place.last_segment();
    let mut kept = lines(&path);
    kept.truncate(401);
    std::fs::write(&path, kept.concat()).unwrap();
    let log = place.open().await;
    assert_eq!(all(&log, 1_000, u64::MAX).await, (0..400).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn a_scan_takes_its_time_its_filter_and_its_limit() {
    let place = Place::new().await;
    let log = place.open().await;
    append(&log, 0..600).await;
    log.flush_index().await.unwrap();
    let scan = Scan { from: Some(Timestamp(100)), to: Some(Timestamp(500)), limit: 3, ..Scan::default() };
    let page = log.scan(scan, |record| record.time.0 % 2 == 0).await.unwrap();
    assert_eq!(page.items.iter().map(number).collect::<Vec<_>>(), [498, 496, 494]);
    let scan = Scan { before: page.next, limit: 1_000, ..scan };
    let page = log.scan(scan, |record| record.event.starts_with(b"{\"n\":1")).await.unwrap();
    assert_eq!(page.items.iter().map(number).collect::<Vec<_>>(), (100..200).rev().collect::<Vec<_>>());
    assert_eq!(page.next, None);
}

#[tokio::test]
async fn a_removed_segment_is_passed_over_when_reading() {
    let place = Place::new().await;
    let log = place.open_small().await;
    append(&log, 0..30).await;
    log.close().await.unwrap();
    std::fs::remove_file(&place.segments()[1]).unwrap();
    let rest = all(&log, 100, u64::MAX).await;
    assert!(rest.len() < 30 && rest.contains(&29) && rest.contains(&0));
}

#[tokio::test]
async fn the_logs_own_records_are_not_given_out() {
    let place = Place::new().await;
    drop(place.open().await);
    let log = place.open().await;
    assert_eq!(kinds(&place.last_segment()), ["segment", "gap"]);
    assert_eq!(log.scan(Scan::default(), |_| true).await.unwrap(), Page::default());
}

#[tokio::test]
async fn beside_a_running_server_the_files_alone_give_the_newest_and_any_by_its_id() {
    let place = Place::new().await;
    let log = place.open_small().await;
    append(&log, 1..201).await;
    assert!(place.segments().len() > 5);
    let folder = place.folder.path();
    let newest = |limit| {
        let mut found = Vec::new();
        let visit = |record| {
            found.push(record);
            Ok::<_, AuditError>(())
        };
        offline::each_newest(folder, limit, |record| record.seq > 0, visit).unwrap();
        found
    };
    let expected: Vec<u64> = (1..201).rev().collect();
    for limit in [1, 7, 60, 200, 1_000] {
        let found: Vec<u64> = newest(limit).iter().map(number).collect();
        assert_eq!(found, expected.iter().copied().take(limit).collect::<Vec<_>>());
    }
    assert!(newest(0).is_empty());
    let find = |numbers: &[u64]| {
        let ids: Vec<_> = numbers.iter().map(|wanted| RecordId::parse(&id(*wanted)).unwrap()).collect();
        offline::find(folder, &ids).unwrap().map(|found| found.iter().map(number).collect::<Vec<_>>())
    };
    assert_eq!(find(&[100, 200, 1, 100]), Ok(vec![100, 200, 1, 100]));
    assert_eq!(find(&[1, 201]), Err(RecordId::parse(&id(201)).unwrap()));
    // An end that is just being written is passed over.
    let last = place.last_segment();
    let whole = std::fs::read(&last).unwrap();
    std::fs::write(&last, &whole[..whole.len() - 10]).unwrap();
    assert_eq!(number(&newest(1)[0]), 199);
    let none = offline::find(&folder.join("none"), &[]);
    assert!(matches!(none, Err(AuditError::NoLog(_))));
}
