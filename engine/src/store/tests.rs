//! Every test of the store runs on both databases.

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::*;

mod changes;
mod imports;
mod log_blocks;
mod state_entries;

/// A store of one test's own.
pub(super) struct Home {
    pub(super) store: Store,
    _folder: tempfile::TempDir,
}

impl Home {
    pub(super) async fn sqlite() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        Some(Self { store, _folder: folder })
    }

    /// None, and a word about it, when no PostgreSQL is there for tests.
    pub(super) async fn postgres() -> Option<Self> {
        let Some(url) = postgres_url() else {
            skip("PORTCULLIS_TEST_POSTGRES is not set");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let schema = format!("u_{}_{}", std::process::id(), folder.path().to_string_lossy().len())
            + &hex::encode(folder.path().to_string_lossy().as_bytes())
                .chars()
                .rev()
                .take(24)
                .collect::<String>();
        let mut connection = PgConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
        connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.unwrap();
        let with = if url.contains('?') { '&' } else { '?' };
        let url = format!("{url}{with}options=-c%20search_path%3D{schema}");
        let store = Store::connect(&SecretString::from(url)).await.unwrap();
        Some(Self { store, _folder: folder })
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

#[expect(clippy::disallowed_methods, reason = "where the tests' PostgreSQL is comes from whoever started it")]
fn postgres_url() -> Option<String> {
    std::env::var("PORTCULLIS_TEST_POSTGRES").ok()
}

/// The same tests for both databases, in the modules `on_sqlite` and `on_postgres`.
macro_rules! on_both {
    ($($(#[$attribute:meta])* async fn $name:ident($store:ident: &Store) $body:block)*) => {
        $(async fn $name($store: &Store) $body)*
        mod on_sqlite {
            $(#[tokio::test] $(#[$attribute])* async fn $name() {
                let home = super::Home::sqlite().await.unwrap();
                super::$name(&home.store).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test] $(#[$attribute])* async fn $name() {
                let Some(home) = super::Home::postgres().await else { return };
                super::$name(&home.store).await;
                home.store.close().await;
            })*
        }
    };
}
pub(super) use on_both;
