//! How much plugins count, where callers say otherwise than the configuration.

use super::pool::{Row, args};
use super::{Store, StoreError, Writing};
use crate::clock::Timestamp;

/// One mode as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginModeRow {
    /// For whom; empty is everybody.
    pub tenant_id: String,
    /// Which plugin.
    pub plugin: String,
    /// For which requests; empty is all.
    pub route: String,
    /// `enforce`, `shadow` or `off`; none when it was taken back.
    pub mode: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The number of its last change.
    pub version: u64,
}

impl Writing {
    /// A mode, also one that was taken back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_mode(
        &mut self,
        [tenant_id, plugin, route]: [&str; 3],
    ) -> Result<Option<PluginModeRow>, StoreError> {
        let select = "SELECT * FROM plugin_modes WHERE tenant_id = $1 AND plugin = $2 AND route = $3";
        let rows = self.tx.fetch(select, args![tenant_id, plugin, route]).await?;
        rows.first().map(from_row).transpose()
    }

    /// How many modes a tenant has for a plugin.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_plugin_modes(&mut self, tenant_id: &str, plugin: &str) -> Result<usize, StoreError> {
        let select =
            "SELECT route FROM plugin_modes WHERE tenant_id = $1 AND plugin = $2 AND mode IS NOT NULL";
        Ok(self.tx.fetch(select, args![tenant_id, plugin]).await?.len())
    }

    /// Writes a mode whole.
    ///
    /// # Errors
    /// When the database fails, or a text has a NUL.
    pub async fn put_plugin_mode(&mut self, row: &PluginModeRow) -> Result<(), StoreError> {
        let insert = "INSERT INTO plugin_modes (tenant_id, plugin, route, mode, updated_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_id, plugin, route) DO UPDATE SET \
             mode = excluded.mode, updated_at = excluded.updated_at, version = excluded.version";
        let PluginModeRow { tenant_id, plugin, route, mode, updated_at, version } = row;
        self.tx.execute(insert, args![tenant_id, plugin, route, mode, *updated_at, *version]).await.map(drop)
    }
}

impl Store {
    /// The modes that a tenant sees: its own and everybody's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_modes_of(&self, tenant_id: &str) -> Result<Vec<PluginModeRow>, StoreError> {
        let select = "SELECT * FROM plugin_modes WHERE (tenant_id = '' OR tenant_id = $1) AND mode IS NOT NULL \
             ORDER BY plugin, tenant_id, route";
        let rows = self.pool.fetch(select, args![tenant_id]).await?;
        rows.iter().map(from_row).collect()
    }
}

pub(super) fn from_row(row: &Row) -> Result<PluginModeRow, StoreError> {
    Ok(PluginModeRow {
        tenant_id: row.text("tenant_id")?,
        plugin: row.text("plugin")?,
        route: row.text("route")?,
        mode: row.optional_text("mode")?,
        updated_at: row.instant("updated_at")?,
        version: row.unsigned("version")?,
    })
}
