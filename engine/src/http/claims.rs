//! `POST /v1/claims`: who is first? For what an application must do only once: a nonce, a webhook's id, a one-time link.
//!
//! Promises: of all that ask for a key of a tenant, one claimant is told `claimed`, until its time is over. Must never:
//! say `claimed` when the state could not be asked.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};

use super::body::JsonBody;
use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::caller::Right;
use crate::protect::digest;
use crate::state::Claim;

const MAX_BYTES: usize = 512;
const MAX_TTL_SECONDS: u32 = 2_592_000;

/// What to claim.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimRequest {
    /// What may be claimed once in the caller's tenant, 1 to 512 bytes.
    #[schema(min_length = 1, max_length = 512)]
    key: String,
    /// After how many seconds it may be claimed again.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_seconds: u32,
    /// Who claims, 1 to 512 bytes: the same claimant is told `claimed` again, so that it can ask again when an answer
    /// was lost. Without it every call is another claimant.
    #[schema(min_length = 1, max_length = 512)]
    claimant: Option<String>,
}

/// Whose it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ClaimResponse {
    /// Whether the key is this claimant's.
    claimed: bool,
    /// Until when, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    claimed_until: Option<String>,
}

/// Claims a key once.
#[utoipa::path(
    post, path = "/v1/claims", tag = "claims", operation_id = "claim_key",
    request_body(content = ClaimRequest, content_type = "application/json"),
    responses((status = 200, body = ClaimResponse), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 413, body = ProblemBody), (status = 415, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn claim_key(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<ClaimResponse>, ApiError> {
    let (parts, body) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::Claim).await?;
    let body = JsonBody::read(&app, &parts, body).await?;
    let ClaimRequest { key, ttl_seconds, claimant } = body.parse()?;
    check("key", &key)?;
    if !(1..=MAX_TTL_SECONDS).contains(&ttl_seconds) {
        let wrong = format!("`ttl_seconds` must be from 1 to {MAX_TTL_SECONDS}");
        return Err(ApiError::InvalidRequest(wrong));
    }
    // Given and made claimants can't be each other.
    let claimant = match claimant {
        Some(claimant) => {
            check("claimant", &claimant)?;
            format!("given {}", hex::encode(digest(&[&claimant])))
        }
        None => {
            let own = app.rng.id_bytes().map_err(|_| ApiError::Unavailable)?;
            format!("call {}", hex::encode(own))
        }
    };
    // Framed, so that no tenant's key is another's.
    let place = format!("claims/{}", hex::encode(digest(&[&who.caller.tenant, &key])));
    let ttl = Duration::from_secs(ttl_seconds.into());
    let claimed_until = match app.state.claim_once(&place, &claimant, ttl).await? {
        Claim::Won { until } => until.to_rfc3339(),
        Claim::Lost => None,
    };
    Ok(Json(ClaimResponse { claimed: claimed_until.is_some(), claimed_until }))
}

fn check(name: &str, text: &str) -> Result<(), ApiError> {
    if (1..=MAX_BYTES).contains(&text.len()) && !text.contains('\0') {
        return Ok(());
    }
    let wrong = format!("`{name}` must have 1 to {MAX_BYTES} bytes and no NUL character");
    Err(ApiError::InvalidRequest(wrong))
}
