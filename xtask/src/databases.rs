//! A private PostgreSQL and a private Redis: on free ports of the loopback, in folders of their own, behind passwords.
//!
//! Promises: nothing of the system's own databases is touched, and they are gone with their data when the value is
//! dropped or this process ends, however it ends. Must never: run as root, or keep anything that matters, since they
//! trade safety at a power cut for speed.

mod account;
mod postgres;
mod redis;
mod redis_cluster;
mod service;

use std::path::PathBuf;

pub use postgres::Postgres;
pub use redis::{Kept, Redis, ask_redis};
pub use redis_cluster::RedisCluster;

use crate::failure::Failure;
use crate::surroundings;

/// The variable that names the run's PostgreSQL to the tests: the URL of a superuser's database.
pub const POSTGRES_VARIABLE: &str = "PORTCULLIS_TEST_POSTGRES";

/// The variable that names the run's Redis to the tests: its URL.
pub const REDIS_VARIABLE: &str = "PORTCULLIS_TEST_REDIS";

/// The variable that names the run's Redis Cluster to the tests: its URL, `redis+cluster://`.
pub const REDIS_CLUSTER_VARIABLE: &str = "PORTCULLIS_TEST_REDIS_CLUSTER";

/// The folder of PostgreSQL's server programs: the path's, else the newest of the system's packages, else what
/// `pg_config` says. They must be of one version, so both have to be there.
pub fn find_postgres() -> Option<PathBuf> {
    let has_both = |folder: &PathBuf| ["postgres", "initdb"].iter().all(|name| folder.join(name).is_file());
    let on_path = surroundings::find_program("postgres").and_then(|file| Some(file.parent()?.to_path_buf()));
    on_path.filter(has_both).or_else(|| packaged().into_iter().find(has_both)).or_else(|| {
        let output = std::process::Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())).filter(has_both)
    })
}

/// Where Debian's packages put the programs, the newest version first.
fn packaged() -> Vec<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    let mut found: Vec<_> = numbered.collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

/// The server program of Redis, or of Valkey, which speaks the same.
pub fn find_redis() -> Option<PathBuf> {
    ["redis-server", "valkey-server"].into_iter().find_map(surroundings::find_program)
}

/// A word that nobody can guess: 32 hexadecimal digits from the system's randomness.
///
/// # Errors
/// When the system gives none.
pub fn secret() -> Result<String, Failure> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map_err(|error| Failure::because("could not read randomness", error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A port of the loopback that was free a moment ago. Another may take it first: who uses it tries again with another.
fn free_port() -> Result<u16, Failure> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(|error| Failure::because("no free port", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_differ_and_are_plain_words() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_ne!(one, other);
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
