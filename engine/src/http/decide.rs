//! `POST /v1/decide`: the native call, and its batch form.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::batch::{Parts, Reader, read_items};
use super::body::JsonBody;
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::decision::Verdict;
use crate::decision::obligation::Obligation;
use crate::evaluation::{self, Answer, Explanation, Noticed, Reported, Risk, Semantic};
use crate::object;
use crate::question::{Act, Party};
use crate::record::Via;

mod reported;
use reported::HttpRequest;

/// The question, or a list of them with defaults.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideRequest<'a> {
    /// What proves who the principal is. This version takes an asserted `subject` only, and refuses it.
    #[serde(borrow, default)]
    #[schema(ignore)]
    credential: Option<&'a RawValue>,
    /// Who: the application vouches for it.
    #[serde(borrow, default)]
    #[schema(value_type = Entity)]
    subject: Option<&'a RawValue>,
    /// Does what.
    #[serde(borrow, default)]
    #[schema(value_type = Action)]
    action: Option<&'a RawValue>,
    /// To what.
    #[serde(borrow, default)]
    #[schema(value_type = Entity)]
    resource: Option<&'a RawValue>,
    /// Under which circumstances; `verified` is reserved.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
    /// The application's own request.
    #[serde(borrow, default)]
    #[schema(value_type = Option<HttpRequest>)]
    http: Option<&'a RawValue>,
    /// The pack that judges.
    #[serde(borrow, default)]
    #[schema(value_type = Option<String>)]
    pack: Option<Cow<'a, str>>,
    /// The store's sequence number that the answer must know.
    #[serde(default)]
    at_least_revision: Option<u64>,
    /// The obligation kinds that the caller will carry out.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Vec<String>>)]
    understands: Option<Vec<Cow<'a, str>>>,
    /// Whether the answer explains itself.
    #[serde(default)]
    explain: Option<bool>,
    /// Items of a batch.
    #[serde(borrow, default)]
    #[schema(value_type = Vec<DecideItem>, min_items = 1)]
    evaluations: Option<Vec<&'a RawValue>>,
    /// When a batch ends.
    #[serde(default, deserialize_with = "object::optional")]
    options: Option<StrictOptions>,
}

/// A subject or a resource.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Entity<'a> {
    /// Its type.
    #[serde(rename = "type", borrow)]
    #[schema(value_type = String)]
    type_name: Cow<'a, str>,
    /// Its id within the type.
    #[serde(borrow)]
    #[schema(value_type = String)]
    id: Cow<'a, str>,
    /// What the application says of it.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    properties: Option<&'a RawValue>,
}

/// An action.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Action<'a> {
    /// Its name.
    #[serde(borrow)]
    #[schema(value_type = String)]
    name: Cow<'a, str>,
    /// What the application says of it.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    properties: Option<&'a RawValue>,
}

/// An item: what it lacks comes from the defaults.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecideItem<'a> {
    /// Instead of the default subject.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Entity>)]
    subject: Option<&'a RawValue>,
    /// Instead of the default action.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Action>)]
    action: Option<&'a RawValue>,
    /// Instead of the default resource.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Entity>)]
    resource: Option<&'a RawValue>,
    /// Instead of the default context.
    #[serde(borrow, default)]
    #[schema(value_type = Option<Object>)]
    context: Option<&'a RawValue>,
}

/// `options`.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StrictOptions {
    /// When a batch ends.
    #[serde(default)]
    evaluations_semantic: Semantic,
}

/// What the caller is told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DecideResponse {
    /// Whether it may.
    decision: bool,
    /// `allow` or `deny`.
    outcome: Verdict,
    /// The id under which the decision can be read again.
    decision_id: String,
    /// The sequence number of the store, a point, the hash of the policy files.
    revision: String,
    /// Policies and codes.
    reasons: Vec<String>,
    /// What the caller must do.
    obligations: Vec<Obligation>,
    /// What was noticed of `http`, when there is anything; of a batch see there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    findings: Vec<Noticed>,
    /// How bad `http` looks, when it does; of a batch see there.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Risk>,
    /// More about why, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

/// The answers to a batch, in its order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DecideBatchResponse {
    /// One for each item that was evaluated.
    evaluations: Vec<DecideResponse>,
    /// What was noticed of `http`, when there is anything.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    findings: Vec<Noticed>,
    /// How bad `http` looks, when it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Risk>,
}

/// Unknown fields are errors.
struct Strict;

impl Reader for Strict {
    fn party<'a>(text: &'a RawValue) -> Result<Party<'a>, serde_json::Error> {
        let entity: Entity<'a> = object::parse(text.get())?;
        Ok(Party { type_name: entity.type_name, id: entity.id, properties: entity.properties })
    }

    fn act<'a>(text: &'a RawValue) -> Result<Act<'a>, serde_json::Error> {
        let action: Action<'a> = object::parse(text.get())?;
        Ok(Act { name: action.name, properties: action.properties })
    }

    fn item<'a>(text: &'a RawValue) -> Result<Parts<'a>, serde_json::Error> {
        let item: DecideItem<'a> = object::parse(text.get())?;
        Ok(Parts {
            subject: item.subject,
            action: item.action,
            resource: item.resource,
            context: item.context,
        })
    }
}

