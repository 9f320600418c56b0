//! The root key, and everything that is derived from it.
//!
//! Promises: one 32-byte key in a file of its own (0600, refused if wider), outside the
//! database and its backups; every other key is derived from it by HKDF-SHA-256 (RFC 5869)
//! under a label, so no two purposes share one. What is sealed or authenticated carries a
//! header that names its version and purpose; later versions are added, none is changed.
//! Must never: show a key in a message, a log or a `Debug`.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random::{RandomError, Rng};

mod keys;
mod root_key;
pub use keys::{KeyError, KeyRing, PublicKey};
pub use root_key::{RootKey, RootKeyError};

/// What a derived key is for. One label a purpose; a label is never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Looks caller keys up.
    CallerKeys,
    /// Chains the records of the decision log.
    DecisionLog,
    /// Signs the checkpoints of the decision log.
    Checkpoints,
    /// Tells which root key made a database.
    Fingerprint,
    /// Authenticates page cursors.
    Cursors,
    /// Keys that the operator names; each has its name and algorithm in its label.
    NamedKeys,
    /// Seals the calls of plugins that are kept for a replay.
    PluginCalls,
    /// Authenticates compiled plugins on this node's disk.
    PluginCache,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::CallerKeys => b"portcullis/v1/caller-keys",
            Self::DecisionLog => b"portcullis/v1/decision-log",
            Self::Checkpoints => b"portcullis/v1/checkpoints",
            Self::Fingerprint => b"portcullis/v1/fingerprint",
            Self::Cursors => b"portcullis/v1/cursors",
            Self::NamedKeys => b"portcullis/v1/named-keys",
            Self::PluginCalls => b"portcullis/v1/plugin-calls",
            Self::PluginCache => b"portcullis/v1/plugin-cache",
        }
    }

    /// The number in the header of what is sealed for this purpose.
    fn number(self) -> u8 {
        match self {
            Self::CallerKeys => 1,
            Self::DecisionLog => 2,
            Self::Checkpoints => 3,
            Self::Fingerprint => 4,
            Self::Cursors => 5,
            Self::NamedKeys => 7,
            Self::PluginCalls => 8,
            Self::PluginCache => 9,
        }
    }
}

/// A digest of texts, each framed by its length. It authenticates nothing.
pub fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    *hasher.finalize().as_bytes()
}

/// A key for one purpose; its bytes are wiped when it is dropped.
#[derive(Clone)]
pub struct Key {
    bytes: Zeroizing<[u8; 32]>,
    purpose: Purpose,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Key({:?})", self.purpose)
    }
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum ProtectError {
    /// It is too short, or of a version or purpose that this key does not open.
    #[error("not sealed by this version for this purpose")]
    Header,
    /// It was changed, or sealed with another key or for another place.
    #[error("does not open: changed, or sealed with another key")]
    Refused,
    /// See [`RandomError`].
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// Sealed bytes: version, purpose, 24 bytes of nonce, ciphertext and tag.
const SEAL_VERSION: u8 = 1;
const MAC_VERSION: u8 = 1;
const HEADER_BYTES: usize = 2;
const NONCE_BYTES: usize = 24;

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        32
    }
}

impl Key {
    fn derive(root: &[u8; 32], purpose: Purpose) -> Self {
        Self::derive_under(root, purpose, &[purpose.label()])
    }

    /// A key of its own for each name and algorithm. No name holds a NUL character, so no two labels are one.
    fn derive_named(root: &[u8; 32], algorithm: &str, name: &str) -> Self {
        let purpose = Purpose::NamedKeys;
        let label = [purpose.label(), b"\0", algorithm.as_bytes(), b"\0", name.as_bytes()];
        Self::derive_under(root, purpose, &label)
    }

    fn derive_under(root: &[u8; 32], purpose: Purpose, label: &[&[u8]]) -> Self {
        let prk: Prk = Salt::new(HKDF_SHA256, b"portcullis").extract(root);
        let mut bytes = Zeroizing::new([0; 32]);
        let filled = prk.expand(label, Length).and_then(|okm| okm.fill(&mut *bytes));
        debug_assert!(filled.is_ok(), "32 bytes are within HKDF's limit of 255 blocks");
        Self { bytes, purpose }
    }

    /// A key that was made elsewhere.
    fn given(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { bytes, purpose: Purpose::NamedKeys }
    }

