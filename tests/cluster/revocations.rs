//! Roles taken away and principals disabled, on two nodes under load: neither honours one a second later.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use portcullis_tests::{Client, Cluster, Kept, Link, Node, Pack, Postgres, Redis, Server, XorShift, soak};
use serde_json::{Value, json};

/// What is answered with success holds for every decision that begins this much later.
const BOUND: Duration = Duration::from_secs(1);
/// How many of those that were revoked last are asked about.
const WINDOW: usize = 256;
const READERS: usize = 3;

pub(super) fn roles_pack() -> Pack {
    Pack::new("team")
        .file("pack.toml", "name = \"team\"\nversion = \"1.0.0\"\n[types]\nuser = \"User\"\nrole = \"Role\"\ngroup = \"Group\"\n")
        .file("schema.cedarschema", SCHEMA)
        .file("team.cedar", "@id(\"readers\")\npermit (principal in Role::\"reader\", action, resource);\n")
}

const SCHEMA: &str = "entity Role in [Role];\nentity Group in [Group, Role];\nentity User in [Group, Role];\n\
    entity Doc;\naction read appliesTo { principal: [User], resource: [Doc] };\n";

/// When whose right was taken away; a user is one number.
#[derive(Default)]
struct Revoked(Mutex<(HashMap<usize, Instant>, Vec<usize>)>);

impl Revoked {
    fn note(&self, user: usize) {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        guard.0.insert(user, Instant::now());
        guard.1.push(user);
    }

    /// One of the last that were revoked, and when.
    fn pick(&self, random: &mut XorShift) -> Option<(usize, Instant)> {
        let guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = guard.1.len().saturating_sub(WINDOW);
        let last = guard.1.get(from..).filter(|last| !last.is_empty())?;
        let user = last[random.below(last.len())];
        Some((user, guard.0[&user]))
    }
}

pub(super) fn asked(user: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": user},
        "action": {"name": "read"},
        "resource": {"type": "Doc", "id": "d"},
    })
}

/// Repeats a call that is not known to be done everywhere until it is; anything else than these answers is a failure.
fn until_done(node: &Node, what: &dyn Fn(&Client) -> portcullis_tests::Answer) -> Value {
    let client = node.server.client();
    for _ in 0..400 {
        let answer = what(client);
        match answer.status {
            200 | 201 => return answer.json(),
            503 => std::thread::sleep(Duration::from_millis(50)),
            409 if answer.problem() == "already_exists" => return Value::Null,
            other => panic!("{other}: {}", answer.text()),
        }
    }
    panic!("not done in 20 s; stderr:\n{}", node.server.stderr());
}

/// Gives `user` the role, sees it work, and takes it away again: the role, or all by disabling.
fn give_and_take(giver: &Node, taker: &Node, number: usize) {
    let user = format!("u{number}");
    let principal = json!({"type": "user", "id": user});
    until_done(giver, &|client| client.post("/v1/principals", &principal));
    let assignment = json!({"principal": principal, "role": "reader", "scope": {"kind": "tenant"}});
    let key = format!("assign-{number}");
    let made = until_done(giver, &|client| {
        let request = client.request("POST", "/v1/role-assignments");
        let request = request.header("content-type", "application/json").header("idempotency-key", &key);
        request.body(assignment.to_string().into_bytes()).send()
    });
    let id = made["id"].as_str().expect("an id").to_owned();
    if number.is_multiple_of(2) {
        until_done(taker, &|client| client.request("DELETE", &format!("/v1/role-assignments/{id}")).send());
    } else {
        until_done(taker, &|client| client.post(&format!("/v1/principals/{user}/disable"), &json!({})));
    }
}

struct Load<'a> {
    revoked: &'a Revoked,
    stop: &'a AtomicBool,
    late: &'a AtomicUsize,
    asked: &'a AtomicUsize,
    refused: &'a AtomicUsize,
}

fn ask(load: &Load<'_>, node: &Node, seed: u64) {
    let client = Client::keeping_alive(node.server.base(), node.server.key());
    let mut random = XorShift::new(seed);
    while !load.stop.load(Ordering::Relaxed) {
        let Some((user, at)) = load.revoked.pick(&mut random) else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let began = Instant::now();
        let answer = client.post("/v1/decide", &asked(&format!("u{user}")));
        load.asked.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            200 if answer.json()["decision"] == json!(true) => {
                if began > at + BOUND {
                    load.late.fetch_add(1, Ordering::Relaxed);
                }
            }
            200 => {}
            // A node that can't know says so.
            503 => drop(load.refused.fetch_add(1, Ordering::Relaxed)),
            other => panic!("{other}: {}", answer.text()),
        }
    }
}

