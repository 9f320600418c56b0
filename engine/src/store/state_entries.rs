//! What a state without Redis may not lose: who claimed what, values, members of sets, and counts a second behind.
//!
//! Promises: each of these is one atomic step, also for several processes on one database. What is over its time
//! counts as absent, whether it was swept or not.

use super::pool::{Tx, args, rows_sql};
use super::{Store, StoreError};
use crate::clock::Timestamp;

/// From when to when something is kept.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Now.
    pub now: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
}

/// A value that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateValue {
    /// The value, in the state's own form.
    pub value: String,
    /// Its version.
    pub version: i64,
}

/// What becomes of a full set's new member.
#[derive(Clone, Copy, Debug)]
pub struct SetBound {
    /// How many members there may be.
    pub limit: i64,
    /// Whether the oldest give way.
    pub evicts: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetInsert {
    /// It was in.
    Already,
    /// It is not in.
    Refused,
    /// It is in, for these.
    In(Vec<String>),
}

/// A count, a rate or a window, in the state's own form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// Which of them.
    pub kind: String,
    /// The key.
    pub entry: String,
    /// What is counted.
    pub value: String,
    /// When it is over.
    pub ends_at: Timestamp,
}

const CLAIM: &str = "claim";
const VALUE: &str = "value";
const SET: &str = "set";
/// How the kind of a count begins.
const COUNTS: &str = "count:";

const INSERT: &str = "INSERT INTO state_entries (kind, entry, member, value, number, ends_at) VALUES";
const OVER: &str = "ON CONFLICT (kind, entry, member) DO UPDATE SET value = excluded.value, \
     number = excluded.number, ends_at = excluded.ends_at";

