//! Durable, relational data: the only SQL is here.
//!
//! Promises: every statement is one text for SQLite and PostgreSQL; migrations run at start; a database that is newer
//! than the program, or was made with another root key, is refused. Must never: stand on the path of a decision.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::Connection;
use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

pub mod assignments;
pub mod callers;
pub mod changes;
pub mod elevations;
pub mod entities;
pub mod filter;
pub mod idempotency;
pub mod imports;
pub mod log_blocks;
mod meta;
pub mod plugin_modes;
mod pool;
pub mod revisions;
pub mod state_entries;
#[cfg(test)]
pub(crate) mod tests;
pub mod writing;

use pool::Pool;
pub use writing::Writing;

/// One migration, for both databases.
macro_rules! migration {
    ($version:literal, $name:literal) => {
        (
            $version,
            $name,
            [
                include_str!(concat!("../../migrations/sqlite/", $name, ".sql")),
                include_str!(concat!("../../migrations/postgres/", $name, ".sql")),
            ],
        )
    };
}

/// The migrations, oldest first, by number, name, and text for SQLite and for PostgreSQL. A new one is two files and its
/// line here.
const MIGRATIONS: [(i64, &str, [&str; 2]); 7] = [
    migration!(1, "0001_foundation"),
    migration!(2, "0002_log_blocks"),
    migration!(3, "0003_changes"),
    migration!(4, "0004_entities"),
    migration!(5, "0005_state_entries"),
    migration!(6, "0006_plugin_modes"),
    migration!(7, "0007_revisions"),
];

/// The name of the database file in the data folder.
pub const FILE_NAME: &str = "portcullis.db";

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database has migrations that this program does not know.
    #[error(
        "the database `{database}` is newer than this program (it has migration {version}): run the newer program"
    )]
    Newer {
        /// The database.
        database: String,
        /// The migration that is not known.
        version: i64,
    },
    /// A migration was edited after it ran.
    #[error(
        "the database `{database}` was made by another build: its migration {version} differs from this program's"
    )]
    Differs {
        /// The database.
        database: String,
        /// The migration that differs.
        version: i64,
    },
    /// The database belongs to another root key.
    #[error("the database `{0}` was made with another root key: start with the root key that made it")]
    OtherRootKey(String),
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
    #[error("can't open the database `{database}`: {source}")]
    Open {
        /// The database.
        database: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The address of a database is none.
    #[error("the database's URL is not valid: it must begin with `postgres://` ({0})")]
    Url(String),
    /// The database does not answer.
    #[error("the database does not answer in time")]
    Silent,
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
    pool: Pool,
    /// What messages call the database.
    shown: std::sync::Arc<str>,
}

impl Store {
    /// Opens the SQLite database in `folder`, or makes it; then migrates it.
    ///
    /// # Errors
    /// When the file can't be opened, or is newer than this program.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join(FILE_NAME);
        let shown = path.display().to_string();
        let failed = |source| StoreError::Open { database: shown.clone(), source };
        make_private(&path).map_err(|error| failed(error.into()))?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            // A thread reads for us: it hands so many rows over before it waits for us.
            .row_buffer_size(512)
            .busy_timeout(Duration::from_secs(5));
        let pool = SqlitePoolOptions::new()
            .max_connections(4)
            // When the disk is full, SQLite ends the transaction by itself, and the driver never learns of it:
            // that connection would refuse every transaction from then on.
            .before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }))
            .connect_with(options)
            .await
            .map_err(failed)?;
        migrator(0).run(&pool).await.map_err(|error| not_migrated(error, &shown))?;
        Ok(Self { pool: Pool::Sqlite(pool), shown: shown.into() })
    }

    /// Connects to PostgreSQL; then migrates it.
    ///
    /// # Errors
    /// When it can't be reached, or is newer than this program.
    pub async fn connect(url: &SecretString) -> Result<Self, StoreError> {
        let url = url.expose_secret();
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(StoreError::Url("another scheme".into()));
        }
        let options = PgConnectOptions::from_str(url).map_err(|error| StoreError::Url(error.to_string()))?;
        let options = options.application_name("portcullis");
        // Without the password.
        let name = options.get_database().unwrap_or_else(|| options.get_username());
        let shown = format!("postgres://{}:{}/{name}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(10)
            .acquire_timeout(ACQUIRE)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { database: shown.clone(), source })?;
        migrator(1).run(&pool).await.map_err(|error| not_migrated(error, &shown))?;
        Ok(Self { pool: Pool::Postgres(pool), shown: shown.into() })
    }

    /// Whether other nodes can share the database.
    pub fn is_shared(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    /// What messages call the database; never with a password.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Finishes what is under way and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Waiting longer for a connection means that the database is away.
const ACQUIRE: Duration = Duration::from_secs(3);

fn not_migrated(error: MigrateError, shown: &str) -> StoreError {
    let database = shown.to_owned();
    match error {
        MigrateError::VersionMissing(version) => StoreError::Newer { database, version },
        MigrateError::VersionMismatch(version) => StoreError::Differs { database, version },
        other => StoreError::Migrate(other),
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

fn migrator(database: usize) -> Migrator {
    let migrations = MIGRATIONS.map(|(version, name, texts)| {
        let description = name.split_once('_').map_or(name, |(_, rest)| rest).replace('_', " ");
        let text = texts.get(database).copied().unwrap_or_default();
        Migration::new(version, description.into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.to_vec())
}
