//! `POST /v1/policies/simulate`: what would these policies say?

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use tokio::sync::Semaphore;

use super::body::{JsonBody, refuse_duplicates};
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::caller::Right;
use crate::policy::bounds::on_deep_stack;
use crate::policy::simulate::{Simulation, SimulationResult, simulate};

/// Simulations at once: each may take a core and a deep stack for a while.
static ROOM: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

/// A simulation that takes longer is stopped.
const PATIENCE: Duration = Duration::from_secs(20);

/// Tells the work when nobody waits for it.
struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Judges policies that come with the request; never touches what is being served.
#[utoipa::path(
    post, path = "/v1/policies/simulate", tag = "policies", operation_id = "simulate_policies",
    request_body(content = Simulation, content_type = "application/json"),
    responses((status = 200, body = SimulationResult), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 413, body = ProblemBody), (status = 415, body = ProblemBody))
)]
pub(super) async fn simulate_policies(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<SimulationResult>, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::Simulate).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    // Entities and contexts are read as Cedar reads them, which would let the last of two keys count.
    refuse_duplicates(body.text())?;
    let simulation: Simulation = body.parse()?;
    let limit = app.config.limits.batch_items;
    if simulation.requests.len() > limit {
        return Err(ApiError::BatchTooLarge(format!(
            "a simulation has at most {limit} requests (`limits.batch_items`)"
        )));
    }
    let room = ROOM.acquire().await.map_err(|_| ApiError::Unavailable)?;
    // Set when the answer is there, or when the client has left and this is dropped.
    let done = Done(Arc::new(AtomicBool::new(false)));
    let (left, clock) = (Arc::clone(&done.0), Arc::clone(&app.clock));
    let until = clock.monotonic() + PATIENCE;
    let stop = move || left.load(Ordering::Relaxed) || clock.monotonic() > until;
    let judged = tokio::task::spawn_blocking(move || {
        // Held by the work and not by who waits for it.
        let _room = room;
        on_deep_stack(move || simulate(&simulation, &stop))
    })
    .await;
    drop(done);
    match judged {
        Ok(Some(Ok(result))) => Ok(Json(result)),
        Ok(Some(Err(problems))) => {
            Err(ApiError::PoliciesInvalid(problems.iter().map(ToString::to_string).collect()))
        }
        Ok(None) | Err(_) => Err(ApiError::Defect),
    }
}
