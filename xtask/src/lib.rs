//! What these commands share with the tests of the running server: private databases.
//!
//! `cargo xtask test` starts a PostgreSQL and a Redis for the whole run; a test that stops one starts its own in the
//! same way. Must never: need a crate beyond the standard library, since the tests wait for it.

pub mod databases;
pub mod failure;
pub mod surroundings;
