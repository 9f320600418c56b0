//! The tests of the running server. A test of a route stands where the route's path says; its
//! name is a sentence. A server is shared by tests that only ask, and owned by one that edits.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "this is a test: what fails here is the test"
)]
#![allow(clippy::disallowed_methods, reason = "a test stands outside the program, in real time")]

mod assertions;
mod audit;
mod bundles;
mod callers;
mod changes;
mod cli {
    mod bundle;
    mod decide;
    mod entity {
        mod cut_off;
        mod formats;
        mod import;
        mod refused;
    }
    mod init;
    mod key;
    mod plugin;
    mod policy;
    mod serve;
}
mod cluster;
mod conformance;
mod crash;
mod directory;
#[cfg(target_os = "linux")]
mod disk_full;
mod evaluators;
mod fixtures;
mod harness;
mod hostile;
mod how_to;
mod import {
    mod bulk;
    pub(crate) mod fixture;
}
mod limits;
mod log_modes;
mod packs;
mod plugins {
    mod damaged;
    mod guests;
    mod harm;
    mod life;
    mod oblige;
    pub(crate) mod placed;
    mod replay;
    mod walk;
}
mod readme;
mod refusals;
mod reload;
mod routes {
    mod access {
        mod v1 {
            mod batch_errors;
            mod evaluation;
            mod evaluation_errors;
            mod evaluations;
            mod search;
        }
    }
    mod healthz;
    mod metrics;
    mod openapi;
    mod readyz;
    pub(crate) mod v1 {
        mod claims;
        mod decide;
        mod decisions;
        mod elevations;
        mod entities;
        mod filter;
        mod groups;
        mod keys;
        pub(crate) mod mask;
        mod plugins;
        mod policies {
            mod simulate;
        }
        mod principals;
        mod revisions;
        mod role_assignments;
        mod roles;
        mod shadow;
        mod sign;
    }
    mod well_known;
}
mod shutdown;
mod team;
mod tenants;
mod tidy;
mod tls;
