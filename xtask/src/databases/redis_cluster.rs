//! A private Redis Cluster of three nodes without replicas: what is sent to the wrong one is sent on by the client, and
//! what touches keys of two slots is refused.

use std::time::Duration;

use super::redis::{Kept, Redis, ask_redis};
use super::secret;
use crate::failure::Failure;
use crate::surroundings;

const NODES: u16 = 3;
const SLOTS: u16 = 16_384;
const LIMIT: Duration = Duration::from_secs(60);

/// The nodes.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
    password: String,
}

impl RedisCluster {
    /// Starts an empty one.
    ///
    /// # Errors
    /// When the program is missing or the nodes do not find each other.
    pub fn start() -> Result<Self, Failure> {
        let password = secret()?;
        let nodes = (0..NODES).map(|_| Redis::start_with(Kept::Nothing, true, &password));
        let cluster = Self { nodes: nodes.collect::<Result<_, _>>()?, password };
        for (number, node) in (0..NODES).zip(&cluster.nodes) {
            let slots: Vec<_> = (0..SLOTS).filter(|slot| slot % NODES == number).collect();
            // A command on one line is limited to 64 KiB.
            let mut commands: Vec<_> = slots.chunks(1000).map(add).collect();
            // Only a node that knows no other takes an epoch, so none meets another before all have theirs.
            commands.insert(0, format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            order(node, &commands)?;
        }
        let met = |met: &Redis| format!("CLUSTER MEET 127.0.0.1 {}", met.port());
        let meet: Vec<_> = cluster.nodes.iter().map(met).collect();
        cluster.nodes.iter().try_for_each(|node| order(node, &meet))?;
        let started = surroundings::now();
        while !cluster.nodes.iter().all(is_joined) {
            if started.elapsed() > LIMIT {
                return Err(Failure::Failed("the nodes of a Redis cluster did not find each other".into()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(cluster)
    }

    /// Its URL, which names every node.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://:{}@{}", self.password, nodes.join(","))
    }

    /// Its nodes, to stop and start them.
    pub fn nodes_mut(&mut self) -> &mut [Redis] {
        &mut self.nodes
    }
}

fn order(node: &Redis, commands: &[String]) -> Result<(), Failure> {
    let doing = "could not join a Redis cluster";
    let words: Vec<_> = commands.iter().map(String::as_str).collect();
    let answer = ask_redis(&node.url(), &words).map_err(|error| Failure::because(doing, error))?;
    if answer == "+OK\r\n".repeat(commands.len()) { Ok(()) } else { Err(Failure::because(doing, answer)) }
}

fn add(slots: &[u16]) -> String {
    let slots: Vec<_> = slots.iter().map(ToString::to_string).collect();
    format!("CLUSTER ADDSLOTS {}", slots.join(" "))
}

/// Whether a node knows the others and who has which slot.
fn is_joined(node: &Redis) -> bool {
    ask_redis(&node.url(), &["CLUSTER INFO"]).is_ok_and(|info| {
        let nodes = format!("cluster_known_nodes:{NODES}\r\n");
        info.contains("cluster_state:ok") && info.contains(&nodes) && info.contains("cluster_size:3\r\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_nodes_know_who_has_a_key_and_refuse_two_slots_at_once() {
        if super::super::find_redis().is_none() {
            assert!(!surroundings::is_ci(), "nothing may be skipped under CI=true");
            return;
        }
        let cluster = RedisCluster::start().unwrap();
        let answers: Vec<_> =
            cluster.nodes.iter().map(|node| ask_redis(&node.url(), &["SET key value"]).unwrap()).collect();
        let moved = answers.iter().filter(|answer| answer.starts_with("-MOVED ")).count();
        let kept = answers.iter().filter(|answer| *answer == "+OK\r\n").count();
        assert_eq!((moved, kept), (2, 1), "{answers:?}");
        let crossed = ask_redis(&cluster.nodes[0].url(), &["MSET a 1 b 2"]).unwrap();
        assert!(crossed.starts_with("-CROSSSLOT "), "{crossed}");
    }
}