    /// The bytes themselves, for algorithms that live elsewhere.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Seals `plain` with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). `place` says where
    /// it belongs (a table and a row, say): it opens nowhere else.
    ///
    /// # Errors
    /// When there is no randomness for the nonce.
    pub fn seal(&self, plain: &[u8], place: &[u8], rng: &dyn Rng) -> Result<Vec<u8>, ProtectError> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce)?;
        let header = [SEAL_VERSION, self.purpose.number()];
        let aad = associated_data(header, place);
        let cipher = XChaCha20Poly1305::new((&*self.bytes).into());
        let sealed = cipher
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &aad })
            .map_err(|_| ProtectError::Refused)?;
        Ok([&header[..], &nonce[..], &sealed[..]].concat())
    }

    /// Opens what [`Key::seal`] made for the same `place`.
    ///
    /// # Errors
    /// When the header is another's, or anything was changed.
    pub fn open(&self, sealed: &[u8], place: &[u8]) -> Result<Zeroizing<Vec<u8>>, ProtectError> {
        let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(ProtectError::Header)?;
        let (nonce, body) = rest.split_at_checked(NONCE_BYTES).ok_or(ProtectError::Header)?;
        let expected = [SEAL_VERSION, self.purpose.number()];
        if header != expected {
            return Err(ProtectError::Header);
        }
        let aad = associated_data(expected, place);
        let cipher = XChaCha20Poly1305::new((&*self.bytes).into());
        cipher
            .decrypt(XNonce::from_slice(nonce), Payload { msg: body, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| ProtectError::Refused)
    }

    /// HMAC-SHA-256 (RFC 2104) over the header and `message`, with the header in front.
    pub fn mac(&self, message: &[u8]) -> [u8; 34] {
        let mut out = [0; 34];
        let header = [MAC_VERSION, self.purpose.number()];
        let tag = self.hmac(header, message);
        let (start, end) = out.split_at_mut(HEADER_BYTES);
        start.copy_from_slice(&header);
        end.copy_from_slice(tag.as_ref());
        out
    }

    /// Whether `mac` is that of `message`; takes the same time whatever differs.
    pub fn verify_mac(&self, message: &[u8], mac: &[u8]) -> bool {
        bool::from(self.mac(message).ct_eq(mac))
    }

    fn hmac(&self, header: [u8; 2], message: &[u8]) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.bytes);
        let mut context = hmac::Context::with_key(&key);
        context.update(&header);
        context.update(message);
        context.sign()
    }

    /// A keyed BLAKE3 hash: how secrets are looked up without being stored.
    pub fn lookup_hash(&self, secret: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.bytes, secret).as_bytes()
    }
}

/// Header and place. The header's length is fixed, so no two pairs give the same bytes.
fn associated_data(header: [u8; 2], place: &[u8]) -> Vec<u8> {
    [&header[..], place].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRng;
    use proptest::prelude::*;

    fn key(purpose: Purpose) -> Key {
        Key::derive(&[7; 32], purpose)
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens(plain: Vec<u8>, place: Vec<u8>) {
            let sealed = key(Purpose::Cursors).seal(&plain, &place, &SystemRng::new()).unwrap();
            prop_assert_eq!(&*key(Purpose::Cursors).open(&sealed, &place).unwrap(), &plain);
        }

        #[test]
        fn any_flipped_bit_is_refused(plain: Vec<u8>, at: prop::sample::Index, bit in 0_u8..8) {
            let mut sealed = key(Purpose::Cursors).seal(&plain, b"here", &SystemRng::new()).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(key(Purpose::Cursors).open(&sealed, b"here").is_err());
        }
    }

    #[test]
    fn another_place_or_purpose_does_not_open_it() {
        let sealed = key(Purpose::Cursors).seal(b"x", b"here", &SystemRng::new()).unwrap();
        assert!(key(Purpose::Cursors).open(&sealed, b"there").is_err());
        assert!(key(Purpose::DecisionLog).open(&sealed, b"here").is_err());
    }

    #[test]
    fn purposes_have_different_keys_and_numbers() {
        let all = [
            Purpose::CallerKeys,
            Purpose::DecisionLog,
            Purpose::Checkpoints,
            Purpose::Fingerprint,
            Purpose::Cursors,
            Purpose::NamedKeys,
            Purpose::PluginCalls,
            Purpose::PluginCache,
        ];
        let keys: std::collections::HashSet<_> = all.iter().map(|p| *key(*p).expose()).collect();
        let numbers: std::collections::HashSet<_> = all.iter().map(|p| p.number()).collect();
        assert_eq!((keys.len(), numbers.len()), (all.len(), all.len()));
    }

    #[test]
    fn a_mac_verifies_for_its_message_alone() {
        let mac = key(Purpose::Cursors).mac(b"message");
        assert!(key(Purpose::Cursors).verify_mac(b"message", &mac));
        assert!(!key(Purpose::Cursors).verify_mac(b"massage", &mac));
        assert!(!key(Purpose::Cursors).verify_mac(b"message", &mac[..33]));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", key(Purpose::Cursors)), "Key(Cursors)");
    }
}
