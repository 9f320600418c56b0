//! The index of the decision log: one row for each block of records.
//!
//! Promises: what is written is written in one transaction; queries give blocks in an order
//! that can be resumed. Must never: be the only place where a record is known, since the log's
//! files are what counts and this can be rebuilt from them.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::{Store, StoreError};

/// A run of records in one segment file of the decision log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBlock {
    /// The sequence number of its first record.
    pub first_seq: u64,
    /// The sequence number of its last record.
    pub last_seq: u64,
    /// How many records it holds.
    pub records: u64,
    /// The segment file: the sequence number that it is named by.
    pub segment: u64,
    /// The byte in that file at which its first record starts.
    pub start_byte: u64,
    /// The byte after its last record.
    pub end_byte: u64,
    /// The earliest time of a record, in microseconds since the epoch.
    pub min_time_us: i64,
    /// The latest time of a record, in microseconds since the epoch.
    pub max_time_us: i64,
    /// The smallest id; empty when no record has one.
    pub min_id: String,
    /// The largest id; empty when no record has one.
    pub max_id: String,
}

const COLUMNS: &str = "INSERT INTO log_blocks (node, first_seq, last_seq, records, segment, start_byte, \
    end_byte, min_time_us, max_time_us, min_id, max_id) ";
const REPLACE: &str = " ON CONFLICT (node, first_seq) DO UPDATE SET last_seq = excluded.last_seq, \
    records = excluded.records, segment = excluded.segment, start_byte = excluded.start_byte, \
    end_byte = excluded.end_byte, min_time_us = excluded.min_time_us, max_time_us = excluded.max_time_us, \
    min_id = excluded.min_id, max_id = excluded.max_id";
/// Rows of one statement: far below the number of values that either database takes.
const ROWS: usize = 50;

impl Store {
    /// Stores blocks of one node's log.
    ///
    /// # Errors
    /// When the database fails; then none is stored.
    pub async fn insert_log_blocks(&self, node: &str, blocks: &[LogBlock]) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        insert(&mut transaction, node, blocks).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Puts `blocks` in the place of all that the node has up to `last_seq`.
    ///
    /// # Errors
    /// When the database fails; then nothing is changed.
    pub async fn replace_log_blocks(
        &self,
        node: &str,
        last_seq: u64,
        blocks: &[LogBlock],
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query("DELETE FROM log_blocks WHERE node = $1 AND first_seq <= $2")
            .bind(node)
            .bind(to_sql(last_seq))
            .execute(&mut *transaction)
            .await?;
        insert(&mut transaction, node, blocks).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Removes what reaches beyond `last_seq`: the log's end was lost, its index was not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trim_log_blocks(&self, node: &str, last_seq: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM log_blocks WHERE node = $1 AND last_seq > $2")
            .bind(node)
            .bind(to_sql(last_seq))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The newest block of a node's log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_log_block(&self, node: &str) -> Result<Option<LogBlock>, StoreError> {
        let row = sqlx::query("SELECT * FROM log_blocks WHERE node = $1 ORDER BY first_seq DESC LIMIT 1")
            .bind(node)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// Blocks that may hold `id`, by their largest id: what follows `after` (largest id and first
    /// sequence number of the last block seen), at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_blocks_with_id(
        &self,
        node: &str,
        id: &str,
        after: Option<(&str, u64)>,
        limit: u32,
    ) -> Result<Vec<LogBlock>, StoreError> {
        let (after_id, after_seq) = after.map_or((id, -1), |(id, seq)| (id, to_sql(seq)));
        let rows = sqlx::query(
            "SELECT * FROM log_blocks WHERE node = $1 AND min_id <= $2 AND max_id >= $3 \
             AND (max_id > $3 OR first_seq > $4) ORDER BY max_id, first_seq LIMIT $5",
        )
        .bind(node)
        .bind(id)
        .bind(after_id)
        .bind(after_seq)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Blocks that start before `before` and may hold records from `from_us` (inclusive) to
    /// `to_us` (exclusive), newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn log_blocks_before(
        &self,
        node: &str,
        before: u64,
        (from_us, to_us): (i64, i64),
        limit: u32,
    ) -> Result<Vec<LogBlock>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM log_blocks WHERE node = $1 AND first_seq < $2 AND max_time_us >= $3 \
             AND min_time_us < $4 ORDER BY first_seq DESC LIMIT $5",
        )
        .bind(node)
        .bind(to_sql(before))
        .bind(from_us)
        .bind(to_us)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(from_row).collect()
    }
}

