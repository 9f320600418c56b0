//! What all calls of the management API share: the pack, preconditions, idempotency, and how a change is answered.

use std::sync::Arc;

use axum::Json;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::caller::Authenticated;
use super::error::ApiError;
use crate::administration::AdminError;
use crate::app::{Actor, App, Changing, Done};
use crate::policy::Pack;
use crate::protect::digest;
use crate::store::idempotency::{Earlier, Idempotent};

/// The pack that a call is about: the one that it names among those that the caller is bound to, else the caller's
/// default, else the only one.
///
/// # Errors
/// When there is none: it is not told whether it exists.
pub(super) fn choose_pack(
    app: &App,
    who: &Authenticated<'_>,
    named: Option<&str>,
) -> Result<Arc<Pack>, ApiError> {
    let snapshot = app.snapshot();
    let caller = &who.caller;
    let pack = match named.or(caller.default_pack.as_deref()) {
        Some(name) => snapshot.pack(name).filter(|_| caller.is_bound_to(name)),
        None => {
            let mut bound = snapshot.packs().filter(|pack| caller.is_bound_to(pack.name()));
            bound.next().filter(|_| bound.next().is_none())
        }
    };
    pack.cloned().ok_or(ApiError::NotFound)
}

/// Under which condition a thing may be written (RFC 9110 §13.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precondition {
    /// `If-None-Match: *`: it must not exist.
    Absent,
    /// `If-Match: *`: it must exist.
    Present,
    /// `If-Match: "7"`: it must be at this version.
    Version(u64),
}

impl Precondition {
    /// Reads the headers. None when neither is there.
    ///
    /// # Errors
    /// When they are no condition that can be met.
    pub(super) fn read(headers: &HeaderMap) -> Result<Option<Self>, ApiError> {
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("").trim());
        let wrong =
            |name: &str| ApiError::InvalidRequest(format!("`{name}` must be `*` or one version, as `\"7\"`"));
        match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
            (None, None) => Ok(None),
            (Some("*"), None) => Ok(Some(Self::Present)),
            (None, Some("*")) => Ok(Some(Self::Absent)),
            (Some(tag), None) => {
                parse_tag(tag).map(|version| Some(Self::Version(version))).ok_or_else(|| wrong("If-Match"))
            }
            (None, Some(_)) => Err(wrong("If-None-Match")),
            (Some(_), Some(_)) => {
                Err(ApiError::InvalidRequest("`If-Match` and `If-None-Match` exclude each other".into()))
            }
        }
    }

    /// The same where one is needed: two administrators may edit one thing.
    ///
    /// # Errors
    /// When there is none, or it can't be met.
    pub(super) fn required(headers: &HeaderMap) -> Result<Self, ApiError> {
        Self::read(headers)?.ok_or(ApiError::PreconditionRequired)
    }

    /// Whether it is met by a thing at this version, or by none.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn check(self, kind: &'static str, id: &str, present: Option<u64>) -> Result<(), AdminError> {
        match (self, present) {
            (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::Absent, Some(_)) => Err(AdminError::AlreadyExists { kind, id: id.to_owned() }),
            (Self::Present | Self::Version(_), None) => Err(AdminError::Missing { kind, id: id.to_owned() }),
            (Self::Version(wanted), Some(present)) if wanted == present => Ok(()),
            (Self::Version(_), Some(present)) => Err(AdminError::VersionDiffers { present }),
        }
    }
}

fn parse_tag(tag: &str) -> Option<u64> {
    tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
}

/// Whether the caller has this version already (`If-None-Match` of a GET).
pub(super) fn has_already(headers: &HeaderMap, version: u64) -> bool {
    let value = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    value.is_some_and(|tags| tags.split(',').any(|tag| parse_tag(tag.trim()) == Some(version)))
}

/// Shows a thing with its version, or says that the caller has it.
pub(super) fn show(headers: &HeaderMap, version: u64, body: Value) -> Response {
    let tag = [(header::ETAG, format!("\"{version}\""))];
    if has_already(headers, version) {
        return (StatusCode::NOT_MODIFIED, tag).into_response();
    }
    (tag, Json(body)).into_response()
}

/// A change on its way, or the answer to the same call before.
pub(super) enum Begun<'a> {
    /// It is made now.
    Now(Box<Operation<'a>>),
    /// It was made before, under the same idempotency key.
    Before(Response),
}

/// A change on its way.
pub(super) struct Operation<'a> {
    pub(super) changing: Changing<'a>,
    idempotency: Option<Idempotency>,
}

struct Idempotency {
    tenant: String,
    caller: String,
    key: String,
    hash: String,
}

impl Idempotency {
    fn of(&self) -> Idempotent<'_> {
        Idempotent {
            tenant_id: &self.tenant,
            caller_id: &self.caller,
            key: &self.key,
            request_hash: &self.hash,
        }
    }
}

/// How a change is answered.
#[derive(Debug)]
pub(super) struct Made {
    /// 200 or 201.
    pub(super) status: StatusCode,
    /// What the change is, as `role_created`.
    pub(super) kind: &'static str,
    /// Of what.
    pub(super) target: String,
    /// More for the decision log; never a secret.
    pub(super) detail: Value,
    /// The answer; `revision` is added.
    pub(super) body: Value,
    /// Where the new thing is.
    pub(super) location: Option<String>,
}

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const REPLAYED: &str = "idempotency-replayed";
const KEY_BYTES: usize = 255;

