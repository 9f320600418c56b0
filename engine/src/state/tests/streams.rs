//! The stream of changes: order, gaps, outages.

use tokio::sync::mpsc::{Receiver, channel};

use super::server::Server;
use super::*;
use crate::state::stream::{Announcement, Event};

/// Follows as `node`, at the sequence 7.
fn follow(state: &State, node: &'static str) -> Receiver<Event> {
    let (sender, receiver) = channel(1_024);
    let state = state.clone();
    tokio::spawn(async move { state.follow(node, || 7, &sender).await });
    receiver
}

async fn next(events: &mut Receiver<Event>) -> Event {
    until(events, |_| true).await[0]
}

/// All events up to the wanted one.
async fn until(events: &mut Receiver<Event>, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut seen = Vec::new();
    let waiting = async {
        while !seen.last().is_some_and(&wanted) {
            seen.push(events.recv().await.expect("the stream is followed"));
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the event in time");
    seen
}

fn is_echo(event: &Event) -> bool {
    matches!(event, Event::Echo { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_begins_with_a_gap_and_hears_all_nodes_and_itself_on_redis() {
    let Some(home) = Home::redis().await else { return };
    let mut one = follow(&home.state, "one");
    assert_eq!(next(&mut one).await, Event::Gap);
    until(&mut one, is_echo).await;
    let mut two = follow(&home.state, "two");
    until(&mut two, is_echo).await;
    home.state.publish(Announcement { node: "two", sequence: 99 }).await.unwrap();
    for events in [&mut one, &mut two] {
        let seen = until(events, |event| *event == Event::Announced { sequence: 99 }).await;
        assert!(seen.iter().all(|event| !matches!(event, Event::Gap)), "{seen:?}");
    }
    assert!(home.state.is_shared());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_comes_after_all_that_was_announced_before_its_heartbeat_on_redis() {
    let Some(home) = Home::redis().await else { return };
    let mut events = follow(&home.state, "one");
    until(&mut events, is_echo).await;
    let mut announced = 0;
    for sequence in 1_000..1_200_u64 {
        home.state.publish(Announcement { node: "two", sequence }).await.unwrap();
    }
    // The first heartbeat after the last of them: the second echo from here is certainly one.
    for _ in 0..2 {
        for event in until(&mut events, is_echo).await {
            if let Event::Announced { sequence } = event {
                announced = announced.max(sequence);
            }
        }
    }
    assert_eq!(announced, 1_199);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_is_a_gap_and_then_it_goes_on_on_redis() {
    let Some(mut server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    let mut events = follow(&state, "one");
    until(&mut events, is_echo).await;
    server.kill();
    let lost = state.publish(Announcement { node: "one", sequence: 8 }).await;
    assert!(matches!(lost, Err(StateError::Unavailable(_))), "{lost:?}");
    server.run().await;
    let clock = SystemClock::new();
    until(&mut events, |event| *event == Event::Gap).await;
    until(&mut events, is_echo).await;
    assert!(clock.monotonic() < Duration::from_secs(2), "{:?}", clock.monotonic());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_emptied_trimmed_or_went_back_is_a_gap_on_redis() {
    let Some(server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    let mut events = follow(&state, "one");
    let mut admin = server.admin().await;
    let is_gap = |event: &Event| *event == Event::Gap;
    for damage in [
        "redis.call('FLUSHALL')",
        "redis.call('INCR', 'p:{changes}:serial')",
        "redis.call('DEL', 'p:{changes}:serial')",
        "redis.call('XADD', 'p:{changes}', '*', 'x', 'y')",
    ] {
        until(&mut events, is_echo).await;
        let () = ::redis::cmd("EVAL").arg(damage).arg(0).query_async(&mut admin).await.unwrap();
        until(&mut events, is_gap).await;
    }
    // An id from the future: everything that follows sorts before what was read.
    let ahead = "redis.call('XADD', 'p:{changes}', '99999999999999-1', 'x', 'y')";
    let () = ::redis::cmd("EVAL").arg(ahead).arg(0).query_async(&mut admin).await.unwrap();
    until(&mut events, is_gap).await;
    let () = ::redis::cmd("DEL").arg("p:{changes}").query_async(&mut admin).await.unwrap();
    until(&mut events, is_gap).await;
    until(&mut events, is_echo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_gives_no_echo_and_is_followed_again_on_redis() {
    let Some(server) = Server::start(false).await else { return };
    let state = redis_state(&server.url(), "p").await;
    let mut events = follow(&state, "one");
    until(&mut events, is_echo).await;
    server.freeze(true);
    while tokio::time::timeout(Duration::from_millis(1_200), events.recv()).await.is_ok() {}
    server.freeze(false);
    until(&mut events, |event| *event == Event::Gap).await;
    until(&mut events, is_echo).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_has_a_stream_too_on_redis() {
    let Some(server) = Server::start(true).await else { return };
    let state = redis_state(&server.url(), "p").await;
    let mut events = follow(&state, "one");
    assert_eq!(next(&mut events).await, Event::Gap);
    until(&mut events, is_echo).await;
    // Reading does not stand in the way of what others ask.
    let clock = SystemClock::new();
    for _ in 0..20 {
        state.publish(Announcement { node: "two", sequence: 9 }).await.unwrap();
    }
    assert!(clock.monotonic() < Duration::from_secs(1), "{:?}", clock.monotonic());
    until(&mut events, |event| *event == Event::Announced { sequence: 9 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn following_ends_when_nobody_listens_on_redis() {
    let Some(home) = Home::redis().await else { return };
    let (sender, mut events) = channel(1_024);
    let state = home.state.clone();
    let following = tokio::spawn(async move { state.follow("one", || 7, &sender).await });
    until(&mut events, is_echo).await;
    drop(events);
    tokio::time::timeout(Duration::from_secs(5), following).await.expect("it ends").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_time_is_the_servers_on_redis() {
    let Some(home) = Home::redis().await else { return };
    assert_eq!(home.state.shared_now(), None);
    let mut events = follow(&home.state, "one");
    until(&mut events, is_echo).await;
    // The second heartbeat is sent once the first one's answer is known.
    until(&mut events, is_echo).await;
    // The server's clock is this machine's.
    let offset = home.state.shared_time_offset().unwrap();
    assert!(offset.abs() < 1_000_000, "{offset}");
    let Claim::Won { until } = home.state.claim_once("k", "one", HOUR).await.unwrap() else {
        panic!("not won");
    };
    let now = home.state.shared_now().unwrap();
    assert!((until.0 - now.0 - 3_600_000_000).abs() < 1_000_000, "{until:?} {now:?}");
}
