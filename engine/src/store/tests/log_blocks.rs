//! The index of the decision log.

use super::{Home, on_both};
use crate::store::Store;
use crate::store::log_blocks::LogBlock;

fn block(first_seq: u64, ids: (&str, &str), times: (i64, i64)) -> LogBlock {
    LogBlock {
        first_seq,
        last_seq: first_seq + 9,
        records: 10,
        segment: 1,
        start_byte: first_seq * 100,
        end_byte: first_seq * 100 + 1000,
        min_time_us: times.0,
        max_time_us: times.1,
        min_id: ids.0.into(),
        max_id: ids.1.into(),
    }
}

async fn fill(store: &Store) -> Vec<LogBlock> {
    let blocks = vec![
        block(1, ("a", "c"), (10, 20)),
        block(11, ("b", "c"), (20, 30)),
        block(21, ("d", "f"), (30, 40)),
    ];
    store.insert_log_blocks("n", &blocks).await.unwrap();
    store.insert_log_blocks("other", &[block(1, ("a", "z"), (0, 99))]).await.unwrap();
    blocks
}

on_both! {
    async fn blocks_with_an_id_come_once_each_over_pages(store: &Store) {
        let blocks = fill(store).await;
        let first = store.log_blocks_with_id("n", "b", None, 1).await.unwrap();
        assert_eq!(first, blocks[..1]);
        let second = store.log_blocks_with_id("n", "b", Some(("c", 1)), 1).await.unwrap();
        assert_eq!(second, blocks[1..2]);
        assert_eq!(store.log_blocks_with_id("n", "b", Some(("c", 11)), 1).await.unwrap(), []);
        assert_eq!(store.log_blocks_with_id("n", "c", None, 9).await.unwrap(), blocks[..2]);
    }

    async fn blocks_of_a_time_come_newest_first(store: &Store) {
        let blocks = fill(store).await;
        let found = store.log_blocks_before("n", u64::MAX, (20, 30), 9).await.unwrap();
        assert_eq!(found, [blocks[1].clone(), blocks[0].clone()]);
        let found = store.log_blocks_before("n", 21, (i64::MIN, i64::MAX), 1).await.unwrap();
        assert_eq!(found, blocks[1..2]);
    }

    async fn trimming_and_replacing_leave_other_nodes_alone(store: &Store) {
        let blocks = fill(store).await;
        store.trim_log_blocks("n", 25).await.unwrap();
        assert_eq!(store.newest_log_block("n").await.unwrap().as_ref(), blocks.get(1));
        store.replace_log_blocks("n", 20, &blocks[2..]).await.unwrap();
        let all = store.log_blocks_before("n", u64::MAX, (i64::MIN, i64::MAX), 9).await.unwrap();
        assert_eq!(all, blocks[2..]);
        assert!(store.newest_log_block("other").await.unwrap().is_some());
    }
}