impl<'a> Operation<'a> {
    /// Begins a change for a caller. `body` is the request's, for its idempotency key.
    ///
    /// # Errors
    /// When the store fails, or the key stands for another request.
    pub(super) async fn begin(
        app: &'a App,
        who: &Authenticated<'_>,
        parts: &Parts,
        body: &str,
    ) -> Result<Begun<'a>, ApiError> {
        let idempotency = idempotency(who, parts, body)?;
        let actor = Actor { tenant: who.caller.tenant.clone(), caller_id: Some(who.caller.id.clone()) };
        let mut changing = app.begin_change(actor).await.map_err(AdminError::from)?;
        if let Some(idempotency) = &idempotency {
            match changing.earlier_answer(idempotency.of()).await.map_err(AdminError::from)? {
                Earlier::None => {}
                Earlier::Other => return Err(ApiError::IdempotencyKeyReused),
                Earlier::Same(answer) => {
                    drop(changing);
                    app.announce().await.map_err(AdminError::from)?;
                    return Ok(Begun::Before(replay(&answer)));
                }
            }
        }
        Ok(Begun::Now(Box::new(Self { changing, idempotency })))
    }

    /// Commits, and answers.
    ///
    /// # Errors
    /// When the store fails, or other nodes can't be told.
    pub(super) async fn finish(mut self, mut made: Made) -> Result<Response, ApiError> {
        let sequence = self.changing.sequence();
        if let Value::Object(members) = &mut made.body {
            members.insert("revision".into(), sequence.into());
        }
        if let Some(idempotency) = &self.idempotency {
            let answer = serde_json::json!({
                "status": made.status.as_u16(), "body": made.body, "location": made.location, "version": sequence,
            });
            let kept = self.changing.keep_answer(idempotency.of(), &answer.to_string()).await;
            kept.map_err(AdminError::from)?;
        }
        let committed = self.changing.commit(made.kind, &made.target, made.detail.to_string()).await;
        let Done { sequence, .. } = committed.map_err(AdminError::from)?;
        Ok(answer(made.status, sequence, made.location.as_deref(), made.body))
    }
}

impl Operation<'_> {
    /// The pack as of this change: its files may have changed since it was chosen.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn pack(&self, chosen: &Pack) -> Result<Arc<Pack>, ApiError> {
        self.changing.snapshot().pack(chosen.name()).cloned().ok_or(ApiError::NotFound)
    }
}

/// Answers that there is nothing to take away. Somebody may have taken it away before, and not every node may know: the
/// answer means that all do.
///
/// # Errors
/// Always: that there is no such thing, or that the nodes can't be told.
pub(super) async fn nothing_to_take(
    app: &App,
    operation: Box<Operation<'_>>,
    kind: &'static str,
    id: &str,
) -> Result<Response, ApiError> {
    drop(operation);
    app.announce().await.map_err(AdminError::from)?;
    Err(AdminError::Missing { kind, id: id.to_owned() }.into())
}

/// Answers a change that was made before, once every node knows of it. `body` gets its revision.
///
/// # Errors
/// When the nodes can't be told.
pub(super) async fn made_before(
    app: &App,
    operation: Box<Operation<'_>>,
    version: u64,
    mut body: Value,
) -> Result<Response, ApiError> {
    drop(operation);
    let sequence = app.announce().await.map_err(AdminError::from)?;
    if let Value::Object(members) = &mut body {
        members.insert("revision".into(), sequence.into());
    }
    Ok(answer(StatusCode::OK, version, None, body))
}

fn answer(status: StatusCode, version: u64, location: Option<&str>, body: Value) -> Response {
    let mut response = (status, [(header::ETAG, format!("\"{version}\""))], Json(body)).into_response();
    if let Some(location) = location.and_then(|location| HeaderValue::from_str(location).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn replay(kept: &str) -> Response {
    let kept: Value = serde_json::from_str(kept).unwrap_or_default();
    let status = kept.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK);
    let version = kept.get("version").and_then(Value::as_u64).unwrap_or_default();
    let location = kept.get("location").and_then(Value::as_str);
    let body = kept.get("body").cloned().unwrap_or_default();
    let mut response = answer(status, version, location, body);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// The key of the call (IETF draft "The Idempotency-Key HTTP Header Field"), and the hash of what it stands for.
fn idempotency(who: &Authenticated<'_>, parts: &Parts, body: &str) -> Result<Option<Idempotency>, ApiError> {
    let mut values = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return if parts.headers.contains_key(IDEMPOTENCY_KEY) { Err(wrong_key()) } else { Ok(None) };
    };
    let key = value.to_str().map_err(|_| wrong_key())?;
    if !(1..=KEY_BYTES).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong_key());
    }
    let target = parts.uri.path_and_query().map_or("", axum::http::uri::PathAndQuery::as_str);
    let hash = hex::encode(digest(&[parts.method.as_str(), target, body]));
    Ok(Some(Idempotency {
        tenant: who.caller.tenant.clone(),
        caller: who.caller.id.clone(),
        key: key.to_owned(),
        hash,
    }))
}

fn wrong_key() -> ApiError {
    ApiError::InvalidRequest(format!(
        "`Idempotency-Key` must be from 1 to {KEY_BYTES} visible characters, once"
    ))
}
