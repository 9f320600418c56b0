//! The harness's own parts: databases that stop and start, cables that are cut, homes that share nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use portcullis_tests::{Home, Kept, Link, Postgres, Redis, ask_redis};

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(10);

/// Whether a test that brings its own databases can run here; under `CI=true` it must.
fn can_run() -> bool {
    let both = xtask::databases::find_postgres().is_some() && xtask::databases::find_redis().is_some();
    assert!(both || !xtask::surroundings::is_ci(), "nothing may be skipped under CI=true");
    both
}

/// Both ends of a connection through a link, and the link.
fn connected() -> (Link, TcpListener, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = Link::to(&listener.local_addr().unwrap().to_string());
    let near = TcpStream::connect(link.address()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_read_timeout(Some(LONG)).unwrap();
    }
    (link, listener, near, far)
}

fn receives(stream: &mut TcpStream, expected: &[u8]) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, expected);
}

fn is_ended(stream: &mut TcpStream) -> bool {
    // A connection that was reset has ended as well.
    matches!(stream.read(&mut [0; 16]), Ok(0)) || stream.write_all(b"x").is_err()
}

#[test]
fn a_link_carries_both_ways_and_ends_with_either_end() {
    let (_link, _listener, mut near, mut far) = connected();
    near.write_all(b"there").unwrap();
    receives(&mut far, b"there");
    far.write_all(b"back").unwrap();
    receives(&mut near, b"back");
    drop(far);
    assert!(is_ended(&mut near));
}

#[test]
fn a_cut_link_ends_what_is_open_and_what_is_new_until_it_is_mended() {
    let (link, listener, mut near, mut far) = connected();
    link.cut();
    assert!(is_ended(&mut near) && is_ended(&mut far));
    let mut new = TcpStream::connect(link.address()).unwrap();
    new.set_read_timeout(Some(LONG)).unwrap();
    assert!(is_ended(&mut new));
    link.mend();
    let mut new = TcpStream::connect(link.address()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    new.write_all(b"again").unwrap();
    receives(&mut far, b"again");
}

#[test]
fn a_stalled_link_delivers_in_order_once_it_is_mended() {
    let (link, _listener, mut near, mut far) = connected();
    link.stall();
    near.write_all(b"one ").unwrap();
    near.write_all(b"two").unwrap();
    far.set_read_timeout(Some(SHORT)).unwrap();
    assert!(far.read(&mut [0]).is_err(), "something passed");
    far.set_read_timeout(Some(LONG)).unwrap();
    link.mend();
    receives(&mut far, b"one two");
}

#[test]
fn a_killed_redis_comes_back_on_its_port_with_what_it_was_to_keep() {
    if !can_run() {
        return;
    }
    for (kept, expected) in [(Kept::All, "$1\r\nv\r\n"), (Kept::Nothing, "$-1\r\n")] {
        let mut redis = Redis::start(kept).unwrap();
        let url = redis.url();
        assert_eq!(ask_redis(&url, &["SET k v"]).unwrap(), "+OK\r\n");
        redis.stop();
        assert!(ask_redis(&url, &["PING"]).is_err());
        redis.start_again().unwrap();
        assert_eq!(ask_redis(&url, &["GET k"]).unwrap(), expected, "{kept:?}");
    }
}

#[test]
fn a_stopped_postgres_comes_back_with_what_was_committed() {
    if !can_run() {
        return;
    }
    let mut postgres = Postgres::start().unwrap();
    let home = Home::on(&postgres.url(), "redis://127.0.0.1:1/");
    home.execute_sql("CREATE TABLE kept (n BIGINT); INSERT INTO kept VALUES (7)").unwrap();
    postgres.stop();
    assert!(home.execute_sql("SELECT 1").is_err());
    postgres.start_again().unwrap();
    home.execute_sql("DO $$ BEGIN ASSERT (SELECT n FROM kept) = 7; END $$").unwrap();
}

#[test]
fn two_homes_share_nothing_and_one_that_is_left_is_gone() {
    if !can_run() {
        return;
    }
    let postgres = Postgres::start().unwrap();
    let make = || Home::on(&postgres.url(), "redis://127.0.0.1:1/");
    let (one, other) = (make(), make());
    assert_ne!(one.key_prefix(), other.key_prefix());
    one.execute_sql("CREATE TABLE mine (n BIGINT)").unwrap();
    assert!(other.execute_sql("SELECT n FROM mine").is_err());
    let link = Link::to(&postgres.url());
    let same = one.through(&link, &Link::to("127.0.0.1:1"));
    drop(one);
    same.execute_sql("SELECT n FROM mine").unwrap();
    link.cut();
    assert!(same.execute_sql("SELECT n FROM mine").is_err());
    let schema = same.key_prefix().to_owned();
    drop(same);
    let gone = format!(
        "DO $$ BEGIN ASSERT NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = '{schema}'); END $$"
    );
    other.execute_sql(&gone).unwrap();
}

#[test]
fn text_is_not_sorted_by_bytes_unless_a_column_says_so() {
    if !can_run() {
        return;
    }
    let postgres = Postgres::start().unwrap();
    let home = Home::on(&postgres.url(), "redis://127.0.0.1:1/");
    home.execute_sql("DO $$ BEGIN ASSERT 'a' < 'B' AND 'a' COLLATE \"C\" > 'B'; END $$").unwrap();
}

#[test]
fn everything_that_a_home_holds_can_be_looked_through() {
    if !can_run() {
        return;
    }
    let (postgres, redis) = (Postgres::start().unwrap(), Redis::start(Kept::Nothing).unwrap());
    let home = Home::on(&postgres.url(), &redis.url());
    home.execute_sql("CREATE TABLE held (word TEXT); INSERT INTO held VALUES ('in-a-row')").unwrap();
    let long = "in-a-key-".repeat(50);
    let commands =
        [format!("HSET {}:h field {long}", home.key_prefix()), "SET others:k elsewhere".to_owned()];
    ask_redis(&redis.url(), &commands.each_ref().map(String::as_str)).unwrap();
    let everything = home.everything();
    assert!(everything.contains("in-a-row") && everything.contains(&long), "{everything}");
    assert!(!everything.contains("elsewhere"), "{everything}");
}
