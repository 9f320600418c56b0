//! `GET /v1/keys`: the named keys, as far as everybody may know them.
//!
//! Must never: show a secret.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;

use super::caller::Authenticated;
use super::error::{ApiError, ProblemBody};
use crate::app::App;
use crate::caller::Right;
use crate::plugin::surroundings::Algorithm;
use crate::protect::PublicKey;

/// The named keys.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct KeysResponse {
    /// By name; all of them.
    items: Vec<KeyResponse>,
    /// Always null.
    #[schema(value_type = Option<String>)]
    next: (),
}

/// A named key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct KeyResponse {
    /// Its name.
    name: String,
    /// What it is for.
    algorithm: Algorithm,
    /// What others verify with, in base64; for `ed25519`.
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    /// The same as a JSON Web Key (RFC 8037 §2).
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<Jwk>,
}

/// A public key as a JSON Web Key (RFC 7517, RFC 8037).
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Jwk {
    /// `OKP`.
    kty: &'static str,
    /// `Ed25519`.
    crv: &'static str,
    /// The key, in base64url without padding.
    x: String,
    /// Its name.
    kid: String,
    /// `EdDSA`.
    alg: &'static str,
    /// `sig`.
    #[serde(rename = "use")]
    usage: &'static str,
}

impl From<PublicKey> for KeyResponse {
    fn from(key: PublicKey) -> Self {
        let jwk = key.public_key.as_ref().map(|bytes| Jwk {
            kty: "OKP",
            crv: "Ed25519",
            x: URL_SAFE_NO_PAD.encode(bytes),
            kid: key.name.clone(),
            alg: "EdDSA",
            usage: "sig",
        });
        let public_key = key.public_key.map(|bytes| STANDARD.encode(bytes));
        Self { name: key.name, algorithm: key.algorithm, public_key, jwk }
    }
}

/// The named keys.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", operation_id = "list_keys",
    responses((status = 200, body = KeysResponse), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 503, body = ProblemBody))
)]
pub(super) async fn list_keys(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<KeysResponse>, ApiError> {
    let (parts, _) = request.into_parts();
    let who = Authenticated::of(&app, &parts).await?;
    who.may(&app, Right::ReadKeys).await?;
    Ok(Json(KeysResponse { items: app.keys.public_keys().map(KeyResponse::from).collect(), next: () }))
}
