//! Where Redis is: a URL, which may name several nodes of a cluster. It is a secret, and no message repeats it.

use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster::ClusterClientBuilder;
use ::redis::cluster_async::ClusterConnection;
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisFuture,
    RedisResult, Value,
};
use secrecy::{ExposeSecret, SecretString};

use super::StateError;

/// One server, or the nodes that a cluster is first looked for at.
pub(super) enum Address {
    Single(Box<Client>),
    Cluster(Vec<ConnectionInfo>),
}

/// A connection to it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// How long a connection may take to be made.
pub(super) const CONNECT: Duration = Duration::from_millis(900);

/// Reads `redis://`, `rediss://`, `redis+cluster://host1:port,host2:port` and `rediss+cluster://…`.
pub(super) fn parse(url: &SecretString) -> Result<Address, StateError> {
    let url = url.expose_secret();
    let wrong = |why: &str| Err(StateError::Url(why.to_owned()));
    let Some((scheme, rest)) = url.split_once("://") else {
        return wrong("it is no URL");
    };
    if rest.contains('#') {
        return wrong("it has a fragment (certificates are always verified)");
    }
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "redis" | "rediss" => {
            let client = Client::open(url).map_err(|error| refused(&error))?;
            Ok(Address::Single(Box::new(client)))
        }
        "redis+cluster" | "rediss+cluster" => {
            let tls = if scheme.starts_with("rediss") { "rediss" } else { "redis" };
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            if !matches!(path, "" | "0") {
                return wrong("a cluster has no database but 0");
            }
            let (user, hosts) = match authority.rsplit_once('@') {
                Some((user, hosts)) => (format!("{user}@"), hosts),
                None => (String::new(), authority),
            };
            let node = |host: &str| format!("{tls}://{user}{host}").into_connection_info();
            let nodes: RedisResult<Vec<_>> = hosts.split(',').map(node).collect();
            Ok(Address::Cluster(nodes.map_err(|error| refused(&error))?))
        }
        _ => wrong("the scheme must be `redis`, `rediss`, `redis+cluster` or `rediss+cluster`"),
    }
}

/// Only the kind of the error: a detail could repeat what it read.
fn refused(error: &::redis::RedisError) -> StateError {
    StateError::Url(error.category().to_owned())
}

/// The prefix must not have what could end a hash tag, or make two prefixes meet.
pub(super) fn check_prefix(prefix: &str) -> Result<(), StateError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    if (1..=64).contains(&prefix.len()) && prefix.bytes().all(fits) {
        return Ok(());
    }
    Err(StateError::Url(
        "`state.key_prefix` must have 1 to 64 letters, digits or any of `_`, `-`, `.`, `:`".into(),
    ))
}

impl Address {
    /// Makes a connection on which every answer comes within `response`, or is an error.
    pub(super) async fn connect(&self, response: Duration) -> RedisResult<Connection> {
        match self {
            Self::Single(client) => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT))
                    .set_response_timeout(Some(response));
                client.get_multiplexed_async_connection_with_config(&config).await.map(Connection::Single)
            }
            Self::Cluster(nodes) => {
                let builder = ClusterClientBuilder::new(nodes.iter().cloned())
                    .connection_timeout(CONNECT)
                    .response_timeout(response)
                    .overall_response_timeout(Some(response.max(CONNECT)))
                    .retries(3)
                    .min_retry_wait(50)
                    .max_retry_wait(200);
                builder.build()?.get_async_connection().await.map(Connection::Cluster)
            }
        }
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Single(_) => f.write_str("Address::Single"),
            Self::Cluster(nodes) => write!(f, "Address::Cluster({} nodes)", nodes.len()),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl ::redis::aio::ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_server_and_of_a_cluster_are_read() {
        let read = |url: &str| parse(&SecretString::from(url.to_owned()));
        for url in ["redis://127.0.0.1:1", "rediss://u:p@h:1/2", "redis://:p@[::1]"] {
            assert!(matches!(read(url), Ok(Address::Single(_))), "{url}");
        }
        let Ok(Address::Cluster(nodes)) = read("rediss+cluster://u:p%40w@a:7001,b,[::1]:7003") else {
            panic!("not read as a cluster");
        };
        assert_eq!(nodes.len(), 3);
        for node in nodes {
            assert_eq!(node.redis_settings().password(), Some("p@w"));
            assert!(matches!(node.addr(), ::redis::ConnectionAddr::TcpTls { insecure: false, .. }));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_never_repeated() {
        for url in [
            "hunter2",
            "http://:hunter2@h",
            "redis://:hunter2@h/x",
            "rediss://:hunter2@h#insecure",
            "redis+cluster://:hunter2@a,/1",
            "redis+cluster://:hunter2@a:port",
            "redis+cluster://",
            "redis://:hunter2@0.0.0.0",
        ] {
            let error = parse(&SecretString::from(url.to_owned())).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_prefix_can_not_end_a_hash_tag() {
        assert!(check_prefix("portcullis").is_ok() && check_prefix("a:b-c_d.1").is_ok());
        for prefix in ["", "a{b", "a}b", "a b", "ä", &"x".repeat(65)] {
            assert!(check_prefix(prefix).is_err(), "{prefix}");
        }
    }
}
