//! `GET /v1/decisions` and `GET /v1/decisions/{id}`: what was decided, from the decision log.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, Request, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::caller::Authenticated;
use super::cursor;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::audit::{AuditError, Kind, RecordId, RecordRef, Scan};
use crate::caller::Right;
use crate::clock::Timestamp;
use crate::evaluation::{Noticed, PluginCall, Risk};
use crate::record::{PolicyFailure, STAGES};

/// How much of the log one call reads, in bytes.
const SCAN_BYTES: u64 = 64 << 20;
/// How much of it one page takes, or a little more.
const PAGE_BYTES: usize = 4 << 20;
const LIMIT: usize = 50;
const MOST: usize = 500;

/// What a record holds, as far as it is shown.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    actor: Actor<'a>,
    #[serde(borrow)]
    api: Api<'a>,
    action_id: u8,
    #[serde(default, borrow)]
    resources: Vec<Named<'a>>,
    #[serde(borrow)]
    unmapped: Own<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    uid: &'a str,
}

#[derive(Deserialize)]
struct Actor<'a> {
    #[serde(borrow, default)]
    user: Option<Named<'a>>,
    #[serde(borrow, default)]
    app_uid: Cow<'a, str>,
    #[serde(borrow, default)]
    app_name: Cow<'a, str>,
}

/// A type and an id, as OCSF names them.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Api<'a> {
    #[serde(borrow)]
    operation: Cow<'a, str>,
    #[serde(default, borrow)]
    service: Option<Service<'a>>,
    #[serde(default, borrow)]
    request: Option<CallersRequest<'a>>,
}

#[derive(Deserialize)]
struct Service<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct CallersRequest<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Own<'a> {
    #[serde(borrow)]
    via: &'a str,
    #[serde(borrow)]
    tenant: Cow<'a, str>,
    #[serde(borrow)]
    revision: &'a str,
    reasons: Vec<String>,
    #[serde(default)]
    obligations: Vec<serde_json::Value>,
    #[serde(default)]
    understands: Vec<String>,
    #[serde(default, borrow)]
    subject_properties: Option<&'a RawValue>,
    #[serde(default, borrow)]
    action_properties: Option<&'a RawValue>,
    #[serde(default, borrow)]
    resource_properties: Option<&'a RawValue>,
    #[serde(default, borrow)]
    context: Option<&'a RawValue>,
    #[serde(default, borrow)]
    http: Option<&'a RawValue>,
    #[serde(default)]
    findings: Vec<Noticed>,
    #[serde(default)]
    risk: Option<Risk>,
    #[serde(default)]
    plugins: Vec<PluginCall>,
    #[serde(default, borrow)]
    inspected_with: Option<Cow<'a, str>>,
    #[serde(default)]
    errors: Vec<PolicyFailure>,
    stages_ns: BTreeMap<String, u64>,
}

/// A decision as it was recorded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DecisionResponse {
    /// `dec_…`.
    id: String,
    /// When it was decided.
    time: Option<String>,
    /// How it was asked for: `authzen` or `decide`.
    via: String,
    /// The id of the caller that asked.
    caller_id: String,
    /// What its people call it.
    caller_name: String,
    /// The caller's own id of the request (`X-Request-ID`).
    request_id: Option<String>,
    /// The pack that judged.
    pack: Option<String>,
    /// What it was decided on.
    revision: String,
    /// Whether it was allowed.
    decision: bool,
    /// `allow` or `deny`.
    outcome: String,
    /// Why.
    reasons: Vec<String>,
    /// What the caller must do.
    #[schema(value_type = Vec<crate::decision::obligation::Obligation>)]
    obligations: Vec<serde_json::Value>,
    /// What the caller said it would carry out.
    understands: Vec<String>,
    /// What was asked: subject, action, resource, context. Null for an item that lacked something.
    input: Option<Input>,
    /// The application's own request.
    #[schema(value_type = Option<Object>)]
    http: Option<Box<RawValue>>,
    /// What was noticed of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    findings: Vec<Noticed>,
    /// How bad it looks.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<Risk>,
    /// Plugins that were called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    plugins: Vec<PluginCall>,
    /// The id of the decision that has the findings: the first of the same batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    inspected_with: Option<String>,
    /// Policies that failed.
    errors: Vec<PolicyFailure>,
    /// How long each stage took.
    stages: Vec<StageTime>,
}

