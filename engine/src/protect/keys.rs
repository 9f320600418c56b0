//! Keys that the operator names: what plugins sign and seal with.
//!
//! Promises: a key is derived from the root key under its own name and algorithm, or read from a file that is its
//! owner's alone; its bytes are wiped when it is dropped. Must never: show a key, or use one for another algorithm than
//! its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use super::{Key, RootKey};
use crate::config::{Keys as Configured, NamedKey};
use crate::plugin::surroundings::{Algorithm, Keys, Refusal};
use crate::random::Rng;

/// A file of a key is smaller.
const MOST_BYTES: u64 = 16 << 10;
/// Shorter secrets can be guessed.
const HMAC_BYTES: std::ops::RangeInclusive<usize> = 16..=1024;

/// Why a named key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Its file can't be read.
    #[error("can't read the file `{}` of the key `{name}`: {source}", path.display())]
    Unreadable {
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others can read or write its file.
    #[error("`{}`, the file of the key `{name}`, has mode {mode:04o}, which lets others at it: run `chmod 600`", path.display())]
    TooOpen {
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Its file holds something else.
    #[error("`{}` does not hold the key `{name}`: {wanted}", path.display())]
    Malformed {
        /// Its name.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wanted.
        wanted: &'static str,
    },
}

/// Named keys.
pub struct KeyRing {
    keys: BTreeMap<String, Named>,
    rng: Arc<dyn Rng>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.keys.keys()).finish()
    }
}

enum Named {
    Ed25519(Ed25519KeyPair),
    HmacSha256(Box<hmac::Key>),
    Sealing(Key),
}

/// What everybody may know of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub algorithm: Algorithm,
    /// For `ed25519`, what others verify with (RFC 8032 §5.1.5).
    pub public_key: Option<Vec<u8>>,
}

impl KeyRing {
    /// The keys of the configuration.
    ///
    /// # Errors
    /// When a file can't be read, is too open, or holds something else.
    pub fn open(configured: &Configured, root: &RootKey, rng: Arc<dyn Rng>) -> Result<Self, KeyError> {
        let key = |(name, key): (&String, &NamedKey)| Ok((name.clone(), Named::open(name, key, root)?));
        Ok(Self { keys: configured.iter().map(key).collect::<Result<_, KeyError>>()?, rng })
    }

    /// All keys by name, as far as everybody may know them.
    pub fn public_keys(&self) -> impl Iterator<Item = PublicKey> {
        self.keys.iter().map(|(name, key)| PublicKey {
            name: name.clone(),
            algorithm: key.algorithm(),
            public_key: match key {
                Named::Ed25519(pair) => Some(pair.public_key().as_ref().to_vec()),
                _ => None,
            },
        })
    }

    fn get(&self, name: &str) -> Result<&Named, Refusal> {
        self.keys.get(name).ok_or(Refusal::Unknown)
    }
}

impl Named {
    fn open(name: &str, key: &NamedKey, root: &RootKey) -> Result<Self, KeyError> {
        let Some(path) = &key.file else {
            let derived = root.derive_named(key.algorithm.name(), name);
            let made = match key.algorithm {
                Algorithm::Ed25519 => {
                    Ed25519KeyPair::from_seed_unchecked(derived.expose()).map(Self::Ed25519).ok()
                }
                Algorithm::HmacSha256 => Some(Self::hmac(derived.expose())),
                Algorithm::XChaCha20Poly1305 => Some(Self::Sealing(derived)),
            };
            return made.ok_or_else(|| KeyError::Malformed {
                name: name.to_owned(),
                path: PathBuf::from("root key"),
                wanted: "a seed of 32 bytes",
            });
        };
        let text = read(name, path)?;
        Self::read(key.algorithm, &text).map_err(|wanted| KeyError::Malformed {
            name: name.to_owned(),
            path: path.clone(),
            wanted,
        })
    }

    fn read(algorithm: Algorithm, text: &str) -> Result<Self, &'static str> {
        const SEED: &str = "a private key as PEM (PKCS #8), or the base64 of its seed of 32 bytes";
        const SECRET: &str = "the base64 of 16 to 1,024 bytes";
        const KEY: &str = "the base64 of 32 bytes";
        if algorithm == Algorithm::Ed25519 && text.contains("-----BEGIN") {
            let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| SEED)?;
            return Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
                .map(Self::Ed25519)
                .map_err(|_| SEED);
        }
        let bytes = |wanted| STANDARD.decode(text.trim()).map(Zeroizing::new).map_err(|_| wanted);
        match algorithm {
            Algorithm::Ed25519 => {
                Ed25519KeyPair::from_seed_unchecked(&bytes(SEED)?).map(Self::Ed25519).map_err(|_| SEED)
            }
            Algorithm::HmacSha256 => {
                let secret = bytes(SECRET)?;
                if HMAC_BYTES.contains(&secret.len()) { Ok(Self::hmac(&secret)) } else { Err(SECRET) }
            }
            Algorithm::XChaCha20Poly1305 => {
                let given = bytes(KEY)?;
                let mut fixed = Zeroizing::new([0; 32]);
                if given.len() != fixed.len() {
                    return Err(KEY);
                }
                fixed.copy_from_slice(&given);
                Ok(Self::Sealing(Key::given(fixed)))
            }
        }
    }

    fn hmac(secret: &[u8]) -> Self {
        Self::HmacSha256(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::HmacSha256(_) => Algorithm::HmacSha256,
            Self::Sealing(_) => Algorithm::XChaCha20Poly1305,
        }
    }
}

fn read(name: &str, path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { name: name.to_owned(), path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        let metadata = file.metadata().map_err(unreadable)?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::TooOpen { name: name.to_owned(), path: path.to_owned(), mode });
        }
    }
    // With room for all of it: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MOST_BYTES).unwrap_or_default()));
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

impl Keys for KeyRing {
    fn algorithm(&self, name: &str) -> Result<Algorithm, Refusal> {
        self.get(name).map(Named::algorithm)
    }

    fn sign(&self, name: &str, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self.get(name)? {
            Named::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Named::HmacSha256(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Named::Sealing(_) => Err(Refusal::Invalid),
        }
    }

    fn verify(&self, name: &str, message: &[u8], signature: &[u8]) -> Result<bool, Refusal> {
        match self.get(name)? {
            Named::Ed25519(pair) => {
                let public = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
                Ok(public.verify(message, signature).is_ok())
            }
            Named::HmacSha256(key) => Ok(hmac::verify(key, message, signature).is_ok()),
            Named::Sealing(_) => Err(Refusal::Invalid),
        }
    }

    fn seal(&self, name: &str, plain: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self.get(name)? {
            Named::Sealing(key) => key.seal(plain, place, &*self.rng).map_err(|_| Refusal::Unavailable),
            _ => Err(Refusal::Invalid),
        }
    }

    fn open(&self, name: &str, sealed: &[u8], place: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self.get(name)? {
            Named::Sealing(key) => {
                key.open(sealed, place).map(|plain| plain.to_vec()).map_err(|_| Refusal::Invalid)
            }
            _ => Err(Refusal::Invalid),
        }
    }
}

#[cfg(test)]
mod tests;
