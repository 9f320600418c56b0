//! Several servers on one PostgreSQL and one Redis, each over cables of its own.
//!
//! Promises: they share schema, key prefix and root key, and nothing else; one can be cut off from either database
//! while the others are not.

use tempfile::TempDir;

use crate::home::Home;
use crate::link::Link;
use crate::server::{Builder, Server};
use crate::switch;

/// One of the servers.
#[derive(Debug)]
pub struct Node {
    /// The server, with data and policies folders of its own.
    pub server: Server,
    /// Its way to PostgreSQL.
    pub postgres: Link,
    /// Its way to Redis.
    pub redis: Link,
}

/// The servers.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    home: Home,
    _folder: TempDir,
}

impl Cluster {
    /// This many servers on the run's databases, whatever its home is; nothing when it has none.
    ///
    /// # Panics
    /// When one does not come up, or when the databases are missing and a skip is not allowed (`CI=true`).
    pub fn start(count: usize, builder: &Builder) -> Option<Self> {
        let (postgres, redis) = switch::databases()?;
        Some(Self::start_on(count, builder, &postgres, &redis))
    }

    /// The same on databases that the test owns.
    ///
    /// # Panics
    /// When one does not come up.
    pub fn start_on(count: usize, builder: &Builder, postgres: &str, redis: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the root key");
        let home = Home::on(postgres, redis).root_key(&folder.path().join("root.key"));
        // One after the other: the first makes the root key and the tables.
        let nodes = (0..count).map(|_| {
            let (postgres, redis) = (Link::to(postgres), Link::to(redis));
            let server = builder.clone().home(home.through(&postgres, &redis)).start();
            Node { server, postgres, redis }
        });
        Self { nodes: nodes.collect(), home, _folder: folder }
    }

    /// The servers.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The servers, to stop and restart them.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// Where they keep their data, reached directly.
    pub fn home(&self) -> &Home {
        &self.home
    }
}