/// Revokes `count` on the nodes in turns, while both are asked; `middle` runs in the middle of it.
fn revoke_under_load(nodes: [&Node; 2], count: usize, middle: impl Fn() + Sync) {
    let (revoked, stop) = (Revoked::default(), AtomicBool::new(false));
    let [late, answers, refused] = [const { AtomicUsize::new(0) }; 3];
    let load = Load { revoked: &revoked, stop: &stop, late: &late, asked: &answers, refused: &refused };
    std::thread::scope(|scope| {
        for reader in 0..READERS * 2 {
            let (load, node) = (&load, nodes[reader % 2]);
            scope.spawn(move || ask(load, node, 1 + reader as u64));
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|inner| {
                for number in 0..count {
                    if number == count / 2 {
                        inner.spawn(&middle);
                    }
                    give_and_take(nodes[number % 2], nodes[(number / 2) % 2], number);
                    revoked.note(number);
                }
            });
            // The last ones are asked about after the bound as well.
            std::thread::sleep(BOUND + Duration::from_millis(500));
        }));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    });
    let [late, answers, refused] = [late, answers, refused].map(AtomicUsize::into_inner);
    assert_eq!(late, 0, "of {answers} answers, {late} honoured what was taken away a second before");
    assert!(answers > count, "only {answers} decisions were asked for ({refused} refused)");
}

fn prepare(node: &Node) {
    let role = json!({"id": "reader"});
    until_done(node, &|client| client.post("/v1/roles", &role));
}

fn pair(cluster: &Cluster) -> [&Node; 2] {
    let [one, other] = cluster.nodes() else { panic!("two nodes") };
    [one, other]
}

#[test]
fn what_is_taken_away_is_honoured_nowhere_a_second_later() {
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(roles_pack())) else { return };
    let nodes = pair(&cluster);
    prepare(nodes[0]);
    revoke_under_load(nodes, soak(40, 10_000), || {});
}

#[test]
fn nor_with_redis_gone_for_five_seconds() {
    let Some((postgres, _)) = portcullis_tests::databases() else { return };
    let redis = Mutex::new(Redis::start(Kept::Nothing).expect("a Redis of this test's own"));
    let url = redis.lock().unwrap().url();
    let cluster = Cluster::start_on(2, &Server::builder().pack(roles_pack()), &postgres, &url);
    let nodes = pair(&cluster);
    prepare(nodes[0]);
    revoke_under_load(nodes, soak(24, 10_000), || {
        let mut redis = redis.lock().unwrap();
        redis.stop();
        std::thread::sleep(Duration::from_secs(5));
        redis.start_again().expect("Redis comes back");
    });
}

#[test]
fn nor_with_one_node_cut_off_from_redis() {
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(roles_pack())) else { return };
    let nodes = pair(&cluster);
    prepare(nodes[0]);
    let links: [&Link; 2] = [&nodes[0].redis, &nodes[1].redis];
    revoke_under_load(nodes, soak(24, 10_000), || {
        links[1].cut();
        std::thread::sleep(Duration::from_secs(3));
        links[1].mend();
    });
}

#[test]
fn nor_with_one_node_whose_way_to_redis_swallows_all() {
    let Some(cluster) = Cluster::start(2, &Server::builder().pack(roles_pack())) else { return };
    let nodes = pair(&cluster);
    prepare(nodes[0]);
    revoke_under_load(nodes, soak(24, 2_000), || {
        nodes[0].redis.stall();
        std::thread::sleep(Duration::from_secs(3));
        nodes[0].redis.mend();
    });
}

#[test]
fn nor_with_postgresql_stopped_and_started() {
    let Some((_, redis)) = portcullis_tests::databases() else { return };
    let postgres = Mutex::new(Postgres::start().expect("a PostgreSQL of this test's own"));
    let url = postgres.lock().unwrap().url();
    let cluster = Cluster::start_on(2, &Server::builder().pack(roles_pack()), &url, &redis);
    let nodes = pair(&cluster);
    prepare(nodes[0]);
    revoke_under_load(nodes, soak(24, 2_000), || {
        let mut postgres = postgres.lock().unwrap();
        postgres.stop();
        std::thread::sleep(Duration::from_secs(3));
        postgres.start_again().expect("PostgreSQL comes back");
    });
}
