//! `crypto`: keys by their names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Ended, Sandbox};
use crate::plugin::Capability;
use crate::plugin::bindings::portcullis::plugin::{crypto, types};
use crate::plugin::surroundings::{Algorithm, Keys, Refusal};

/// What an operation with a key gives.
type Given<T> = wasmtime::Result<Result<T, types::Refusal>>;

impl Sandbox {
    /// An operation with a key that the plugin may use. Another's is as unknown as one that there is not.
    fn with_key(
        &mut self,
        function: &str,
        key: &str,
        parts: &[&[u8]],
        operation: impl FnOnce(&dyn Keys) -> Result<Vec<u8>, Refusal>,
    ) -> Result<Result<Vec<u8>, Refusal>, Ended> {
        self.may(Capability::Crypto)?;
        self.count(parts.iter().map(|part| part.len()).sum())?;
        if !self.fixed.grant.may_use_key(key) {
            return Ok(Err(Refusal::Unknown));
        }
        let asked: Vec<&[u8]> = std::iter::once(key.as_bytes()).chain(parts.iter().copied()).collect();
        let answer = self.answered(function, &asked, |sandbox| {
            operation(&*sandbox.fixed.keys).map(|bytes| STANDARD.encode(bytes))
        })?;
        let bytes = answer.and_then(|text| STANDARD.decode(text).map_err(|_| Refusal::Unavailable));
        self.count(bytes.as_ref().map_or(0, Vec::len))?;
        Ok(bytes)
    }
}

fn given(answer: Result<Result<Vec<u8>, Refusal>, Ended>) -> Given<Vec<u8>> {
    Ok(answer?.map_err(types::Refusal::from))
}

impl crypto::Host for Sandbox {
    fn algorithm_of(&mut self, key: String) -> Given<crypto::Algorithm> {
        self.may(Capability::Crypto)?;
        if !self.fixed.grant.may_use_key(&key) {
            return Ok(Err(types::Refusal::Unknown));
        }
        let answer = self.answered("crypto.algorithm-of", &[key.as_bytes()], |sandbox| {
            sandbox.fixed.keys.algorithm(&key)
        })?;
        Ok(answer.map(crypto::Algorithm::from).map_err(types::Refusal::from))
    }

    fn sign(&mut self, key: String, message: Vec<u8>) -> Given<Vec<u8>> {
        given(self.with_key("crypto.sign", &key, &[&message], |keys| keys.sign(&key, &message)))
    }

    fn verify(&mut self, key: String, message: Vec<u8>, signature: Vec<u8>) -> Given<bool> {
        let verified = self.with_key("crypto.verify", &key, &[&message, &signature], |keys| {
            keys.verify(&key, &message, &signature).map(|holds| vec![u8::from(holds)])
        })?;
        Ok(verified.map(|flag| flag == [1]).map_err(types::Refusal::from))
    }

    fn hmac(&mut self, key: String, message: Vec<u8>) -> Given<Vec<u8>> {
        given(self.with_key("crypto.hmac", &key, &[&message], |keys| match keys.algorithm(&key)? {
            Algorithm::HmacSha256 => keys.sign(&key, &message),
            _ => Err(Refusal::Invalid),
        }))
    }

    fn seal(&mut self, key: String, plain: Vec<u8>, place: Vec<u8>) -> Given<Vec<u8>> {
        given(self.with_key("crypto.seal", &key, &[&plain, &place], |keys| keys.seal(&key, &plain, &place)))
    }

    fn open(&mut self, key: String, sealed: Vec<u8>, place: Vec<u8>) -> Given<Vec<u8>> {
        given(self.with_key("crypto.open", &key, &[&sealed, &place], |keys| keys.open(&key, &sealed, &place)))
    }
}

impl From<Algorithm> for crypto::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::HmacSha256 => Self::HmacSha256,
            Algorithm::Ed25519 => Self::Ed25519,
            Algorithm::XChaCha20Poly1305 => Self::Xchacha20Poly1305,
        }
    }
}
