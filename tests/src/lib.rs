//! The harness: a real server, a real command line and a plain HTTP client for the tests.
//!
//! Promises: every test talks to the program that users run, by its arguments, its files and
//! its sockets; a server never outlives the test process. Must never: link the engine, so
//! that no test can pass through a door that users do not have.

#![expect(
    clippy::disallowed_methods,
    reason = "a test stands outside the program: it has a real clock, a real environment and real sockets"
)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that can't go on fails the test that uses it"
)]

mod binary;
mod cli;
mod cluster;
mod database;
pub mod files;
pub mod guest;
mod home;
mod http;
mod link;
mod pack;
mod process;
mod random;
mod raw;
mod server;
mod switch;
mod tls;
mod wait;

pub use binary::{binary, repository};
pub use cli::{Cli, Ran};
pub use cluster::{Cluster, Node};
pub use database::{execute_sql, select_in_sqlite};
pub use home::{Home, home_of};
pub use http::{Answer, Client, Request};
pub use link::Link;
pub use pack::Pack;
pub use process::Process;
pub use random::XorShift;
pub use raw::{RawAnswer, raw, raw_cut, raw_slowly};
pub use server::{Builder, Server};
pub use switch::{conformance, databases, soak};
pub use tls::{Certificate, TlsConnection};
pub use wait::eventually;
pub use xtask::databases::{Kept, Postgres, Redis, RedisCluster, ask_redis};