impl Store {
    /// Claims for a claimant; gives when the claim is over, or nothing when it is another's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_state(
        &self,
        key: &str,
        claimant: &str,
        span: Span,
    ) -> Result<Option<Timestamp>, StoreError> {
        // One that is lost already needs no turn at writing.
        if let Some((who, until)) = self.claimed(key, span.now).await? {
            return Ok((who == claimant).then_some(until));
        }
        let insert = "INSERT INTO state_entries (kind, entry, member, value, number, ends_at) \
             VALUES ($1, $2, '', $3, 0, $4) \
             ON CONFLICT (kind, entry, member) DO UPDATE SET value = excluded.value, ends_at = excluded.ends_at \
             WHERE state_entries.ends_at <= $5";
        let values = args![CLAIM, key, claimant, span.ends_at, span.now];
        if self.pool.execute(insert, values).await? == 1 {
            return Ok(Some(span.ends_at));
        }
        let winner = self.claimed(key, span.now).await?;
        Ok(winner.and_then(|(who, until)| (who == claimant).then_some(until)))
    }

    async fn claimed(&self, key: &str, now: Timestamp) -> Result<Option<(String, Timestamp)>, StoreError> {
        let select = "SELECT value, ends_at FROM state_entries \
             WHERE kind = $1 AND entry = $2 AND member = '' AND ends_at > $3";
        let rows = self.pool.fetch(select, args![CLAIM, key, now]).await?;
        rows.first().map(|row| Ok((row.text("value")?, row.instant("ends_at")?))).transpose()
    }

    /// Keeps a value, whatever was there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn put_state(&self, key: &str, value: &StateValue, span: Span) -> Result<(), StoreError> {
        let insert = "INSERT INTO state_entries (kind, entry, member, value, number, ends_at) \
             VALUES ($1, $2, '', $3, $4, $5) ON CONFLICT (kind, entry, member) \
             DO UPDATE SET value = excluded.value, number = excluded.number, ends_at = excluded.ends_at";
        let values = args![VALUE, key, &value.value, value.version, span.ends_at];
        self.pool.execute(insert, values).await.map(drop)
    }

    /// A value.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn state(&self, key: &str, now: Timestamp) -> Result<Option<StateValue>, StoreError> {
        let select = "SELECT value, number FROM state_entries \
             WHERE kind = $1 AND entry = $2 AND member = '' AND ends_at > $3";
        let rows = self.pool.fetch(select, args![VALUE, key, now]).await?;
        let value = |row: &super::pool::Row| {
            Ok(StateValue { value: row.text("value")?, version: row.int("number")? })
        };
        rows.first().map(value).transpose()
    }

    /// Keeps a value if the one there has this version, or, for none, if none is there; says whether it did.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn swap_state(
        &self,
        key: &str,
        expected: Option<i64>,
        value: &StateValue,
        span: Span,
    ) -> Result<bool, StoreError> {
        let done = if let Some(expected) = expected {
            let update = "UPDATE state_entries SET value = $3, number = $4, ends_at = $5 \
                 WHERE kind = $1 AND entry = $2 AND member = '' AND number = $6 AND ends_at > $7";
            let values = args![VALUE, key, &value.value, value.version, span.ends_at, expected, span.now];
            self.pool.execute(update, values).await?
        } else {
            let insert = "INSERT INTO state_entries (kind, entry, member, value, number, ends_at) \
                 VALUES ($1, $2, '', $3, $4, $5) ON CONFLICT (kind, entry, member) \
                 DO UPDATE SET value = excluded.value, number = excluded.number, ends_at = excluded.ends_at \
                 WHERE state_entries.ends_at <= $6";
            let values = args![VALUE, key, &value.value, value.version, span.ends_at, span.now];
            self.pool.execute(insert, values).await?
        };
        Ok(done == 1)
    }

    /// Deletes a value; says whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_state(&self, key: &str, now: Timestamp) -> Result<bool, StoreError> {
        let delete =
            "DELETE FROM state_entries WHERE kind = $1 AND entry = $2 AND member = '' AND ends_at > $3";
        Ok(self.pool.execute(delete, args![VALUE, key, now]).await? == 1)
    }

    /// Adds a member to a set.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn insert_state_member(
        &self,
        set: &str,
        member: &str,
        bound: SetBound,
        span: Span,
    ) -> Result<SetInsert, StoreError> {
        let mut tx = self.pool.begin_write().await?;
        // The set's own row stays locked until the end: whoever comes next sees what was done here.
        let lock = "INSERT INTO state_entries (kind, entry, member, value, number, ends_at) \
             VALUES ($1, $2, '', '', 0, $3) ON CONFLICT (kind, entry, member) DO UPDATE SET ends_at = \
             CASE WHEN excluded.ends_at > state_entries.ends_at THEN excluded.ends_at \
             ELSE state_entries.ends_at END";
        tx.execute(lock, args![SET, set, span.ends_at]).await?;
        let over =
            "DELETE FROM state_entries WHERE kind = $1 AND entry = $2 AND member <> '' AND ends_at <= $3";
        tx.execute(over, args![SET, set, span.now]).await?;
        let inserted = insert_member(&mut tx, (set, member), bound, span.ends_at).await?;
        tx.commit().await?;
        Ok(inserted)
    }

    /// Takes a member out; says whether it was in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_state_member(
        &self,
        set: &str,
        member: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let delete =
            "DELETE FROM state_entries WHERE kind = $1 AND entry = $2 AND member = $3 AND ends_at > $4";
        Ok(self.pool.execute(delete, args![SET, set, member, now]).await? == 1)
    }

    /// The members of a set, the oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn state_members(&self, set: &str, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let select = "SELECT member FROM state_entries WHERE kind = $1 AND entry = $2 AND member <> '' \
             AND ends_at > $3 ORDER BY number";
        let rows = self.pool.fetch(select, args![SET, set, now]).await?;
        rows.iter().map(|row| row.text("member")).collect()
    }

    /// Writes counts over those that are there, all or none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write_state_counts(&self, counts: &[StateCount]) -> Result<(), StoreError> {
        const AT_ONCE: usize = 500;
        if counts.is_empty() {
            return Ok(());
        }
        let mut tx = self.pool.begin_write().await?;
        for part in counts.chunks(AT_ONCE) {
            let kinds: Vec<String> = part.iter().map(|count| format!("{COUNTS}{}", count.kind)).collect();
            let rows = part.iter().zip(&kinds);
            let values: Vec<_> = rows
                .flat_map(|(count, kind)| *args![kind, &count.entry, "", &count.value, 0_i64, count.ends_at])
                .collect();
            tx.execute(rows_sql(INSERT, (part.len(), 6), OVER), &values).await?;
        }
        tx.commit().await
    }

    /// Shows all counts that are not over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn each_state_count(
        &self,
        now: Timestamp,
        mut see: impl FnMut(StateCount),
    ) -> Result<(), StoreError> {
        let mut tx = self.pool.begin_read().await?;
        // `;` follows `:`.
        let select = "SELECT kind, entry, value, ends_at FROM state_entries \
             WHERE kind >= 'count:' AND kind < 'count;' AND ends_at > $1";
        let take = |row: super::pool::Row| {
            let kind = row.text("kind")?;
            see(StateCount {
                kind: kind.trim_start_matches(COUNTS).to_owned(),
                entry: row.text("entry")?,
                value: row.text("value")?,
                ends_at: row.instant("ends_at")?,
            });
            Ok(())
        };
        tx.each(select, args![now], take).await?;
        tx.commit().await
    }

    /// Deletes what is over.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_state(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.pool.execute("DELETE FROM state_entries WHERE ends_at <= $1", args![now]).await
    }
}

async fn insert_member(
    tx: &mut Tx,
    (set, member): (&str, &str),
    bound: SetBound,
    ends_at: Timestamp,
) -> Result<SetInsert, StoreError> {
    let renew = "UPDATE state_entries SET ends_at = $4 WHERE kind = $1 AND entry = $2 AND member = $3";
    if tx.execute(renew, args![SET, set, member, ends_at]).await? == 1 {
        return Ok(SetInsert::Already);
    }
    let select = "SELECT member, number FROM state_entries WHERE kind = $1 AND entry = $2 AND member <> '' \
         ORDER BY number";
    let rows = tx.fetch(select, args![SET, set]).await?;
    let limit = usize::try_from(bound.limit).unwrap_or(0);
    let over = (rows.len() + 1).saturating_sub(limit);
    if over > 0 && !bound.evicts {
        return Ok(SetInsert::Refused);
    }
    let mut out = Vec::new();
    for row in rows.iter().take(over) {
        let oldest = row.text("member")?;
        let delete = "DELETE FROM state_entries WHERE kind = $1 AND entry = $2 AND member = $3";
        tx.execute(delete, args![SET, set, &oldest]).await?;
        out.push(oldest);
    }
    let youngest = rows.last().map(|row| row.int("number")).transpose()?.unwrap_or(0);
    let insert = "INSERT INTO state_entries (kind, entry, member, value, number, ends_at) \
         VALUES ($1, $2, $3, '', $4, $5)";
    tx.execute(insert, args![SET, set, member, youngest.saturating_add(1), ends_at]).await?;
    Ok(SetInsert::In(out))
}
