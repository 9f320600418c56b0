//! Every test of the store runs on both databases.

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};

use super::*;

mod bundles;
mod changes;
mod imports;
mod log_blocks;
mod revisions;
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
        let store = Store::connect(&postgres_schema().await?).await.unwrap();
        Some(Self { store, _folder: tempfile::tempdir().unwrap() })
    }
}

/// The URL of a schema of one test's own. None, and a word about it, when no PostgreSQL is there for tests.
pub(crate) async fn postgres_schema() -> Option<SecretString> {
    let Some(url) = postgres_url() else {
        skip("PORTCULLIS_TEST_POSTGRES is not set");
        return None;
    };
    let mut random = [0; 8];
    crate::random::Rng::fill(&crate::random::SystemRng::default(), &mut random).unwrap();
    let schema = format!("unit_{}", hex::encode(random));
    let mut connection = PgConnectOptions::from_str(&url).unwrap().connect().await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.unwrap();
    let with = if url.contains('?') { '&' } else { '?' };
    Some(SecretString::from(format!("{url}{with}options=-c%20search_path%3D{schema}")))
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
