//! Facts about the database itself.

use super::pool::{Tx, args};
use super::{Store, StoreError};
use crate::bundle::Named;
use crate::clock::Timestamp;

const SEQUENCE: &str = "SELECT value FROM meta WHERE name = 'sequence'";
const ADVANCE: &str =
    "UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'sequence' RETURNING value";

impl Store {
    /// Ties a new database to the root key with this fingerprint, and refuses one that is
    /// tied to another.
    ///
    /// # Errors
    /// When the database was made with another root key.
    pub async fn check_root_key(&self, fingerprint: &str) -> Result<(), StoreError> {
        let insert = "INSERT INTO meta (name, value) VALUES ('root_key', $1) ON CONFLICT (name) DO NOTHING";
        self.pool.execute(insert, args![fingerprint]).await?;
        let rows = self.pool.fetch("SELECT value FROM meta WHERE name = 'root_key'", &[]).await?;
        let stored = rows.first().map(|row| row.text("value")).transpose()?.unwrap_or_default();
        let same: bool = subtle::ConstantTimeEq::ct_eq(stored.as_bytes(), fingerprint.as_bytes()).into();
        if same { Ok(()) } else { Err(StoreError::OtherRootKey(self.shown.to_string())) }
    }

    /// The number of the last change. Every change that a decision could see adds one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sequence(&self) -> Result<u64, StoreError> {
        parse(&self.pool.fetch(SEQUENCE, &[]).await?)
    }

    /// The time by the database's clock, which all nodes share; none when the database is this node's own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shared_time(&self) -> Result<Option<Timestamp>, StoreError> {
        if !self.is_shared() {
            return Ok(None);
        }
        let now = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS micros";
        let rows = self.pool.fetch(now, &[]).await?;
        rows.first().map(|row| row.instant("micros")).transpose()
    }
}

impl Store {
    /// The newest bundle that a node has served.
    ///
    /// # Errors
    /// When the database fails, or holds something else.
    pub async fn taken_bundle(&self) -> Result<Option<Named>, StoreError> {
        let rows = self.pool.fetch("SELECT value FROM meta WHERE name = 'bundle'", &[]).await?;
        rows.first().map(|row| parse_bundle(&row.text("value")?)).transpose()
    }

    /// Notes that a bundle is served from now on, if it is newer than all that were; gives the newest.
    ///
    /// # Errors
    /// When the database fails, or holds something else.
    pub async fn take_bundle(&self, bundle: &Named) -> Result<Named, StoreError> {
        // Digits of one length compare as their numbers do; the version alone counts.
        let upsert = "INSERT INTO meta (name, value) VALUES ('bundle', $1) ON CONFLICT (name) DO UPDATE SET \
             value = excluded.value WHERE substr(meta.value, 1, 20) < substr(excluded.value, 1, 20)";
        let value = format!("{:020} {}", bundle.version, bundle.digest);
        self.pool.execute(upsert, args![&value]).await?;
        Ok(self.taken_bundle().await?.unwrap_or(*bundle))
    }
}

fn parse_bundle(value: &str) -> Result<Named, StoreError> {
    let named = value.split_once(' ').and_then(|(version, digest)| {
        Some(Named { version: version.parse().ok()?, digest: digest.parse().ok()? })
    });
    named.ok_or_else(|| StoreError::Corrupt { what: "bundle", detail: value.to_owned() })
}

/// The sequence number as of a transaction.
pub(super) async fn sequence_of(tx: &mut Tx) -> Result<u64, StoreError> {
    parse(&tx.fetch(SEQUENCE, &[]).await?)
}

/// Adds one to the sequence number, in the transaction of the change that it numbers. Until that transaction ends, no
/// other change can begin: numbers become visible in their order.
pub(super) async fn advance_sequence(tx: &mut Tx) -> Result<u64, StoreError> {
    parse(&tx.fetch(ADVANCE, &[]).await?)
}

fn parse(rows: &[super::pool::Row]) -> Result<u64, StoreError> {
    let value = rows.first().map(|row| row.text("value")).transpose()?.unwrap_or_default();
    value.parse().map_err(|_| StoreError::Corrupt { what: "sequence", detail: value })
}
