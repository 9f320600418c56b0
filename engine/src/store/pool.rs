//! One text of SQL for two databases.
//!
//! A statement's values and a row's columns are text or integers, on both. Promises: an operation that a database does
//! not answer ends with an error and not never; text with a NUL is refused before either database sees it. Must
//! never: be seen outside of the store.

use std::time::Duration;

use futures_util::StreamExt;
use sqlx::postgres::{PgPool, PgRow, Postgres};
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{AssertSqlSafe, ColumnIndex, Row as _, SqlSafeStr, Sqlite, Transaction};

use super::StoreError;

/// A statement that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many rows at most are taken together when they are there already.
const AT_ONCE: usize = 256;

/// The connections.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// A value of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Arg<'a> {
    Text(Option<&'a str>),
    Int(Option<i64>),
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<&'a String> for Arg<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Arg<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a Option<String>> for Arg<'a> {
    fn from(text: &'a Option<String>) -> Self {
        Self::Text(text.as_deref())
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for Arg<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

/// Numbers and offsets stay far below 2^63; a bound above it means "no bound".
impl From<u64> for Arg<'_> {
    fn from(number: u64) -> Self {
        Self::Int(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }
}

/// Instants, in microseconds since the epoch.
impl From<crate::clock::Timestamp> for Arg<'_> {
    fn from(at: crate::clock::Timestamp) -> Self {
        Self::Int(Some(at.0))
    }
}

impl From<Option<crate::clock::Timestamp>> for Arg<'_> {
    fn from(at: Option<crate::clock::Timestamp>) -> Self {
        Self::Int(at.map(|at| at.0))
    }
}

/// The values of a statement: `args![id, at, None::<i64>]`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::store::pool::Arg::from($value)),*] };
}
pub(super) use args;

