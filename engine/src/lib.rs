//! Portcullis: the security decision service behind an application's back end.
//!
//! Start with [`evaluation`]: it walks one request from the question to the answer.

pub mod administration;
pub mod app;
pub mod audit;
pub mod bundle;
pub mod caller;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decision;
pub mod detect;
pub mod entity;
pub mod evaluation;
pub mod http;
pub mod metrics;
pub mod object;
pub mod oblige;
pub mod outbound;
pub mod plugin;
pub mod policy;
pub mod protect;
pub mod question;
pub mod random;
pub mod record;
pub mod route;
pub mod state;
pub mod store;
pub mod validate;