/// One stage, and how long it took.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StageTime {
    /// Its name.
    name: String,
    /// How long it took, in nanoseconds.
    duration_ns: u64,
}

/// What was asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Input {
    /// Who.
    subject: InputEntity,
    /// Does what.
    action: InputAction,
    /// To what.
    resource: InputEntity,
    /// Under which circumstances.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    context: Option<Box<RawValue>>,
}

/// A subject or a resource that was asked about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct InputEntity {
    /// Its type.
    #[serde(rename = "type")]
    type_name: String,
    /// Its id.
    id: String,
    /// What the application said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    properties: Option<Box<RawValue>>,
}

/// An action that was asked about.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct InputAction {
    /// Its name.
    name: String,
    /// What the application said of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    properties: Option<Box<RawValue>>,
}

/// A page of decisions, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DecisionsResponse {
    /// The decisions.
    items: Vec<DecisionResponse>,
    /// The cursor of the next page; null at the end.
    next: Option<String>,
}

/// Which decisions.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DecisionsQuery {
    /// Not before (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// Before (RFC 3339).
    #[param(format = DateTime)]
    to: Option<String>,
    /// `allow` or `deny`.
    outcome: Option<crate::decision::Verdict>,
    /// The pack that judged.
    pack: Option<String>,
    /// The subject's type.
    subject_type: Option<String>,
    /// The subject's id.
    subject_id: Option<String>,
    /// How many, 1 to 500; 50 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// One decision.
#[utoipa::path(
    get, path = "/v1/decisions/{id}", tag = "decisions", operation_id = "read_decision",
    params(("id" = String, Path, description = "`dec_…`, as the answer gave it")),
    responses((status = 200, body = DecisionResponse), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody))
)]
pub(super) async fn read_decision(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<DecisionResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::ReadDecisions).await?;
    // A path that is no text names nothing.
    let Path(id) = path.map_err(|_| ApiError::NotFound)?;
    if RecordId::parse(&id).is_none() {
        return Err(ApiError::NotFound);
    }
    let record = app.log.find(&id).await.map_err(|error| unreadable(&error))?.ok_or(ApiError::NotFound)?;
    if record.kind != Kind::Decision.as_str() {
        return Err(ApiError::NotFound);
    }
    let stored: Stored<'_> = serde_json::from_slice(&record.event).map_err(|error| {
        tracing::error!(%error, decision_id = id, "a record can't be read");
        ApiError::Defect
    })?;
    // Another tenant's decision is not there.
    if stored.unmapped.tenant != who.caller.tenant {
        return Err(ApiError::NotFound);
    }
    Ok(Json(stored.into_response(record.time)))
}

/// Decisions by time.
#[utoipa::path(
    get, path = "/v1/decisions", tag = "decisions", operation_id = "list_decisions", params(DecisionsQuery),
    responses((status = 200, body = DecisionsResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody))
)]
pub(super) async fn list_decisions(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<DecisionsResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::ReadDecisions).await?;
    let Query(query) = Query::<DecisionsQuery>::try_from_uri(&parts.uri)
        .map_err(|error| ApiError::InvalidRequest(error.body_text()))?;
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::InvalidRequest(format!("`limit` must be from 1 to {MOST}")));
    }
    let parameters = query.parameters(&who.caller.tenant);
    let before =
        query.cursor.as_ref().map(|text| cursor::read(&app.cursor_key, text, &parameters)).transpose()?;
    let from = time("from", query.from.as_ref())?;
    let to = time("to", query.to.as_ref())?;
    let scan = Scan { from, to, before, limit, max_bytes: SCAN_BYTES, page_bytes: PAGE_BYTES };
    let tenant = who.caller.tenant.clone();
    let filter = move |record: &RecordRef<'_>| query.matches(record, &tenant);
    let page = app.log.scan(scan, filter).await.map_err(|error| unreadable(&error))?;
    let shown = page.items.iter().filter_map(|record| {
        let stored: Stored<'_> = serde_json::from_slice(&record.event).ok()?;
        Some(stored.into_response(record.time))
    });
    Ok(Json(DecisionsResponse {
        items: shown.collect(),
        next: page.next.map(|place| cursor::write(&app.cursor_key, place, &parameters)),
    }))
}

