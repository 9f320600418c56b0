//! The index of the decision log: one row for each block of records.
//!
//! Promises: what is written is written in one transaction; queries give blocks in an order
//! that can be resumed. Must never: be the only place where a record is known, since the log's
//! files are what counts and this can be rebuilt from them.

use super::pool::{Arg, Row, Tx, args, rows_sql};
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

const INTO: &str = "INSERT INTO log_blocks (node, first_seq, last_seq, records, segment, start_byte, \
    end_byte, min_time_us, max_time_us, min_id, max_id) VALUES";
const REPLACE: &str = "ON CONFLICT (node, first_seq) DO UPDATE SET last_seq = excluded.last_seq, \
    records = excluded.records, segment = excluded.segment, start_byte = excluded.start_byte, \
    end_byte = excluded.end_byte, min_time_us = excluded.min_time_us, max_time_us = excluded.max_time_us, \
    min_id = excluded.min_id, max_id = excluded.max_id";
/// Rows of one statement: far below the number of values that either database takes.
const ROWS: usize = 50;
const COLUMNS: usize = 11;

impl Store {
    /// Stores blocks of one node's log.
    ///
    /// # Errors
    /// When the database fails; then none is stored.
    pub async fn insert_log_blocks(&self, node: &str, blocks: &[LogBlock]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_write().await?;
        insert(&mut tx, node, blocks).await?;
        tx.commit().await
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
        let mut tx = self.pool.begin_write().await?;
        let delete = "DELETE FROM log_blocks WHERE node = $1 AND first_seq <= $2";
        tx.execute(delete, args![node, last_seq]).await?;
        insert(&mut tx, node, blocks).await?;
        tx.commit().await
    }

    /// Removes what reaches beyond `last_seq`: the log's end was lost, its index was not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trim_log_blocks(&self, node: &str, last_seq: u64) -> Result<(), StoreError> {
        let delete = "DELETE FROM log_blocks WHERE node = $1 AND last_seq > $2";
        self.pool.execute(delete, args![node, last_seq]).await.map(drop)
    }

    /// The newest block of a node's log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_log_block(&self, node: &str) -> Result<Option<LogBlock>, StoreError> {
        let select = "SELECT * FROM log_blocks WHERE node = $1 ORDER BY first_seq DESC LIMIT 1";
        let rows = self.pool.fetch(select, args![node]).await?;
        rows.first().map(from_row).transpose()
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
        let (after_id, after_seq) =
            after.map_or((id, -1), |(id, seq)| (id, i64::try_from(seq).unwrap_or(i64::MAX)));
        let select = "SELECT * FROM log_blocks WHERE node = $1 AND min_id <= $2 AND max_id >= $3 \
             AND (max_id > $3 OR first_seq > $4) ORDER BY max_id, first_seq LIMIT $5";
        let rows = self.pool.fetch(select, args![node, id, after_id, after_seq, i64::from(limit)]).await?;
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
        let select = "SELECT * FROM log_blocks WHERE node = $1 AND first_seq < $2 AND max_time_us >= $3 \
             AND min_time_us < $4 ORDER BY first_seq DESC LIMIT $5";
        let rows = self.pool.fetch(select, args![node, before, from_us, to_us, i64::from(limit)]).await?;
        rows.iter().map(from_row).collect()
    }
}

async fn insert(tx: &mut Tx, node: &str, blocks: &[LogBlock]) -> Result<(), StoreError> {
    for some in blocks.chunks(ROWS) {
        let mut values: Vec<Arg<'_>> = Vec::with_capacity(some.len() * COLUMNS);
        for block in some {
            values.extend_from_slice(args![
                node,
                block.first_seq,
                block.last_seq,
                block.records,
                block.segment,
                block.start_byte,
                block.end_byte,
                block.min_time_us,
                block.max_time_us,
                &block.min_id,
                &block.max_id,
            ]);
        }
        tx.execute(rows_sql(INTO, (some.len(), COLUMNS), REPLACE), &values).await?;
    }
    Ok(())
}

fn from_row(row: &Row) -> Result<LogBlock, StoreError> {
    Ok(LogBlock {
        first_seq: row.unsigned("first_seq")?,
        last_seq: row.unsigned("last_seq")?,
        records: row.unsigned("records")?,
        segment: row.unsigned("segment")?,
        start_byte: row.unsigned("start_byte")?,
        end_byte: row.unsigned("end_byte")?,
        min_time_us: row.int("min_time_us")?,
        max_time_us: row.int("max_time_us")?,
        min_id: row.text("min_id")?,
        max_id: row.text("max_id")?,
    })
}
