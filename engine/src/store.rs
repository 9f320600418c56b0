//! Durable, relational data: the only SQL is here.
//!
//! Promises: every statement is in the dialect that SQLite and PostgreSQL share; migrations
//! run at start; a database that is newer than the program, or was made with another root
//! key, is refused. Must never: stand on the path of a decision.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, SqlSafeStr};

pub mod callers;
pub mod changes;
pub mod log_blocks;
mod meta;

/// The migrations, oldest first. A new one is a file and its line here.
const MIGRATIONS: [(i64, &str, &str); 3] = [
    (1, "foundation", include_str!("../../migrations/sqlite/0001_foundation.sql")),
    (2, "log blocks", include_str!("../../migrations/sqlite/0002_log_blocks.sql")),
    (3, "changes", include_str!("../../migrations/sqlite/0003_changes.sql")),
];

/// The name of the database file in the data folder.
pub const FILE_NAME: &str = "portcullis.db";

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database has migrations that this program does not know.
    #[error("the database `{}` is newer than this program (it has migration {version}): run the newer program", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// The migration that is not known.
        version: i64,
    },
    /// A migration was edited after it ran.
    #[error("the database `{}` was made by another build: its migration {version} differs from this program's", path.display())]
    Differs {
        /// The database.
        path: PathBuf,
        /// The migration that differs.
        version: i64,
    },
    /// The database belongs to another root key.
    #[error("the database `{}` was made with another root key: start with the root key that made it", .0.display())]
    OtherRootKey(PathBuf),
    /// A value holds a NUL character, which PostgreSQL can't store.
    #[error("text with a NUL character can't be stored")]
    Nul,
    /// What is stored can't be read.
    #[error("stored {what} can't be read: {detail}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The database could not be opened.
    #[error("can't open the database `{}`: {source}", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// A migration failed.
    #[error("can't migrate the database: {0}")]
    Migrate(#[source] MigrateError),
    /// A statement failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
}

/// The store: a pool of connections to one database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the database in `folder`, or makes it; then migrates it.
    ///
    /// # Errors
    /// When the file can't be opened, or is newer than this program.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        make_private(&path).map_err(|error| StoreError::Open { path: path.clone(), source: error.into() })?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            // When the disk is full, SQLite ends the transaction by itself, and the driver never learns of it:
            // that connection would refuse every transaction from then on.
            .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { path: path.clone(), source })?;
        migrator().run(&pool).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => StoreError::Newer { path: path.clone(), version },
            MigrateError::VersionMismatch(version) => StoreError::Differs { path: path.clone(), version },
            other => StoreError::Migrate(other),
        })?;
        Ok(Self { pool })
    }

    /// Finishes what is under way and closes the file.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Makes the file for its owner alone; SQLite gives the files beside it the same mode.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.map(|(version, description, sql)| {
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.to_vec())
}

/// Refuses text that PostgreSQL could not store, so that both databases take the same.
fn storable(text: &str) -> Result<&str, StoreError> {
    if text.contains('\0') { Err(StoreError::Nul) } else { Ok(text) }
}
