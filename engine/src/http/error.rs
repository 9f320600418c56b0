//! Errors as answers: RFC 9457 problems, and AuthZEN's plain messages.
//!
//! One exhaustive map from what went wrong to a status and a stable code.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::administration::AdminError;
use crate::administration::revisions::RevisionError;
use crate::app::ChangeError;
use crate::evaluation::AskError;
use crate::evaluation::search::SearchError;
use crate::oblige::{EditError, ObligeError};
use crate::question::QuestionError;
use crate::state::StateError;
use crate::store::StoreError;

/// What can be wrong with a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    MalformedJson(String),
    #[error("{0}")]
    InvalidRequest(String),
    #[error("the body has more than {0} levels of objects and arrays (`limits.nesting`)")]
    NestingTooDeep(usize),
    #[error("`context.verified` is reserved: it holds what Portcullis itself has found out")]
    VerifiedReserved,
    #[error(
        "`credential` can't be checked by this version: send the `subject` that the application vouches for"
    )]
    CredentialUnsupported,
    #[error("the policies, schema or entities are not valid")]
    PoliciesInvalid(Vec<String>),
    #[error("the cursor is not one of this server's, or belongs to a call with other parameters")]
    InvalidCursor,
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("this needs a caller key: `Authorization: Bearer pcc_…`")]
    KeyMissing,
    #[error("the caller key is not known here: it may be revoked, expired, or no caller key")]
    KeyInvalid,
    #[error("the caller lacks the right `{0}`")]
    RightMissing(String),
    #[error("there is nothing here for this caller")]
    NotFound,
    #[error("this path does not answer to that method")]
    MethodNotAllowed,
    #[error("the request did not arrive in time")]
    RequestTimeout,
    #[error("this node is at revision {at}, and the request wants {wanted}")]
    RevisionNotReached { at: u64, wanted: u64 },
    #[error(
        "say which version is meant: `If-Match` with the `ETag` that was read, or `If-None-Match: *` for a new one"
    )]
    PreconditionRequired,
    #[error("the `Idempotency-Key` was used for another request")]
    IdempotencyKeyReused,
    #[error(transparent)]
    Administration(#[from] AdminError),
    #[error(transparent)]
    Oblige(#[from] ObligeError),
    #[error(transparent)]
    Revision(#[from] RevisionError),
    #[error("the body is larger than {0} bytes (`limits.body_bytes`)")]
    BodyTooLarge(usize),
    #[error("{0}")]
    BatchTooLarge(String),
    #[error("the body must be `application/json`")]
    UnsupportedMediaType,
    #[error("the server can't answer now: try again")]
    Unavailable,
    #[error("the shared state can't be asked now: try again")]
    StateUnavailable,
    #[error("the server has a defect: see its log")]
    Defect,
}

impl ApiError {
    /// Whether the change is made all the same, and only not announced yet.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self, Self::Administration(AdminError::Change(ChangeError::Pending { .. })))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::MalformedJson(_)
            | Self::InvalidRequest(_)
            | Self::NestingTooDeep(_)
            | Self::VerifiedReserved
            | Self::CredentialUnsupported
            | Self::PoliciesInvalid(_)
            | Self::InvalidCursor => StatusCode::BAD_REQUEST,
            Self::Search(error) => search(*error).0,
            Self::KeyMissing | Self::KeyInvalid => StatusCode::UNAUTHORIZED,
            Self::RightMissing(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::RevisionNotReached { .. } | Self::IdempotencyKeyReused => StatusCode::CONFLICT,
            Self::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Self::Administration(error) => administration(error).0,
            Self::Oblige(error) => oblige(error),
            Self::Revision(error) => revision(error).0,
            Self::BodyTooLarge(_) | Self::BatchTooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable | Self::StateUnavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Defect => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson(_) => "malformed_json",
            Self::InvalidRequest(_) => "invalid_request",
            Self::NestingTooDeep(_) => "nesting_too_deep",
            Self::VerifiedReserved => "context_verified_reserved",
            Self::CredentialUnsupported => "credential_unsupported",
            Self::PoliciesInvalid(_) => "policies_invalid",
            Self::InvalidCursor => "invalid_cursor",
            Self::Search(error) => search(*error).1,
            Self::KeyMissing => "caller_key_missing",
            Self::KeyInvalid => "caller_key_invalid",
            Self::RightMissing(_) => "right_missing",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::RevisionNotReached { .. } => "revision_not_reached",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::PreconditionRequired => "precondition_required",
            Self::Administration(error) => administration(error).1,
            Self::Oblige(error) => error.code(),
            Self::Revision(error) => revision(error).1,
            Self::BodyTooLarge(_) => "body_too_large",
            Self::BatchTooLarge(_) => "batch_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Unavailable => "unavailable",
            Self::StateUnavailable => "state_unavailable",
            Self::Defect => "defect",
        }
    }
}

/// The status and code of a change that is refused.
fn administration(error: &AdminError) -> (StatusCode, &'static str) {
    match error {
        AdminError::Missing { .. } => (StatusCode::NOT_FOUND, "not_found"),
        AdminError::AlreadyExists { .. } => (StatusCode::CONFLICT, "already_exists"),
        AdminError::VersionDiffers { .. } => (StatusCode::PRECONDITION_FAILED, "version_differs"),
        AdminError::UnknownReference { .. } => (StatusCode::BAD_REQUEST, "unknown_reference"),
        AdminError::UnknownType { .. } => (StatusCode::BAD_REQUEST, "unknown_type"),
        AdminError::AttributesInvalid(_) => (StatusCode::BAD_REQUEST, "attributes_invalid"),
        AdminError::Invalid { .. } => (StatusCode::BAD_REQUEST, "invalid_request"),
        AdminError::RoleCycle(_) => (StatusCode::CONFLICT, "role_cycle"),
        AdminError::ParentCycle(_) => (StatusCode::CONFLICT, "parent_cycle"),
        AdminError::SeparationOfDuties { .. } => (StatusCode::CONFLICT, "separation_of_duties"),
        AdminError::WiderThanDelegated { .. } => (StatusCode::FORBIDDEN, "wider_than_delegated"),
        AdminError::NotHeld(_) => (StatusCode::FORBIDDEN, "not_held"),
        AdminError::ApprovalBySame => (StatusCode::FORBIDDEN, "approval_by_same"),
        AdminError::ApproverNotPermitted { .. } => (StatusCode::FORBIDDEN, "approver_not_permitted"),
        AdminError::ReasonRequired(_) => (StatusCode::BAD_REQUEST, "reason_required"),
        AdminError::EntityOfPack(_) => (StatusCode::CONFLICT, "entity_of_pack"),
        AdminError::RoleByParent(_) => (StatusCode::BAD_REQUEST, "role_by_parent"),
        AdminError::ManagedElsewhere { .. } => (StatusCode::BAD_REQUEST, "managed_elsewhere"),
        AdminError::InUse { .. } => (StatusCode::CONFLICT, "in_use"),
        AdminError::WrongStatus(_) => (StatusCode::CONFLICT, "wrong_status"),
        AdminError::TypeRequired(_) => (StatusCode::BAD_REQUEST, "type_required"),
        AdminError::Change(ChangeError::Store(StoreError::Nul)) => {
            (StatusCode::BAD_REQUEST, "invalid_request")
        }
        AdminError::Change(ChangeError::Store(_)) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        AdminError::Change(ChangeError::Pending { .. }) => {
            (StatusCode::SERVICE_UNAVAILABLE, "revocation_pending")
        }
    }
}

/// The status and code of a search without a page.
fn search(error: SearchError) -> (StatusCode, &'static str) {
    match error {
        SearchError::InvalidToken => (StatusCode::BAD_REQUEST, "invalid_cursor"),
        SearchError::RevisionDropped => (StatusCode::BAD_REQUEST, "revision_dropped"),
        SearchError::TooWide(_) => (StatusCode::BAD_REQUEST, "search_too_wide"),
        SearchError::TooSlow(_) => (StatusCode::SERVICE_UNAVAILABLE, "search_too_slow"),
        SearchError::Busy | SearchError::Unrecorded => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    }
}

/// The status and code of a set of packs that can't be served.
fn revision(error: &RevisionError) -> (StatusCode, &'static str) {
    match error {
        RevisionError::Missing(_) => (StatusCode::NOT_FOUND, "not_found"),
        RevisionError::WithoutFiles(_) => (StatusCode::CONFLICT, "revision_without_files"),
        RevisionError::Altered(_) => (StatusCode::CONFLICT, "revision_altered"),
        RevisionError::NotInShadow(_) => (StatusCode::CONFLICT, "not_in_shadow"),
        RevisionError::Load(_) => (StatusCode::CONFLICT, "revision_invalid"),
        RevisionError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    }
}

/// The status of what does not follow from a decision.
fn oblige(error: &ObligeError) -> StatusCode {
    match error {
        ObligeError::NotFound => StatusCode::NOT_FOUND,
        ObligeError::Document(_) | ObligeError::WhichKey(_) => StatusCode::BAD_REQUEST,
        ObligeError::Denied
        | ObligeError::Inactive
        | ObligeError::RightMissing { .. }
        | ObligeError::NotObliged(_) => StatusCode::FORBIDDEN,
        ObligeError::Stale(_) => StatusCode::CONFLICT,
        ObligeError::Edit(EditError::Unmasked(_) | EditError::Conflict(_)) => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        ObligeError::Edit(_)
        | ObligeError::NoPlugin(_)
        | ObligeError::Ambiguous(_)
        | ObligeError::Failed(_)
        | ObligeError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// What a stranger is told of a failure inside: no more than that it is one.
fn outward(error: &ApiError) -> String {
    match error {
        ApiError::Administration(AdminError::Change(ChangeError::Store(inner)))
            if !matches!(inner, StoreError::Nul) =>
        {
            tracing::error!(error = %inner, "the store failed: a change was refused");
            ApiError::Unavailable.to_string()
        }
        ApiError::Revision(RevisionError::Store(inner)) => {
            tracing::error!(error = %inner, "the store failed: a revision could not be read");
            ApiError::Unavailable.to_string()
        }
        other => other.to_string(),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Administration(AdminError::Change(ChangeError::Store(error)))
    }
}

impl From<QuestionError> for ApiError {
    fn from(error: QuestionError) -> Self {
        match error {
            QuestionError::VerifiedReserved => Self::VerifiedReserved,
            QuestionError::DuplicateKey { .. } => Self::MalformedJson(error.to_string()),
            QuestionError::Malformed { .. } => Self::InvalidRequest(error.to_string()),
        }
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Invalid(why) => Self::InvalidRequest(why),
            other => {
                tracing::error!(error = %other, "the state gave no answer");
                Self::StateUnavailable
            }
        }
    }
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::MayNotAssert(pack) => {
                Self::RightMissing(format!("assert_subject` on the pack `{pack}"))
            }
            AskError::Question(error) => error.into(),
            AskError::Search(error) => error.into(),
            AskError::Failed => Self::Defect,
        }
    }
}

