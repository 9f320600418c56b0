//! Portcullis: the security decision service behind an application's back end.
//!
//! Start with `evaluation`: it walks one request from the question to the answer.

pub mod audit;
pub mod clock;
pub mod decision;
pub mod entity;
pub mod policy;
pub mod protect;
pub mod question;
pub mod random;
pub mod store;
