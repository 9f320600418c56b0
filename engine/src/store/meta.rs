//! Facts about the database itself.

use super::{Store, StoreError};
use std::path::Path;

impl Store {
    /// Ties a new database to the root key with this fingerprint, and refuses one that is
    /// tied to another.
    ///
    /// # Errors
    /// When the database was made with another root key.
    pub async fn check_root_key(&self, fingerprint: &str, folder: &Path) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO meta (name, value) VALUES ('root_key', $1) ON CONFLICT (name) DO NOTHING")
            .bind(fingerprint)
            .execute(&self.pool)
            .await?;
        let stored: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'root_key'")
            .fetch_one(&self.pool)
            .await?;
        let same: bool = subtle::ConstantTimeEq::ct_eq(stored.as_bytes(), fingerprint.as_bytes()).into();
        if same { Ok(()) } else { Err(StoreError::OtherRootKey(folder.join(super::FILE_NAME))) }
    }

    /// The number of the last change. Every change that a decision could see adds one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sequence(&self) -> Result<u64, StoreError> {
        let value: String = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'sequence'")
            .fetch_one(&self.pool)
            .await?;
        value.parse().map_err(|_| StoreError::Corrupt { what: "sequence", detail: value })
    }
}

/// Adds one to the sequence number, in the transaction of the change that it numbers.
pub(super) async fn advance_sequence(connection: &mut sqlx::SqliteConnection) -> Result<(), StoreError> {
    sqlx::query("UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'sequence'")
        .execute(connection)
        .await?;
    Ok(())
}
