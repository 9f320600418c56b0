//! Signs outgoing requests by HTTP Message Signatures (RFC 9421), and bytes as a webhook.
//!
//! Promises: what is signed is what is sent, component by component, or there is no signature; the key's bytes are never here. Must
//! never: sign a component that the request does not have.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_sdk::host::crypto::{self, Algorithm};
use portcullis_sdk::prelude::*;
use sha2::{Digest as _, Sha256};

mod base;
mod uri;

use base::{Parameters, signature_base};

/// The plugin's configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    components: Vec<String>,
    label: String,
    expires_seconds: u64,
    nonce: bool,
    keyid: Option<String>,
    tag: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            components: ["@method", "@target-uri", "content-digest"].map(str::to_owned).into(),
            label: "sig1".to_owned(),
            expires_seconds: 300,
            nonce: true,
            keyid: None,
            tag: None,
        }
    }
}

/// The plugin.
struct RequestSigner(Settings);

const CONTENT_DIGEST: &str = "content-digest";
const RANDOM_BYTES: u32 = 16;

impl Sign for RequestSigner {
    type Config = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self(settings))
    }

    fn sign(&self, message: &Message, key: &str) -> Result<Vec<Header>, Failure> {
        match message {
            Message::Bytes(bytes) => webhook(bytes, key),
            Message::Request(request) => self.sign_request(request, key),
        }
    }
}

impl RequestSigner {
    fn sign_request(&self, request: &Components, key: &str) -> Result<Vec<Header>, Failure> {
        let settings = &self.0;
        let mut added = Vec::new();
        let mut signed = request.clone();
        if settings.components.iter().any(|component| component == CONTENT_DIGEST) {
            // One that the application has sent may be of another body.
            signed.headers.retain(|header| header.name != CONTENT_DIGEST);
            let digest = Header::new(CONTENT_DIGEST, content_digest(&request.body));
            signed.headers.push(digest.clone());
            added.push(digest);
        }
        let created = host::clock::now_milliseconds() / 1_000;
        let expires = (settings.expires_seconds > 0).then(|| created + settings.expires_seconds);
        let parameters = Parameters {
            created,
            expires,
            nonce: settings.nonce.then(|| STANDARD.encode(host::random::bytes(RANDOM_BYTES))),
            keyid: settings.keyid.as_deref().unwrap_or(key),
            algorithm: match crypto::algorithm_of(key).map_err(unusable)? {
                Algorithm::HmacSha256 => "hmac-sha256",
                Algorithm::Ed25519 => "ed25519",
                _ => return Err(Failure::Unsupported),
            },
            tag: settings.tag.as_deref(),
        };
        let input = parameters.input(&settings.components).ok_or(Failure::Invalid)?;
        let base = signature_base(&signed, &settings.components, &input).ok_or(Failure::Invalid)?;
        let signature = crypto::sign(key, base.as_bytes()).map_err(unusable)?;
        let label = &settings.label;
        added.push(Header::new("signature-input", format!("{label}={input}")));
        added.push(Header::new("signature", format!("{label}=:{}:", STANDARD.encode(signature))));
        Ok(added)
    }
}

/// RFC 9530 §2.
fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// The three headers of Standard Webhooks 1.0: the bytes are signed with an id and the time in front, `v1` by HMAC and `v1a` by Ed25519.
fn webhook(bytes: &[u8], key: &str) -> Result<Vec<Header>, Failure> {
    let version = match crypto::algorithm_of(key).map_err(unusable)? {
        Algorithm::HmacSha256 => "v1",
        Algorithm::Ed25519 => "v1a",
        _ => return Err(Failure::Unsupported),
    };
    let random: String = host::random::bytes(RANDOM_BYTES).iter().map(|byte| format!("{byte:02x}")).collect();
    let id = format!("msg_{random}");
    let seconds = host::clock::now_milliseconds() / 1_000;
    let signed = [format!("{id}.{seconds}.").as_bytes(), bytes].concat();
    let signature = STANDARD.encode(crypto::sign(key, &signed).map_err(unusable)?);
    Ok(vec![
        Header::new("webhook-id", id),
        Header::new("webhook-timestamp", seconds.to_string()),
        Header::new("webhook-signature", format!("{version},{signature}")),
    ])
}

fn unusable(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Unavailable => Failure::Unavailable,
        _ => Failure::Misconfigured,
    }
}

portcullis_sdk::export_sign!(RequestSigner);
