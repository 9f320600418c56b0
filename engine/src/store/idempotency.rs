//! What a POST with an `Idempotency-Key` was answered: kept in the transaction of what it made.

use super::pool::args;
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// Whose key, and for which request.
#[derive(Clone, Copy, Debug)]
pub struct Idempotent<'a> {
    /// The caller's tenant.
    pub tenant_id: &'a str,
    /// The caller.
    pub caller_id: &'a str,
    /// The key that it chose.
    pub key: &'a str,
    /// The hash of method, path and body.
    pub request_hash: &'a str,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Earlier {
    /// Nothing.
    None,
    /// The same request: what it was answered.
    Same(String),
    /// Another request.
    Other,
}

impl Writing {
    /// What the key stands for, as this change sees it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn earlier_answer(&mut self, of: Idempotent<'_>) -> Result<Earlier, StoreError> {
        let select = "SELECT request_hash, answer FROM idempotency_keys \
             WHERE tenant_id = $1 AND caller_id = $2 AND idempotency_key = $3";
        let rows = self.tx.fetch(select, args![of.tenant_id, of.caller_id, of.key]).await?;
        let Some(row) = rows.first() else { return Ok(Earlier::None) };
        if row.text("request_hash")? == of.request_hash {
            Ok(Earlier::Same(row.text("answer")?))
        } else {
            Ok(Earlier::Other)
        }
    }

    /// Keeps the answer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keep_answer(
        &mut self,
        of: Idempotent<'_>,
        answer: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let insert = "INSERT INTO idempotency_keys (tenant_id, caller_id, idempotency_key, request_hash, answer, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6)";
        let values = args![of.tenant_id, of.caller_id, of.key, of.request_hash, answer, now];
        self.tx.execute(insert, values).await.map(drop)
    }
}

impl Store {
    /// Forgets keys that were used before `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget_answers(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.pool.execute("DELETE FROM idempotency_keys WHERE created_at < $1", args![before]).await
    }
}
