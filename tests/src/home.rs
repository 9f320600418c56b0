//! Where a server under test keeps its data and its state.
//!
//! `PORTCULLIS_TEST_HOME=postgres-redis` gives each data folder a schema of its own in the run's PostgreSQL and a key
//! prefix of its own in the run's Redis; without it they are in the folder and in the process. The home belongs to the
//! data folder: whoever names that folder, a server, its next start or a command beside it, meets the same data.
//! Promises: a variable of the person who runs the tests never leads a test to that person's own databases.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::database::{execute_on_postgres, rows_of_postgres};
use crate::link::Link;
use crate::switch;

const DATABASE_URL: &str = "DATABASE_URL";
const REDIS_URL: &str = "REDIS_URL";
const KEY_PREFIX: &str = "PORTCULLIS_STATE__KEY_PREFIX";
const ROOT_KEY: &str = "PORTCULLIS_DATA__ROOT_KEY";

/// Variables that would say the same as ours.
const ALSO: [&str; 2] = ["PORTCULLIS_DATA__DATABASE_URL", "PORTCULLIS_STATE__REDIS_URL"];

/// Subcommands that meet no database.
const WITHOUT_DATA: [&str; 4] = ["policy", "help", "--help", "--version"];

/// A schema in a PostgreSQL and a key prefix in a Redis, which nobody else uses.
#[derive(Clone, Debug)]
pub struct Home {
    schema: Arc<Schema>,
    postgres: String,
    redis: String,
    root_key: Option<PathBuf>,
}

impl Home {
    /// A new one in these two databases.
    ///
    /// # Panics
    /// When the schema can't be made.
    pub fn on(postgres: &str, redis: &str) -> Self {
        let name = format!("portcullis_test_{}", xtask::databases::secret().expect("randomness"));
        execute_on_postgres(postgres, &format!("CREATE SCHEMA {name}"))
            .unwrap_or_else(|error| panic!("{error}"));
        let schema = Schema { url: postgres.to_owned(), name };
        Self {
            schema: Arc::new(schema),
            postgres: postgres.to_owned(),
            redis: redis.to_owned(),
            root_key: None,
        }
    }

    /// The same, reached through links that can be cut.
    #[must_use]
    pub fn through(&self, postgres: &Link, redis: &Link) -> Self {
        let at = |url: &str, link: &Link| url.replacen(address_of(url), &link.address().to_string(), 1);
        Self { postgres: at(&self.postgres, postgres), redis: at(&self.redis, redis), ..self.clone() }
    }

    /// The same with the root key in this file, which several servers share.
    #[must_use]
    pub fn root_key(&self, file: &Path) -> Self {
        Self { root_key: Some(file.to_owned()), ..self.clone() }
    }

    /// The URL of its PostgreSQL, which leads into the schema.
    pub fn database_url(&self) -> String {
        format!("{}?options=-c%20search_path%3D{}", self.postgres, self.schema.name)
    }

    /// The password of its PostgreSQL, which must be nowhere.
    ///
    /// # Panics
    /// When the URL has none, since then nothing can be looked for.
    pub fn password(&self) -> &str {
        let user = self.postgres.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
        user.and_then(|(user, _)| Some(user.split_once(':')?.1)).expect("the URL has a password")
    }

    /// The URL of its Redis.
    pub fn redis_url(&self) -> &str {
        &self.redis
    }

    /// What its keys in Redis begin with.
    pub fn key_prefix(&self) -> &str {
        &self.schema.name
    }

    /// Executes statements in its schema.
    ///
    /// # Errors
    /// What the database says, or that it can't be reached.
    pub fn execute_sql(&self, statements: &str) -> Result<(), sqlx::Error> {
        execute_on_postgres(&self.database_url(), statements)
    }

