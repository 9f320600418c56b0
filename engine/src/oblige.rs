//! What follows from a decision: masking a document and signing a message, as it obliges to.
//!
//! Promises: only an allow that is fresh and the caller's own is acted on; nothing leaves that is not masked as far as
//! the decision says, nor anything that could not be recorded. Must never: decide.

use crate::caller::Right;
use crate::plugin::Hook;

mod calls;
pub mod document;
pub mod edits;
mod mask;
pub mod message;
mod recorded;
mod sign;

pub use edits::EditError;
pub use mask::{Masked, mask};
pub use sign::{Signed, sign};

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
    /// The document is none.
    #[error("`document` is not valid: {0}")]
    Document(String),
    /// There is no document, because of its edits.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The decision does not oblige to sign, or not with this key.
    #[error("the decision does not oblige to sign{}", .0.as_ref().map(|key| format!(" with the key `{key}`")).unwrap_or_default())]
    NotObliged(Option<String>),
    /// It obliges to sign with several keys.
    #[error("the decision obliges to sign with {}: `key` must say which is meant", .0.join(", "))]
    WhichKey(Vec<String>),
    /// No plugin does it for this caller.
    #[error("no plugin that is enforced here does what the decision obliges to (hook `{}`)", .0.name())]
    NoPlugin(Hook),
    /// Several plugins may sign with the key.
    #[error("several plugins that are enforced here may sign with the key `{0}`: only one may")]
    Ambiguous(String),
    /// A plugin has no answer.
    #[error("a plugin of the hook `{}` has no answer: see the server's log", .0.name())]
    Failed(Hook),
    /// What it needs can't be had now.
    #[error("the server can't answer now: try again")]
    Unavailable,
}

impl ObligeError {
    /// What went wrong, for programs and records.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Stale(_) => "decision_stale",
            Self::Denied => "decision_denied",
            Self::Inactive => "subject_inactive",
            Self::RightMissing { .. } => "right_missing",
            Self::Document(_) => "invalid_request",
            Self::Edit(EditError::Unmasked(_)) => "mask_incomplete",
            Self::Edit(EditError::Conflict(_)) => "mask_conflict",
            Self::Edit(_) | Self::Failed(Hook::Mask) => "mask_failed",
            Self::NotObliged(_) => "no_sign_obligation",
            Self::WhichKey(_) => "key_required",
            Self::NoPlugin(Hook::Mask) => "no_mask_plugin",
            Self::NoPlugin(_) => "no_sign_plugin",
            Self::Ambiguous(_) => "ambiguous_sign_plugin",
            Self::Failed(_) => "sign_failed",
            Self::Unavailable => "unavailable",
        }
    }
}
