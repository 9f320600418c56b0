//! Keys of cases: what they make of a message is known beforehand, so that a case can say it.
//!
//! Promises: they compute what a server's keys compute. Must never: be used for anything but cases: whoever reads the case has
//! the key.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::Deserialize;

use super::TrialError;
use crate::plugin::surroundings::{Algorithm, Keys, Refusal};

const NONCE_BYTES: usize = 24;

/// A key of a case.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseKey {
    /// What it is for.
    pub algorithm: Algorithm,
    /// Text. For `hmac-sha256` it is the key; the others are made of its SHA-256.
    #[serde(default)]
    pub secret: Option<String>,
    /// The key itself: for `ed25519` its seed of 32 bytes.
    #[serde(default)]
    pub secret_base64: Option<String>,
}

/// Keys of cases, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct CaseKeys(BTreeMap<String, CaseKey>);

impl CaseKeys {
    /// These and others.
    ///
    /// # Errors
    /// When a name stands for two keys.
    pub fn join(&mut self, others: &Self) -> Result<(), TrialError> {
        for (name, key) in &others.0 {
            let known = self.0.entry(name.clone()).or_insert_with(|| key.clone());
            if known != key {
                return Err(TrialError::Key(format!(
                    "two keys of the cases are called `{name}`, and differ"
                )));
            }
        }
        Ok(())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.0.keys().cloned()
    }

    /// The keys, made.
    ///
    /// # Errors
    /// When a secret is missing, or of a wrong length.
    pub(super) fn make(&self) -> Result<Arc<dyn Keys>, TrialError> {
        let made = self.0.iter().map(|(name, key)| {
            let made =
                key.make().map_err(|message| TrialError::Key(format!("the key `{name}`: {message}")))?;
            Ok((name.clone(), made))
        });
        Ok(Arc::new(Ring(made.collect::<Result<_, TrialError>>()?)))
    }
}

impl CaseKey {
    fn make(&self) -> Result<Made, String> {
        let (given, is_text) = match (&self.secret, &self.secret_base64) {
            (Some(text), None) => (text.as_bytes().to_vec(), true),
            (None, Some(base64)) => (STANDARD.decode(base64).map_err(|error| error.to_string())?, false),
            _ => return Err("it has either `secret` or `secret_base64`".to_owned()),
        };
        if self.algorithm == Algorithm::HmacSha256 {
            return Ok(Made::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &given))));
        }
        let bytes = if is_text { digest(&SHA256, &given).as_ref().to_vec() } else { given };
        let made = match self.algorithm {
            Algorithm::Ed25519 => {
                Ed25519KeyPair::from_seed_unchecked(&bytes).ok().map(|pair| Made::Ed25519(Box::new(pair)))
            }
            _ => XChaCha20Poly1305::new_from_slice(&bytes).ok().map(|cipher| Made::Seal(Box::new(cipher))),
        };
        made.ok_or_else(|| "`secret_base64` must be 32 bytes".to_owned())
    }
}

enum Made {
    Hmac(Box<hmac::Key>),
    Ed25519(Box<Ed25519KeyPair>),
    Seal(Box<XChaCha20Poly1305>),
}

struct Ring(BTreeMap<String, Made>);

impl std::fmt::Debug for Ring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

impl Ring {
    fn get(&self, name: &str) -> Result<&Made, Refusal> {
        self.0.get(name).ok_or(Refusal::Unknown)
    }

    fn cipher(&self, name: &str) -> Result<&XChaCha20Poly1305, Refusal> {
        if let Made::Seal(cipher) = self.get(name)? { Ok(cipher) } else { Err(Refusal::Invalid) }
    }
}

impl Keys for Ring {
    fn algorithm(&self, name: &str) -> Result<Algorithm, Refusal> {
        Ok(match self.get(name)? {
            Made::Hmac(_) => Algorithm::HmacSha256,
            Made::Ed25519(_) => Algorithm::Ed25519,
            Made::Seal(_) => Algorithm::XChaCha20Poly1305,
        })
    }

    fn sign(&self, name: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self.get(name)? {
            Made::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Made::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Made::Seal(_) => Err(Refusal::Invalid),
        }
    }

    fn verify(&self, name: &str, message: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        match self.get(name)? {
            Made::Hmac(key) => Ok(hmac::verify(key, message, signature).is_ok()),
            Made::Ed25519(pair) => {
                let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
                Ok(public.verify(message, signature).is_ok())
            }
            Made::Seal(_) => Err(Refusal::Invalid),
        }
    }

    fn seal(&self, name: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        let cipher = self.cipher(name)?;
        // The same for the same text, so that a case can say it. A server's is drawn.
        let whole = digest(&SHA256, plain);
        let nonce = whole.as_ref().get(..NONCE_BYTES).ok_or(Refusal::Unavailable)?;
        let payload = Payload { msg: plain, aad: place };
        let sealed = cipher.encrypt(XNonce::from_slice(nonce), payload).map_err(|_| Refusal::Invalid)?;
        Ok([nonce, &sealed].concat())
    }

    fn open(&self, name: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        let cipher = self.cipher(name)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(Refusal::Invalid)?;
        let payload = Payload { msg: sealed, aad: place };
        cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| Refusal::Invalid)
    }
}