    /// Everything that stands in its tables and under its keys, to look for what must not be there.
    ///
    /// # Panics
    /// When a database does not say.
    pub fn everything(&self) -> String {
        const ALL_KEYS: &str = "local found = {} for _, key in ipairs(redis.call('KEYS', ARGV[1])) do \
            found[#found + 1] = key found[#found + 1] = redis.call('DUMP', key) end return found";
        let rows = rows_of_postgres(&self.database_url(), &self.schema.name);
        let rows = rows.unwrap_or_else(|error| panic!("{error}"));
        // Uncompressed, so that what is in it can be found.
        let commands =
            ["CONFIG SET rdbcompression no", &format!("EVAL \"{ALL_KEYS}\" 0 \"{}*\"", self.schema.name)];
        let keys =
            xtask::databases::ask_redis(&self.redis, &commands).unwrap_or_else(|error| panic!("{error}"));
        format!("{rows}{keys}")
    }

    /// What tells the program to use it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            (DATABASE_URL, self.database_url()),
            (REDIS_URL, self.redis.clone()),
            (KEY_PREFIX, self.schema.name.clone()),
        ];
        if let Some(file) = &self.root_key {
            variables.push((ROOT_KEY, file.display().to_string()));
        }
        variables
    }
}

/// Dropped with the last home that uses it.
#[derive(Debug)]
struct Schema {
    url: String,
    name: String,
}

impl Drop for Schema {
    fn drop(&mut self) {
        let statement = format!("SET lock_timeout = '10s'; DROP SCHEMA {} CASCADE", self.name);
        // The database may be gone before it; what is left then goes with the database.
        execute_on_postgres(&self.url, &statement).ok();
    }
}

/// The part of a URL between user and path: `host:port`.
pub(crate) fn address_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, address)| address)
}

static HOMES: Mutex<BTreeMap<PathBuf, Home>> = Mutex::new(BTreeMap::new());

fn homes() -> MutexGuard<'static, BTreeMap<PathBuf, Home>> {
    HOMES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The home of a data folder, made when it has none and the run is on databases.
pub fn home_of(data: &Path) -> Option<Home> {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let mut homes = homes();
    if let Some(home) = homes.get(&data) {
        return Some(home.clone());
    }
    let (postgres, redis) = switch::is_on_databases().then(switch::databases).flatten()?;
    Some(homes.entry(data).or_insert_with(|| Home::on(&postgres, &redis)).clone())
}

/// Gives a data folder this home.
pub(crate) fn settle_in(data: &Path, home: &Home) {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    homes().insert(data, home.clone());
}

/// Takes a data folder's home away, and the data in it when nobody else has that home.
pub(crate) fn leave(data: &Path) {
    let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let left = homes().remove(&data);
    // Outside of the lock: dropping a schema takes its time.
    drop(left);
}

/// Leads a command of the program under test to the home of its data folder, unless the test has said where.
pub(crate) fn lead(command: &mut Command) {
    if Path::new(command.get_program()) != crate::binary() {
        return;
    }
    let is_set = |command: &Command, name: &str| command.get_envs().any(|(set, _)| set == OsStr::new(name));
    let says_where = [DATABASE_URL, REDIS_URL, ALSO[0], ALSO[1]].iter().any(|name| is_set(command, name));
    for name in [DATABASE_URL, REDIS_URL, KEY_PREFIX, ROOT_KEY].into_iter().chain(ALSO) {
        if !is_set(command, name) {
            command.env_remove(name);
        }
    }
    let first = command.get_args().next().unwrap_or_default();
    let names_data = command.get_args().any(|argument| argument.to_string_lossy().starts_with("--data"));
    if says_where || (!names_data && WITHOUT_DATA.iter().any(|name| first == OsStr::new(name))) {
        return;
    }
    if let Some(home) = home_of(&data_folder(command)) {
        command.envs(home.environment());
    }
}

/// The data folder that a command line names, or the program's default.
fn data_folder(command: &Command) -> PathBuf {
    let mut arguments = command.get_args();
    let mut named = None;
    while let Some(argument) = arguments.next() {
        if argument == OsStr::new("--data") {
            named = arguments.next().map(PathBuf::from);
        } else if let Some(value) = argument.to_str().and_then(|text| text.strip_prefix("--data=")) {
            named = Some(PathBuf::from(value));
        }
    }
    let folder = command.get_current_dir().unwrap_or(Path::new(""));
    folder.join(named.unwrap_or_else(|| "data".into()))
}
