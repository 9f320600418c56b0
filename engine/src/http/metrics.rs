//! `GET /metrics`: Prometheus' text format 0.0.4.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::caller::Right;

/// All metrics.
#[utoipa::path(
    get, path = "/metrics", tag = "operation",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody))
)]
pub(super) async fn read_metrics(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::ReadMetrics).await?;
    app.metrics.knows(app.knowledge_age(), app.clock_offset_us());
    app.metrics.inspected(&app.validation.shares(), app.aftermath.dropped());
    let mut text = app.metrics.render(&app.log.stats());
    app.render_plugins(&mut text);
    app.render_bundle(&mut text);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
