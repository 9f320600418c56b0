//! A Redis of one test's own, which can be ended and started again.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;

/// The server; it ends with the test.
pub(super) struct Server {
    pub(super) port: u16,
    is_cluster: bool,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Server {
    /// A server, when this machine has one and tests on Redis are wanted.
    pub(super) async fn start(is_cluster: bool) -> Option<Self> {
        super::test_redis()?;
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        // The port of a cluster's own talk is 10,000 higher.
        let port = if port > 55_000 { port - 20_000 } else { port };
        let mut server = Self { port, is_cluster, folder: tempfile::tempdir().unwrap(), process: None };
        server.run().await;
        if is_cluster {
            let mut admin = server.admin().await;
            let slots = ::redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(0).arg(16_383).to_owned();
            let () = slots.query_async(&mut admin).await.unwrap();
            loop {
                let info: String = ::redis::cmd("CLUSTER").arg("INFO").query_async(&mut admin).await.unwrap();
                if info.contains("cluster_state:ok") {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        let scheme = if self.is_cluster { "redis+cluster" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A connection for what no user of the state may do.
    pub(super) async fn admin(&self) -> MultiplexedConnection {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// Starts it, on the port that it had, with nothing of what it knew.
    pub(super) async fn run(&mut self) {
        let command = |name: &str| {
            let mut command = Command::new(name);
            command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
            command.args(["--save", "", "--appendonly", "no"]);
            command.args(["--cluster-enabled", if self.is_cluster { "yes" } else { "no" }]);
            command.arg("--dir").arg(self.folder.path());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        };
        let process = command("redis-server").or_else(|_| command("valkey-server"));
        self.process = Some(process.expect("neither redis-server nor valkey-server can be started"));
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        for _ in 0..250 {
            if let Ok(mut connection) = client.get_multiplexed_async_connection().await
                && ::redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the Redis of this test did not start");
    }

    /// Ends it as a crash would.
    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Makes it fall silent, its connections open.
    pub(super) fn freeze(&self, frozen: bool) {
        let process = self.process.as_ref().expect("it runs");
        let pid = rustix::process::Pid::from_child(process);
        let signal = if frozen { rustix::process::Signal::STOP } else { rustix::process::Signal::CONT };
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
