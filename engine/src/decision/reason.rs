//! Why an answer is what it is, by id.

use smol_str::SmolStr;

/// One reason. Its text is the policy's id or a stable code; a policy's id is never one of the codes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// This policy determined the answer.
    Policy(SmolStr),
    /// No policy permits.
    NoPermit,
    /// No pack judges this caller's request.
    NoPack,
    /// A policy failed, and a failed `forbid` denies.
    PolicyError,
    /// A mandatory obligation is of a kind that the caller does not list.
    ObligationUnsupported,
    /// Two obligations set one thing to different values.
    ObligationConflict,
    /// A policy reads a value that Cedar can't say.
    ValueUnrepresentable,
    /// This value was left out, since Cedar can't say it: a JSON pointer.
    ValueLeftOut(String),
    /// Cedar has no such type name.
    TypeUnrepresentable,
    /// An item of a batch lacks something, or carries what is reserved.
    InvalidItem,
    /// The principal is locked: for now it may not do anything.
    PrincipalLocked,
    /// The principal is disabled: it may not do anything any more.
    PrincipalDisabled,
    /// The application's own request is not what its route takes.
    RequestInvalid,
    /// The application's own request is for a route that is not known.
    RouteUnknown,
    /// A plugin rejects the application's own request.
    Rejected {
        /// Which plugin.
        plugin: SmolStr,
        /// Its own code.
        code: SmolStr,
    },
    /// A plugin that must not fail did.
    PluginFailed {
        /// Which plugin.
        plugin: SmolStr,
        /// Of what.
        kind: &'static str,
    },
    /// The decision could not be recorded.
    LogUnavailable,
    /// The policies could not be evaluated.
    EvaluationFailed,
}

/// The codes that no policy may have as its id.
pub const CODES: [&str; 17] = [
    "no_permit",
    "no_pack",
    "policy_error",
    "obligation_unsupported",
    "obligation_conflict",
    "value_unrepresentable",
    "value_left_out",
    "type_unrepresentable",
    "invalid_item",
    "principal_locked",
    "principal_disabled",
    "request_invalid",
    "route_unknown",
    "rejected",
    "plugin_failed",
    "log_unavailable",
    "evaluation_failed",
];

impl Reason {
    /// What an answer and the log call it.
    pub fn text(&self) -> SmolStr {
        match self {
            Self::Policy(id) => id.clone(),
            Self::NoPermit => "no_permit".into(),
            Self::NoPack => "no_pack".into(),
            Self::PolicyError => "policy_error".into(),
            Self::ObligationUnsupported => "obligation_unsupported".into(),
            Self::ObligationConflict => "obligation_conflict".into(),
            Self::ValueUnrepresentable => "value_unrepresentable".into(),
            Self::ValueLeftOut(pointer) => format!("value_left_out:{pointer}").into(),
            Self::TypeUnrepresentable => "type_unrepresentable".into(),
            Self::InvalidItem => "invalid_item".into(),
            Self::PrincipalLocked => "principal_locked".into(),
            Self::PrincipalDisabled => "principal_disabled".into(),
            Self::RequestInvalid => "request_invalid".into(),
            Self::RouteUnknown => "route_unknown".into(),
            Self::Rejected { plugin, code } => format!("rejected:{plugin}:{code}").into(),
            Self::PluginFailed { plugin, kind } => format!("plugin_failed:{plugin}:{kind}").into(),
            Self::LogUnavailable => "log_unavailable".into(),
            Self::EvaluationFailed => "evaluation_failed".into(),
        }
    }
}

/// Whether a policy may not have this id, because an answer could not tell it from a code.
pub fn is_reserved(id: &str) -> bool {
    CODES.iter().any(|code| id == *code || id.strip_prefix(code).is_some_and(|rest| rest.starts_with(':')))
}
