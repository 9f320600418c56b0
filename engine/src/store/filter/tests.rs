//! Real databases with an application's own table, for what filters select in them.

use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgPool, Row as _, SqlitePool};

use super::*;

/// A document.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) owner: Option<String>,
    pub(crate) folder: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) note: Option<String>,
    pub(crate) level: Option<i64>,
    pub(crate) archived: Option<bool>,
    pub(crate) tags: Vec<String>,
    pub(crate) viewers: Option<Vec<String>>,
}

/// A database with documents.
pub(crate) enum Database {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Columns that would compare without regard to case, if they were asked to.
const TABLES: [&str; 2] = [
    "CREATE TABLE documents (id TEXT NOT NULL, owner TEXT, folder TEXT, title TEXT NOCASE, note TEXT NOCASE, level BIGINT, \
     archived BOOLEAN, viewers JSONB)",
    "CREATE TABLE tags (document TEXT NOT NULL, tag TEXT NOT NULL)",
];

impl Database {
    /// None when no such database is there for tests.
    pub(crate) async fn open(dialect: Dialect) -> Option<Self> {
        let collate = if dialect == Dialect::Sqlite { "COLLATE NOCASE" } else { "" };
        let database = match dialect {
            Dialect::Sqlite => {
                let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
                Self::Sqlite(options.connect("sqlite::memory:").await.unwrap())
            }
            Dialect::Postgresql => {
                let url = crate::store::tests::postgres_schema().await?;
                let options = sqlx::postgres::PgPoolOptions::new().max_connections(1);
                let url = secrecy::ExposeSecret::expose_secret(&url);
                Self::Postgres(options.connect(url).await.unwrap())
            }
        };
        for table in TABLES {
            let sql = AssertSqlSafe(table.replace("NOCASE", collate));
            match &database {
                Self::Sqlite(pool) => drop(pool.execute(sql).await.unwrap()),
                Self::Postgres(pool) => drop(pool.execute(sql).await.unwrap()),
            }
        }
        Some(database)
    }

    /// The ids of those rows that a `WHERE` selects, in their order.
    pub(crate) async fn select(&self, rows: &[Row], selection: &Where) -> Vec<String> {
        match self {
            Self::Sqlite(pool) => on_sqlite(pool, rows, selection).await,
            Self::Postgres(pool) => on_postgres(pool, rows, selection).await,
        }
    }
}

macro_rules! on {
    ($name:ident, $pool:ty, $json:literal) => {
        async fn $name(pool: &$pool, rows: &[Row], selection: &Where) -> Vec<String> {
            let mut transaction = pool.begin().await.unwrap();
            for row in rows {
                let insert =
                    concat!("INSERT INTO documents VALUES ($1, $2, $3, $4, $5, $6, $7, ", $json, ")");
                let insert = sqlx::query(insert)
                    .bind(&row.id)
                    .bind(&row.owner)
                    .bind(&row.folder)
                    .bind(&row.title)
                    .bind(&row.note)
                    .bind(row.level)
                    .bind(row.archived)
                    .bind(row.viewers.as_ref().map(|all| json!(all).to_string()));
                insert.execute(&mut *transaction).await.unwrap();
                for tag in &row.tags {
                    let insert = sqlx::query("INSERT INTO tags VALUES ($1, $2)").bind(&row.id).bind(tag);
                    insert.execute(&mut *transaction).await.unwrap();
                }
            }
            let sql = format!("SELECT id FROM documents WHERE {} ORDER BY id", selection.sql);
            let mut query = sqlx::query(AssertSqlSafe(sql.clone()));
            for parameter in &selection.parameters {
                query = match parameter {
                    Value::Number(number) => query.bind(number.as_i64()),
                    Value::String(text) => query.bind(text.clone()),
                    other => panic!("{other}"),
                };
            }
            let found = query.fetch_all(&mut *transaction).await;
            let found = found.unwrap_or_else(|error| panic!("{error}: {sql}"));
            transaction.rollback().await.unwrap();
            found.into_iter().map(|row| row.get(0)).collect()
        }
    };
}

on!(on_sqlite, SqlitePool, "$8");
on!(on_postgres, PgPool, "$8::jsonb");
