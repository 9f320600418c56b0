//! Which home a test is of, by its name: `on_sqlite`, `on_postgres`, `on_embedded` and `on_redis`, as a module or in
//! the name of a test, say so themselves; a test of the running server is of the pair that its run is on.

/// The variable that puts the test servers on other homes than the embedded ones.
pub(super) const VARIABLE: &str = "PORTCULLIS_TEST_HOME";

/// Its value for PostgreSQL and Redis.
pub(super) const POSTGRES_AND_REDIS: &str = "postgres-redis";

/// Tests that the second run leaves out: those of one home alone or of a pair that they bring along, and those that
/// start no server or meet no database on their way. Everything else is run again, a new module too.
pub(super) const NOT_AGAIN: &[&str] = &[
    "on_sqlite",
    "on_embedded",
    "on_postgres",
    "on_redis",
    "cluster::",
    "harness::",
    "tidy::",
    "readme::",
    "how_to::",
    "tls::",
    "cli::decide::",
    "cli::policy::",
    "conformance::cedar::",
];

/// Where durable data and shared state can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// Durable data in a file.
    Sqlite,
    /// Durable data in PostgreSQL.
    Postgres,
    /// State in the server's process.
    Embedded,
    /// State in Redis.
    Redis,
}

const NAMED: &[(&str, Home)] = &[
    ("on_sqlite", Home::Sqlite),
    ("on_postgres", Home::Postgres),
    ("on_embedded", Home::Embedded),
    ("on_redis", Home::Redis),
];

/// The homes of a test of the first run, in which a test server is on the embedded ones unless it says otherwise.
pub(super) fn of_first_run(program: &str, test: &str) -> Vec<Home> {
    let named: Vec<_> = NAMED.iter().filter(|(name, _)| test.contains(name)).map(|(_, home)| *home).collect();
    if !named.is_empty() || !is_server_test(program) {
        return named;
    }
    if test.starts_with("cluster::") {
        return vec![Home::Postgres, Home::Redis];
    }
    if NOT_AGAIN.iter().any(|name| test.contains(name)) {
        return Vec::new();
    }
    vec![Home::Sqlite, Home::Embedded]
}

/// The homes of a test of the second run.
pub(super) fn of_second_run(_program: &str, _test: &str) -> Vec<Home> {
    vec![Home::Postgres, Home::Redis]
}

fn is_server_test(program: &str) -> bool {
    program == "portcullis_tests"
}
