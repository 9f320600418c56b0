//! What follows from a decision: masking a document and signing a message, as it obliges to.
//!
//! Promises: only an allow that is fresh and the caller's own is acted on; nothing leaves that is not masked as far as
//! the decision says, nor anything that could not be recorded. Must never: decide.

use crate::caller::Right;

pub mod document;
pub mod edits;
pub mod recorded;

pub use edits::EditError;

/// Why nothing follows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObligeError {
    /// There is no such decision of this caller.
    #[error("there is no such decision of this caller in this node's log")]
    NotFound,
    /// It was made too long ago.
    #[error("the decision is older than {0} seconds (`obligations.fresh_seconds`): ask again")]
    Stale(u32),
    /// It is no allow.
    #[error("the decision is a deny: nothing follows from it")]
    Denied,
    /// Its subject was locked or disabled since.
    #[error("the decision's subject is locked or disabled since: ask again")]
    Inactive,
    /// The caller may not ask in its pack any more.
    #[error("the caller lacks the right `{}` on the pack `{pack}`", right.name())]
    RightMissing {
        /// Which right.
        right: Right,
        /// On which pack.
        pack: String,
    },
    /// What it needs can't be had now.
    #[error("the server can't answer now: try again")]
    Unavailable,
}
