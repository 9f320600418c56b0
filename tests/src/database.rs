//! Writing to a server's database behind its back, to play a newer or a damaged one.

use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

/// Executes one statement on the SQLite file at `path`.
///
/// # Panics
/// When it fails.
pub fn execute_sql(path: &Path, statement: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(path);
        let mut connection = options.connect().await.expect("the database opens");
        let statement = AssertSqlSafe(statement.to_owned());
        connection.execute(statement).await.unwrap_or_else(|error| panic!("{error}"));
        connection.close().await.expect("the database closes");
    });
}
