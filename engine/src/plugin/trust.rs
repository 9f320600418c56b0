//! Whom a plugin is trusted by: this binary, a key of the operator's, or nobody.
//!
//! Promises: what is neither embedded nor signed by a trusted key runs only if the operator allows it; a signature that
//! does not verify is refused even then.

use serde::Serialize;

use super::folder::Files;
use super::signature::{Signature, VerifyingKey, message};

/// Why a plugin may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It is what this binary was built with.
    Bundled,
    /// A trusted key signed it.
    Signed(VerifyingKey),
    /// Nobody vouches for it, and the operator allows that.
    Unsigned,
}

/// Why it may not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The file of the signature is none.
    #[error("`plugin.sig` can't be read: {0}")]
    Malformed(String),
    /// The signature is of something else.
    #[error(
        "the signature by `{0}` is not of this component with this manifest: sign it again, or it was changed"
    )]
    Wrong(VerifyingKey),
    /// Nobody signed it.
    #[error(
        "it is not signed: sign it with `portcullis plugin sign`, or set `plugins.allow_unsigned = true` where that is no risk"
    )]
    Unsigned,
    /// A key signed it that is not trusted.
    #[error("it is signed by `{0}`, which is not in `plugins.trusted_keys`")]
    Stranger(VerifyingKey),
}

/// Whom the operator trusts.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// Keys whose signatures count.
    pub keys: Vec<VerifyingKey>,
    /// Whether plugins run that nobody vouches for.
    pub allow_unsigned: bool,
}

impl Trusted {
    /// Whether these files may run, and by whom they are trusted; `bundled` is what this binary embeds under the name.
    ///
    /// # Errors
    /// When nobody vouches for them, or a signature is wrong.
    pub fn judge(&self, files: &Files, bundled: Option<&Files>) -> Result<Trust, TrustError> {
        let same =
            |bundled: &Files| bundled.component == files.component && bundled.manifest == files.manifest;
        let signature = match &files.signature {
            None if bundled.is_some_and(same) => return Ok(Trust::Bundled),
            None if self.allow_unsigned => return Ok(Trust::Unsigned),
            None => return Err(TrustError::Unsigned),
            Some(text) => Signature::parse(text).map_err(TrustError::Malformed)?,
        };
        if !signature.verifies(&message(&files.component, files.manifest.as_bytes())) {
            return Err(TrustError::Wrong(signature.key));
        }
        if self.keys.contains(&signature.key) {
            return Ok(Trust::Signed(signature.key));
        }
        match bundled {
            Some(bundled) if same(bundled) => Ok(Trust::Bundled),
            // Whoever may leave a signature away may as well have one that says nothing here.
            _ if self.allow_unsigned => Ok(Trust::Unsigned),
            _ => Err(TrustError::Stranger(signature.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::signature::SigningKey;

    fn files(signature: Option<String>) -> Files {
        Files { manifest: "manifest".into(), component: b"component".to_vec(), signature, ..Files::default() }
    }

    fn signed(seed: u8, component: &[u8]) -> Files {
        let key = SigningKey::from_seed(&[seed; 32]).unwrap();
        files(Some(key.sign(component, b"manifest").unwrap().to_text()))
    }

    fn key(seed: u8) -> VerifyingKey {
        SigningKey::from_seed(&[seed; 32]).unwrap().verifying_key().unwrap()
    }

    #[test]
    fn only_what_somebody_trusted_vouches_for_runs() {
        let strict = Trusted { keys: vec![key(1)], allow_unsigned: false };
        assert_eq!(strict.judge(&signed(1, b"component"), None), Ok(Trust::Signed(key(1))));
        assert_eq!(strict.judge(&signed(2, b"component"), None), Err(TrustError::Stranger(key(2))));
        assert_eq!(strict.judge(&files(None), None), Err(TrustError::Unsigned));
        assert_eq!(strict.judge(&files(None), Some(&files(None))), Ok(Trust::Bundled));
        let other = Files { component: b"other".to_vec(), ..files(None) };
        assert_eq!(strict.judge(&other, Some(&files(None))), Err(TrustError::Unsigned));
    }

    #[test]
    fn a_wrong_signature_is_refused_even_where_none_is_needed() {
        let lax = Trusted { keys: vec![key(1)], allow_unsigned: true };
        assert_eq!(lax.judge(&files(None), None), Ok(Trust::Unsigned));
        assert_eq!(lax.judge(&signed(2, b"component"), None), Ok(Trust::Unsigned));
        assert_eq!(lax.judge(&signed(1, b"other"), None), Err(TrustError::Wrong(key(1))));
        assert_eq!(lax.judge(&signed(1, b"other"), Some(&files(None))), Err(TrustError::Wrong(key(1))));
        assert!(matches!(lax.judge(&files(Some("no".into())), None), Err(TrustError::Malformed(_))));
    }
}