/// A statement: fixed text, or text whose only variable part is how many values it takes.
#[derive(Debug)]
pub(super) enum Sql {
    Fixed(&'static str),
    Sized(String),
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}

/// `head (…), (…) tail`, for `rows` rows of `columns` values each. Nothing of a request is ever in the text.
pub(super) fn rows_sql(head: &'static str, (rows, columns): (usize, usize), tail: &'static str) -> Sql {
    let row = |row: usize| {
        let places: Vec<String> =
            (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", places.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    Sql::Sized(format!("{head} {} {tail}", rows.join(", ")))
}

/// A row that was found.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A column by its name, or by its place among those that a statement names: that costs less, where rows are many.
pub(super) trait Column: ColumnIndex<SqliteRow> + ColumnIndex<PgRow> {}

impl Column for &'static str {}

impl Column for usize {}

macro_rules! column {
    ($name:ident, $type:ty) => {
        pub(super) fn $name(&self, column: impl Column) -> Result<$type, StoreError> {
            Ok(match self {
                Self::Sqlite(row) => row.try_get(column)?,
                Self::Postgres(row) => row.try_get(column)?,
            })
        }
    };
}

impl Row {
    column!(text, String);
    column!(optional_text, Option<String>);
    column!(int, i64);
    column!(optional_int, Option<i64>);

    pub(super) fn unsigned(&self, column: &'static str) -> Result<u64, StoreError> {
        self.unsigned_at(column, column)
    }

    /// The same, for what messages call `name`.
    pub(super) fn unsigned_at(&self, column: impl Column, name: &'static str) -> Result<u64, StoreError> {
        let number = self.int(column)?;
        u64::try_from(number).map_err(|_| StoreError::Corrupt { what: name, detail: number.to_string() })
    }

    pub(super) fn instant(&self, column: impl Column) -> Result<crate::clock::Timestamp, StoreError> {
        Ok(crate::clock::Timestamp(self.int(column)?))
    }

    pub(super) fn optional_instant(
        &self,
        column: impl Column,
    ) -> Result<Option<crate::clock::Timestamp>, StoreError> {
        Ok(self.optional_int(column)?.map(crate::clock::Timestamp))
    }
}

/// A statement with its values, for whichever database.
macro_rules! query {
    ($sql:expr, $args:expr) => {{
        let (text, kept) = match $sql {
            Sql::Fixed(text) => (text.into_sql_str(), true),
            Sql::Sized(text) => (AssertSqlSafe(text).into_sql_str(), false),
        };
        let mut query = sqlx::query(text).persistent(kept);
        for arg in $args {
            query = match *arg {
                Arg::Text(text) => query.bind(text.map(storable).transpose()?),
                Arg::Int(number) => query.bind(number),
            };
        }
        query
    }};
}

fn storable(text: &str) -> Result<&str, StoreError> {
    if text.contains('\0') { Err(StoreError::Nul) } else { Ok(text) }
}

/// The same body for either database.
macro_rules! on {
    ($which:ident: $of:expr, $inner:ident => $body:expr) => {
        match $of {
            $which::Sqlite($inner) => $body,
            $which::Postgres($inner) => $body,
        }
    };
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or(Err(StoreError::Silent))
}

impl Pool {
    pub(super) async fn fetch(&self, sql: impl Into<Sql>, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        in_time(async {
            Ok(match self {
                Self::Sqlite(pool) => wrap(Row::Sqlite, query!(sql, args).fetch_all(pool).await?),
                Self::Postgres(pool) => wrap(Row::Postgres, query!(sql, args).fetch_all(pool).await?),
            })
        })
        .await
    }

    pub(super) async fn execute(&self, sql: impl Into<Sql>, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        let sql = sql.into();
        in_time(async { Ok(on!(Self: self, pool => query!(sql, args).execute(pool).await?.rows_affected())) })
            .await
    }

    /// A transaction that will write. On SQLite it is the only one from its start on.
    pub(super) async fn begin_write(&self) -> Result<Tx, StoreError> {
        in_time(async {
            Ok(match self {
                Self::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
                Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
            })
        })
        .await
    }

    /// A transaction that sees one state of all tables.
    pub(super) async fn begin_read(&self) -> Result<Tx, StoreError> {
        in_time(async {
            Ok(match self {
                Self::Sqlite(pool) => Tx::Sqlite(pool.begin().await?),
                Self::Postgres(pool) => {
                    Tx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?)
                }
            })
        })
        .await
    }

    pub(super) async fn close(&self) {
        on!(Self: self, pool => pool.close().await);
    }
}

fn wrap<R>(kind: impl Fn(R) -> Row, rows: Vec<R>) -> Vec<Row> {
    rows.into_iter().map(kind).collect()
}

/// A transaction. Dropped without `commit`, it never was.
#[derive(Debug)]
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Tx {
    pub(super) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        in_time(self.fetch_patiently(sql, args)).await
    }

    /// The same without a bound in time, for what may take as long as there are rows.
    pub(super) async fn fetch_patiently(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        Ok(match self {
            Self::Sqlite(tx) => wrap(Row::Sqlite, query!(sql, args).fetch_all(&mut **tx).await?),
            Self::Postgres(tx) => wrap(Row::Postgres, query!(sql, args).fetch_all(&mut **tx).await?),
        })
    }

    pub(super) async fn execute(&mut self, sql: impl Into<Sql>, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        in_time(self.execute_patiently(sql, args)).await
    }

    /// The same without a bound in time, for what may take as long as there are rows.
    pub(super) async fn execute_patiently(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
    ) -> Result<u64, StoreError> {
        let sql = sql.into();
        Ok(on!(Self: self, tx => query!(sql, args).execute(&mut **tx).await?.rows_affected()))
    }

    /// Shows rows one after the other, however many: they are never all in memory.
    pub(super) async fn each(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Arg<'_>],
        mut see: impl FnMut(Row) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sql = sql.into();
        match self {
            Self::Sqlite(tx) => {
                let mut rows = query!(sql, args).fetch(&mut **tx).ready_chunks(AT_ONCE);
                while let Some(found) = in_time(async { Ok(rows.next().await) }).await? {
                    found.into_iter().try_for_each(|row| see(Row::Sqlite(row?)))?;
                }
            }
            Self::Postgres(tx) => {
                let mut rows = query!(sql, args).fetch(&mut **tx).ready_chunks(AT_ONCE);
                while let Some(found) = in_time(async { Ok(rows.next().await) }).await? {
                    found.into_iter().try_for_each(|row| see(Row::Postgres(row?)))?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn commit(self) -> Result<(), StoreError> {
        on!(Self: self, tx => tx.commit().await?);
        Ok(())
    }
}