fn unreadable(error: &AuditError) -> ApiError {
    tracing::error!(%error, "the decision log can't be read");
    ApiError::Unavailable
}

fn time(name: &str, text: Option<&String>) -> Result<Option<Timestamp>, ApiError> {
    let wrong = || ApiError::InvalidRequest(format!("`{name}` must be a time with offset (RFC 3339)"));
    text.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()
}

impl DecisionsQuery {
    /// What a cursor is tied to.
    fn parameters(&self, tenant: &str) -> String {
        let Self { from, to, outcome, pack, subject_type, subject_id, .. } = self;
        format!("{:?}", (tenant, from, to, outcome, pack, subject_type, subject_id))
    }

    fn matches(&self, record: &RecordRef<'_>, tenant: &str) -> bool {
        if record.kind != Kind::Decision.as_str() {
            return false;
        }
        let Ok(stored) = serde_json::from_slice::<Stored<'_>>(record.event) else { return false };
        let wanted = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let allowed = stored.action_id == ALLOWED;
        let subject = stored.actor.user.as_ref();
        stored.unmapped.tenant == tenant
            && self.outcome.is_none_or(|outcome| (outcome == crate::decision::Verdict::Allow) == allowed)
            && wanted(&self.pack, stored.api.service.as_ref().map(|service| &*service.name))
            && wanted(&self.subject_type, subject.map(|subject| &*subject.type_name))
            && wanted(&self.subject_id, subject.map(|subject| &*subject.uid))
    }
}

/// OCSF's `action_id` of what was allowed.
const ALLOWED: u8 = 1;

impl Stored<'_> {
    fn into_response(self, time: Timestamp) -> DecisionResponse {
        let input = self.input();
        let own = self.unmapped;
        let allowed = self.action_id == ALLOWED;
        let mut stages: Vec<StageTime> =
            own.stages_ns.into_iter().map(|(name, duration_ns)| StageTime { name, duration_ns }).collect();
        let order = |stage: &StageTime| STAGES.iter().position(|known| *known == stage.name);
        stages.sort_by_key(order);
        DecisionResponse {
            id: self.metadata.uid.to_owned(),
            time: time.to_rfc3339(),
            via: own.via.to_owned(),
            caller_id: self.actor.app_uid.into_owned(),
            caller_name: self.actor.app_name.into_owned(),
            request_id: self.api.request.map(|request| request.uid.into_owned()),
            pack: self.api.service.map(|service| service.name.into_owned()),
            revision: own.revision.to_owned(),
            decision: allowed,
            outcome: if allowed { "allow" } else { "deny" }.to_owned(),
            reasons: own.reasons,
            obligations: own.obligations,
            understands: own.understands,
            input,
            http: own.http.map(ToOwned::to_owned),
            findings: own.findings,
            risk: own.risk,
            plugins: own.plugins,
            inspected_with: own.inspected_with.map(Cow::into_owned),
            errors: own.errors,
            stages,
        }
    }

    fn input(&self) -> Option<Input> {
        let entity = |named: &Named<'_>, properties: Option<&RawValue>| InputEntity {
            type_name: named.type_name.to_string(),
            id: named.uid.to_string(),
            properties: properties.map(ToOwned::to_owned),
        };
        let own = &self.unmapped;
        Some(Input {
            subject: entity(self.actor.user.as_ref()?, own.subject_properties),
            action: InputAction {
                name: self.api.operation.to_string(),
                properties: own.action_properties.map(ToOwned::to_owned),
            },
            resource: entity(self.resources.first()?, own.resource_properties),
            context: own.context.map(ToOwned::to_owned),
        })
    }
}