async fn insert(
    connection: &mut sqlx::SqliteConnection,
    node: &str,
    blocks: &[LogBlock],
) -> Result<(), StoreError> {
    for some in blocks.chunks(ROWS) {
        let mut statement = QueryBuilder::<Sqlite>::new(COLUMNS);
        statement.push_values(some, |mut row, block| {
            row.push_bind(node)
                .push_bind(to_sql(block.first_seq))
                .push_bind(to_sql(block.last_seq))
                .push_bind(to_sql(block.records))
                .push_bind(to_sql(block.segment))
                .push_bind(to_sql(block.start_byte))
                .push_bind(to_sql(block.end_byte))
                .push_bind(block.min_time_us)
                .push_bind(block.max_time_us)
                .push_bind(&block.min_id)
                .push_bind(&block.max_id);
        });
        statement.push(REPLACE).build().persistent(some.len() == ROWS).execute(&mut *connection).await?;
    }
    Ok(())
}

fn from_row(row: &SqliteRow) -> Result<LogBlock, StoreError> {
    Ok(LogBlock {
        first_seq: from_sql(row, "first_seq")?,
        last_seq: from_sql(row, "last_seq")?,
        records: from_sql(row, "records")?,
        segment: from_sql(row, "segment")?,
        start_byte: from_sql(row, "start_byte")?,
        end_byte: from_sql(row, "end_byte")?,
        min_time_us: row.try_get("min_time_us")?,
        max_time_us: row.try_get("max_time_us")?,
        min_id: row.try_get("min_id")?,
        max_id: row.try_get("max_id")?,
    })
}

/// Sequence numbers and offsets stay far below 2^63; a bound above it means "no bound".
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(row: &SqliteRow, column: &'static str) -> Result<u64, StoreError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| StoreError::Corrupt { what: column, detail: number.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

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

    async fn filled(folder: &std::path::Path) -> (Store, Vec<LogBlock>) {
        let store = Store::open(folder).await.unwrap();
        let blocks = vec![
            block(1, ("a", "c"), (10, 20)),
            block(11, ("b", "c"), (20, 30)),
            block(21, ("d", "f"), (30, 40)),
        ];
        store.insert_log_blocks("n", &blocks).await.unwrap();
        store.insert_log_blocks("other", &[block(1, ("a", "z"), (0, 99))]).await.unwrap();
        (store, blocks)
    }

    #[tokio::test]
    async fn blocks_with_an_id_come_once_each_over_pages() {
        let folder = tempfile::tempdir().unwrap();
        let (store, blocks) = filled(folder.path()).await;
        let first = store.log_blocks_with_id("n", "b", None, 1).await.unwrap();
        assert_eq!(first, blocks[..1]);
        let second = store.log_blocks_with_id("n", "b", Some(("c", 1)), 1).await.unwrap();
        assert_eq!(second, blocks[1..2]);
        assert_eq!(store.log_blocks_with_id("n", "b", Some(("c", 11)), 1).await.unwrap(), []);
        assert_eq!(store.log_blocks_with_id("n", "c", None, 9).await.unwrap(), blocks[..2]);
    }

    #[tokio::test]
    async fn blocks_of_a_time_come_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let (store, blocks) = filled(folder.path()).await;
        let found = store.log_blocks_before("n", u64::MAX, (20, 30), 9).await.unwrap();
        assert_eq!(found, [blocks[1].clone(), blocks[0].clone()]);
        let found = store.log_blocks_before("n", 21, (i64::MIN, i64::MAX), 1).await.unwrap();
        assert_eq!(found, blocks[1..2]);
    }

    #[tokio::test]
    async fn trimming_and_replacing_leave_other_nodes_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (store, blocks) = filled(folder.path()).await;
        store.trim_log_blocks("n", 25).await.unwrap();
        assert_eq!(store.newest_log_block("n").await.unwrap().as_ref(), blocks.get(1));
        store.replace_log_blocks("n", 20, &blocks[2..]).await.unwrap();
        let all = store.log_blocks_before("n", u64::MAX, (i64::MIN, i64::MAX), 9).await.unwrap();
        assert_eq!(all, blocks[2..]);
        assert!(store.newest_log_block("other").await.unwrap().is_some());
    }
}
