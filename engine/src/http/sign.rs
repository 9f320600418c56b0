//! `POST /v1/sign`: a signature over a message, with the key that a decision says.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{JsonBody, refuse_duplicates};
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::object;
use crate::oblige::{self, message};
use crate::plugin::input::Message;
use crate::record::Via;

/// What to sign.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignRequest<'a> {
    /// `dec_…`, as the caller's own answer gave it.
    #[schema(value_type = String)]
    decision_id: Cow<'a, str>,
    /// With which key, when the decision names several.
    #[schema(value_type = Option<String>)]
    key: Option<Cow<'a, str>>,
    /// The message: bytes, or a request.
    #[serde(borrow, deserialize_with = "object::only")]
    message: MessageRequest<'a>,
}

/// A message: `bytes_base64` alone, or the parts of a request.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageRequest<'a> {
    /// The bytes.
    bytes_base64: Option<String>,
    /// The request's method.
    method: Option<String>,
    /// Its target, absolute.
    target_uri: Option<String>,
    /// Its headers: an object of names and values, or a list of pairs.
    #[serde(borrow)]
    #[schema(value_type = Option<Value>)]
    headers: Option<&'a RawValue>,
    /// Its body as text.
    body_text: Option<String>,
    /// Its body as bytes.
    body_base64: Option<String>,
    /// Its body as JSON; its text is signed as it stands here.
    #[serde(borrow)]
    #[schema(value_type = Option<Value>)]
    body: Option<&'a RawValue>,
}

/// The signature.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct SignResponse {
    /// The decision.
    decision_id: String,
    /// The key that it was signed with.
    key: String,
    /// The headers to add to the message.
    headers: Vec<HeaderResponse>,
}

/// A header.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct HeaderResponse {
    /// Its name, in lower case.
    name: String,
    /// Its value.
    value: String,
}

/// Signs a message as a decision obliges to.
#[utoipa::path(
    post, path = "/v1/sign", tag = "obligations", operation_id = "sign_message",
    request_body(content = SignRequest, content_type = "application/json"),
    responses((status = 200, body = SignResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 503, body = ProblemBody))
)]
pub(super) async fn sign_message(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<SignResponse>, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    refuse_duplicates(body.text())?;
    let SignRequest { decision_id, key, message } = body.parse()?;
    let message = message.checked().map_err(ApiError::InvalidRequest)?;
    let by = who.circumstances(Via::Management);
    let signed = oblige::sign(&app, &by, &decision_id, (message, key.as_deref())).await?;
    let headers = signed.headers.into_iter().map(|(name, value)| HeaderResponse { name, value }).collect();
    Ok(Json(SignResponse { decision_id: decision_id.into_owned(), key: signed.key, headers }))
}

impl MessageRequest<'_> {
    fn checked(self) -> Result<Message, String> {
        let Some(bytes) = &self.bytes_base64 else { return self.request() };
        let alone = self.method.is_none()
            && self.target_uri.is_none()
            && self.headers.is_none()
            && self.body_text.is_none()
            && self.body_base64.is_none()
            && self.body.is_none();
        if !alone {
            return Err("`message.bytes_base64` stands alone: a request has no bytes besides".into());
        }
        decode("bytes_base64", bytes).map(Message::Bytes)
    }

    fn request(self) -> Result<Message, String> {
        let (Some(method), Some(target_uri)) = (self.method, self.target_uri) else {
            return Err("`message` must have `bytes_base64`, or `method` and `target_uri`".into());
        };
        let body = match (self.body_text, self.body_base64, self.body) {
            (None, None, None) => Vec::new(),
            (Some(text), None, None) => text.into_bytes(),
            (None, Some(text), None) => decode("body_base64", &text)?,
            (None, None, Some(json)) => json.get().as_bytes().to_vec(),
            _ => return Err("`message` has one of `body`, `body_text` and `body_base64`".into()),
        };
        let headers = self.headers.map(|headers| read_headers(headers.get())).transpose()?;
        message::request(&method, &target_uri, headers.unwrap_or_default(), body)
    }
}

/// Headers as an object, or as a list of pairs.
fn read_headers(text: &str) -> Result<Vec<(String, String)>, String> {
    let wrong = |_| "`message.headers` must be an object of texts, or a list of pairs of texts".to_owned();
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(wrong);
    }
    let members: std::collections::BTreeMap<String, String> = object::parse(text).map_err(wrong)?;
    Ok(members.into_iter().collect())
}

fn decode(name: &str, text: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|_| format!("`message.{name}` must be base64 (RFC 4648 §4)"))
}
