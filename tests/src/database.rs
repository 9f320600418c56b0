//! Talking to a server's databases behind its back: to play a newer or a damaged one, or to see what is in them.

use std::path::Path;

use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use crate::home::home_of;

/// Executes one statement on the database of the server with this data folder, wherever it is.
///
/// # Panics
/// When it fails.
pub fn execute_sql(data: &Path, statement: &str) {
    if let Some(home) = home_of(data) {
        execute_on_postgres(&home.database_url(), statement).unwrap_or_else(|error| panic!("{error}"));
        return;
    }
    block_on(async {
        let options = SqliteConnectOptions::new().filename(data.join("portcullis.db"));
        let mut connection = options.connect().await.expect("the database opens");
        let statement = AssertSqlSafe(statement.to_owned());
        connection.execute(statement).await.unwrap_or_else(|error| panic!("{error}"));
        connection.close().await.expect("the database closes");
    });
}

/// The first column of what a query with parameters selects in an SQLite of its own, made by these statements.
///
/// # Panics
/// When it fails.
pub fn select_in_sqlite(statements: &str, query: &str, parameters: &[Value]) -> Vec<String> {
    block_on(async {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.expect("a database");
        let made = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await;
        made.unwrap_or_else(|error| panic!("{error}: {statements}"));
        let mut selected = sqlx::query_scalar(AssertSqlSafe(query.to_owned()));
        for parameter in parameters {
            selected = match parameter {
                Value::String(text) => selected.bind(text.clone()),
                other => selected.bind(other.as_i64().expect("a parameter is text or a number")),
            };
        }
        let rows = selected.fetch_all(&mut connection).await;
        rows.unwrap_or_else(|error| panic!("{error}: {query}"))
    })
}

/// Executes statements on a PostgreSQL.
pub(crate) fn execute_on_postgres(url: &str, statements: &str) -> Result<(), sqlx::Error> {
    block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await?;
        connection.close().await
    })
}

/// All rows of a schema, as XML, in which text stands as it is and bytes as base64.
pub(crate) fn rows_of_postgres(url: &str, schema: &str) -> Result<String, sqlx::Error> {
    block_on(async {
        let mut connection = PgConnection::connect(url).await?;
        let query =
            sqlx::query_scalar("SELECT CAST(schema_to_xml(CAST($1 AS name), true, false, '') AS TEXT)");
        let rows = query.bind(schema).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}