/// One decision with its reasons and obligations, or a list of them.
#[utoipa::path(
    post, path = "/v1/decide", tag = "decisions", operation_id = "decide",
    request_body(content = DecideRequest, content_type = "application/json"),
    responses((status = 200, body = DecideResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody))
)]
pub(super) async fn decide(State(app): State<Arc<App>>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let request: DecideRequest<'_> = body.parse()?;
    let http = request.check(&app).await?;
    let mut by = who.circumstances(Via::Decide);
    by.pack = request.pack.as_deref();
    by.understands = request.understands.as_deref().unwrap_or_default();
    by.http = http.as_ref();
    by.explain = request.explain.unwrap_or_default();
    let defaults = Parts {
        subject: request.subject,
        action: request.action,
        resource: request.resource,
        context: request.context,
    };
    match request.evaluations.as_ref().filter(|items| !items.is_empty()) {
        None => {
            let answer = evaluation::evaluate(&app, &by, defaults.read::<Strict>()?).await?;
            let (findings, risk) = found(&answer);
            Ok(Json(DecideResponse { findings, risk, ..DecideResponse::from(answer) }).into_response())
        }
        Some(items) => {
            // Every item's record holds it again.
            let repeated = http.as_ref().map_or(0, |http| http.recorded.len()).saturating_mul(items.len());
            if repeated > app.config.limits.batch_bytes {
                return Err(ApiError::BatchTooLarge(format!(
                    "with `http` laid into each item, the batch is larger than {} bytes (`limits.batch_bytes`)",
                    app.config.limits.batch_bytes
                )));
            }
            let items = read_items::<Strict>(items, defaults, app.config.limits)?;
            let semantic = request.options.unwrap_or_default().evaluations_semantic;
            let answers = evaluation::evaluate_batch(&app, &by, &items, semantic).await?;
            // It is the same for all, and stands once.
            let (findings, risk) = answers.first().map(found).unwrap_or_default();
            let evaluations = answers.into_iter().map(DecideResponse::from).collect();
            Ok(Json(DecideBatchResponse { evaluations, findings, risk }).into_response())
        }
    }
}

/// There are few kinds of obligation, and every record of a batch lists what is understood.
const UNDERSTOOD: usize = 64;
const KIND_BYTES: usize = 64;

impl DecideRequest<'_> {
    /// Checks it; gives the application's own request.
    async fn check(&self, app: &App) -> Result<Option<Reported>, ApiError> {
        let http = self.check_form()?;
        match self.at_least_revision {
            Some(wanted) if !Box::pin(app.reaches(wanted)).await => {
                Err(ApiError::RevisionNotReached { at: app.snapshot().revision.sequence, wanted })
            }
            _ => Ok(http),
        }
    }

    fn check_form(&self) -> Result<Option<Reported>, ApiError> {
        if self.credential.is_some() {
            return Err(ApiError::CredentialUnsupported);
        }
        if let Some(understands) = &self.understands
            && (understands.len() > UNDERSTOOD || understands.iter().any(|kind| kind.len() > KIND_BYTES))
        {
            return Err(ApiError::InvalidRequest(format!(
                "`understands` lists at most {UNDERSTOOD} kinds of at most {KIND_BYTES} bytes"
            )));
        }
        self.http.map(reported::read).transpose()
    }
}

/// What was found of the application's own request.
fn found(answer: &Answer) -> (Vec<Noticed>, Option<Risk>) {
    let found = answer.inspection.as_deref();
    let findings = found.map(|found| found.findings().to_vec()).unwrap_or_default();
    (findings, found.and_then(|found| found.risk().cloned()))
}

impl From<Answer> for DecideResponse {
    fn from(answer: Answer) -> Self {
        Self {
            decision: answer.verdict == Verdict::Allow,
            outcome: answer.verdict,
            decision_id: answer.decision_id,
            revision: answer.revision.to_string(),
            reasons: answer.reasons.iter().map(ToString::to_string).collect(),
            obligations: answer.obligations,
            findings: Vec::new(),
            risk: None,
            explanation: answer.explanation,
        }
    }
}

/// The same request without a server, for the command line.
pub mod offline {
    use std::borrow::Cow;

    use super::{DecideRequest, Parts, Strict};
    use crate::http::error::ApiError;
    use crate::question::Asked;

    /// A single question in the form of `POST /v1/decide`.
    #[derive(Debug)]
    pub struct Request<'a> {
        /// What is asked.
        pub asked: Asked<'a>,
        /// The pack that it names.
        pub pack: Option<Cow<'a, str>>,
        /// The obligation kinds that the caller will carry out.
        pub understands: Vec<Cow<'a, str>>,
        /// Whether the answer explains itself.
        pub explain: bool,
    }

    impl<'a> Request<'a> {
        /// Reads it as the server would.
        ///
        /// # Errors
        /// What the server would say.
        pub fn read(text: &'a str) -> Result<Self, String> {
            Self::parse(text).map_err(|error| error.to_string())
        }

        fn parse(text: &'a str) -> Result<Self, ApiError> {
            let request: DecideRequest<'a> = crate::http::body::parse(text)?;
            request.check_form()?;
            if request.evaluations.is_some() {
                return Err(ApiError::InvalidRequest(
                    "`evaluations`: one question at a time without a server".into(),
                ));
            }
            let parts = Parts {
                subject: request.subject,
                action: request.action,
                resource: request.resource,
                context: request.context,
            };
            let asked = parts.read::<Strict>()?;
            let understands = request.understands.unwrap_or_default();
            Ok(Self { asked, pack: request.pack, understands, explain: request.explain.unwrap_or_default() })
        }
    }
}
