//! `plugin.sig`: who vouches for a plugin.
//!
//! Promises: a signature is of one component with one manifest: neither can be exchanged. Ed25519 (RFC 8032).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::digest;

/// The name of the file beside a component.
pub const FILE: &str = "plugin.sig";

/// A public key, written `ed25519:` and base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey([u8; 32]);

/// A secret key.
#[derive(Debug)]
pub struct SigningKey(Ed25519KeyPair);

/// What `plugin.sig` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Whose it is.
    pub key: VerifyingKey,
    /// The 64 bytes, in base64.
    pub signature: String,
}

/// What is signed: which component, with which manifest.
pub fn message(component: &[u8], manifest: &[u8]) -> Vec<u8> {
    let parts: [&[u8]; 3] = [b"portcullis plugin v1\n", &digest(component).0, &digest(manifest).0];
    parts.concat()
}

impl Signature {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    /// The file's text.
    pub fn to_text(&self) -> String {
        format!("key = \"{}\"\nsignature = \"{}\"\n", self.key, self.signature)
    }

    /// Whether it is the key's, of this message.
    pub fn verifies(&self, message: &[u8]) -> bool {
        let Ok(signature) = STANDARD.decode(&self.signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.key.0).verify(message, &signature).is_ok()
    }
}

impl SigningKey {
    /// A key of 32 random bytes.
    ///
    /// # Errors
    /// When they are no key.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, String> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|error| error.to_string())
    }

    /// Reads PEM (PKCS #8), or the base64 of the seed.
    ///
    /// # Errors
    /// What is wanted instead.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const WANTED: &str = "an Ed25519 key as PEM (PKCS #8), or the base64 of its seed of 32 bytes";
        if text.contains("-----BEGIN") {
            let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| WANTED)?;
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der());
            return pair.map(Self).map_err(|_| WANTED);
        }
        let seed = STANDARD.decode(text.trim()).map(Zeroizing::new).map_err(|_| WANTED)?;
        Ed25519KeyPair::from_seed_unchecked(&seed).map(Self).map_err(|_| WANTED)
    }

    /// A seed as PEM (PKCS #8, RFC 8410 §7), as other programs read it.
    pub fn to_pem(seed: &[u8; 32]) -> Zeroizing<String> {
        /// Version 0, the algorithm 1.3.101.112, and the headers of two octet strings.
        const HEAD: [u8; 16] =
            [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        let der = Zeroizing::new([&HEAD[..], seed].concat());
        let base64 = Zeroizing::new(STANDARD.encode(&*der));
        Zeroizing::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *base64))
    }

    /// The public half.
    ///
    /// # Errors
    /// Never, with this algorithm's keys.
    pub fn verifying_key(&self) -> Result<VerifyingKey, String> {
        let bytes = self.0.public_key().as_ref().try_into();
        bytes.map(VerifyingKey).map_err(|_| "the public key has not 32 bytes".to_owned())
    }

    /// Signs a component with its manifest.
    ///
    /// # Errors
    /// As [`SigningKey::verifying_key`].
    pub fn sign(&self, component: &[u8], manifest: &[u8]) -> Result<Signature, String> {
        self.sign_message(&message(component, manifest))
    }

    /// Signs a message, which says itself what it is of.
    ///
    /// # Errors
    /// As [`SigningKey::verifying_key`].
    pub fn sign_message(&self, message: &[u8]) -> Result<Signature, String> {
        let signature = STANDARD.encode(self.0.sign(message));
        Ok(Signature { key: self.verifying_key()?, signature })
    }
}

impl fmt::Display for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ed25519:{}", STANDARD.encode(self.0))
    }
}

impl FromStr for VerifyingKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix("ed25519:").and_then(|base64| STANDARD.decode(base64).ok());
        let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| format!("`{text}` is no key: it is `ed25519:` and the 32 bytes in base64"))
    }
}

impl Serialize for VerifyingKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VerifyingKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_both_forms_and_nothing_else_is_one() {
        let public = SigningKey::from_seed(&[7; 32]).unwrap().verifying_key().unwrap();
        for text in [SigningKey::to_pem(&[7; 32]).to_string(), STANDARD.encode([7; 32]) + "\n"] {
            assert_eq!(SigningKey::parse(&text).unwrap().verifying_key(), Ok(public));
        }
        for wrong in ["", "AAAA", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(SigningKey::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_signature_is_of_one_component_with_one_manifest() {
        let key = SigningKey::from_seed(&[7; 32]).unwrap();
        let signature = Signature::parse(&key.sign(b"component", b"manifest").unwrap().to_text()).unwrap();
        assert_eq!(signature.key.to_string().parse(), Ok(key.verifying_key().unwrap()));
        assert!(signature.verifies(&message(b"component", b"manifest")));
        for (component, manifest) in [
            ("componenT", "manifest"),
            ("component", "manifesT"),
            ("manifest", "component"),
            ("componentm", "anifest"),
        ] {
            assert!(!signature.verifies(&message(component.as_bytes(), manifest.as_bytes())));
        }
        let other = SigningKey::from_seed(&[8; 32]).unwrap().verifying_key().unwrap();
        assert!(!Signature { key: other, ..signature }.verifies(&message(b"component", b"manifest")));
    }
}
