//! `POST /v1/mask`: a document without what a decision says must not be seen.
//!
//! Promises: a document comes out only when all that the decision obliges to mask is masked, and it is recorded.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::{JsonBody, refuse_duplicates};
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::oblige;
use crate::record::Via;

/// What to mask.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MaskRequest<'a> {
    /// `dec_…`, as the caller's own answer gave it.
    #[schema(value_type = String)]
    decision_id: std::borrow::Cow<'a, str>,
    /// Any JSON value.
    #[serde(borrow)]
    #[schema(value_type = Value)]
    document: &'a RawValue,
}

/// The masked document.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct MaskResponse {
    /// The decision.
    decision_id: String,
    /// The document. What was not masked is as it was written.
    #[schema(value_type = Value)]
    document: Box<RawValue>,
    /// How many places were changed.
    edits: usize,
}

/// Masks a document as a decision obliges to.
#[utoipa::path(
    post, path = "/v1/mask", tag = "obligations", operation_id = "mask_document",
    request_body(content = MaskRequest, content_type = "application/json"),
    responses((status = 200, body = MaskResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 422, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn mask_document(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<MaskResponse>, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    refuse_duplicates(body.text())?;
    let MaskRequest { decision_id, document } = body.parse()?;
    let by = who.circumstances(Via::Management);
    let masked = oblige::mask(&app, &by, &decision_id, document.get()).await?;
    let document = RawValue::from_string(masked.document).map_err(|error| {
        tracing::error!(%error, decision_id = &*decision_id, "a masked document is no JSON");
        ApiError::Defect
    })?;
    Ok(Json(MaskResponse { decision_id: decision_id.into_owned(), document, edits: masked.edits }))
}