/// A problem (RFC 9457 §3).
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: the code says more than a page would.
    #[serde(rename = "type")]
    kind: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What went wrong, for programs.
    code: String,
    /// What went wrong, for people.
    detail: String,
    /// Each single thing, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    errors: Vec<String>,
}

impl ApiError {
    /// The problem, for an answer whose status has been sent already.
    pub(super) fn problem(self) -> (StatusCode, ProblemBody) {
        let status = self.status();
        let detail = outward(&self);
        let code = self.code().to_owned();
        let errors = if let Self::PoliciesInvalid(errors) = self { errors } else { Vec::new() };
        let body = ProblemBody {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code,
            detail,
            errors,
        };
        (status, body)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, body) = self.problem();
        let text = serde_json::to_string(&body).unwrap_or_default();
        with_challenge(
            status,
            (status, [(header::CONTENT_TYPE, "application/problem+json")], text).into_response(),
        )
    }
}

/// RFC 6750 §3: a 401 says which scheme is wanted.
fn with_challenge(status: StatusCode, mut response: Response) -> Response {
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// An error on an AuthZEN path (Authorization API 1.0, "Error Responses"): the message as text; a wrong content type is 400.
pub(super) struct AuthzenError(pub(super) ApiError);

impl<E: Into<ApiError>> From<E> for AuthzenError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for AuthzenError {
    fn into_response(self) -> Response {
        let status = match self.0.status() {
            StatusCode::UNSUPPORTED_MEDIA_TYPE => StatusCode::BAD_REQUEST,
            other => other,
        };
        let text = self.0.to_string();
        let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        with_challenge(status, (status, plain, text).into_response())
    }
}

/// A path that is none.
pub(super) async fn no_route() -> ApiError {
    ApiError::NotFound
}

/// A method that the path does not have; the router adds `Allow`.
pub(super) async fn no_method() -> ApiError {
    ApiError::MethodNotAllowed
}
