//! The file of a bundle: magic, two lengths, the manifest, the signatures, and the contents in the manifest's order.
//!
//! Promises: every length is checked against the bytes that are there, and none is left over; every content has its digest.
//! [`Bundle::read_trusted`] looks at nothing but the signatures before one of a trusted key holds. Must never: allocate by
//! a number that the file says.

use bytes::Bytes;

use super::MOST_BYTES;
use super::Named;
use super::manifest::{Entry, Manifest, ManifestError};
use crate::plugin::signature::{Signature, SigningKey, VerifyingKey};
use crate::plugin::{Digest, digest};

const MAGIC: &[u8; 8] = b"PCBNDL\x00\x01";
/// What keeps a signature of a bundle from being one of anything else.
const DOMAIN: &[u8] = b"portcullis bundle v1\n";
const MANIFEST_BYTES: usize = 8 << 20;
const SIGNATURES_BYTES: usize = 8 << 10;
const MOST_SIGNATURES: usize = 16;

/// A bundle that is what its manifest says.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What is in it.
    pub manifest: Manifest,
    /// The digest of its manifest, which is its name.
    pub digest: Digest,
    /// Who vouches for it.
    pub signatures: Vec<Signature>,
    /// The files' bytes, in the manifest's order.
    contents: Vec<Bytes>,
}

/// Why a file is no bundle, or not one to serve.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It does not begin as one.
    #[error("it is no bundle: it does not begin as one")]
    NoBundle,
    /// It ends too early.
    #[error("the bundle is cut off")]
    Truncated,
    /// Something stands behind its end.
    #[error("the bundle has {0} bytes behind its end")]
    Trailing(usize),
    /// It is larger than it may be.
    #[error("the bundle, or its {0}, is larger than it may be")]
    TooLarge(&'static str),
    /// Its manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file's bytes are others.
    #[error("`{0}` in the bundle is not what the manifest says: it was changed or damaged")]
    Content(String),
    /// The signatures can't be read.
    #[error("the bundle's signatures can't be read: {0}")]
    Signatures(String),
    /// A signature is of something else.
    #[error("the signature by `{0}` is not of this bundle: it was changed or damaged")]
    Wrong(VerifyingKey),
    /// Nobody signed it.
    #[error("the bundle is not signed: sign it with `portcullis bundle sign`")]
    Unsigned,
    /// Nobody who is trusted signed it.
    #[error("the bundle is signed by {0}, and no such key is trusted")]
    Stranger(String),
    /// It can't be signed.
    #[error("the bundle can't be signed: {0}")]
    Key(String),
}

/// The parts of a file, with nothing made of them.
struct Frames {
    manifest: Bytes,
    signatures: Vec<Signature>,
    contents: Bytes,
}

impl Bundle {
    /// A bundle of files by their paths, signed by nobody.
    ///
    /// # Errors
    /// When a path is not allowed, or they are too many or too large.
    pub fn build(
        version: u64,
        created_at: u64,
        mut files: Vec<(String, Bytes)>,
    ) -> Result<Self, BundleError> {
        files.sort_by(|one, other| one.0.cmp(&other.0));
        let entry = |(path, bytes): &(String, Bytes)| Entry {
            path: path.clone(),
            length: bytes.len() as u64,
            digest: digest(bytes),
        };
        let manifest = Manifest::new(version, created_at, files.iter().map(entry).collect())?;
        let digest = digest(&manifest.to_bytes()?);
        let contents = files.into_iter().map(|(_, bytes)| bytes).collect();
        let bundle = Self { manifest, digest, signatures: Vec::new(), contents };
        bundle.to_bytes().map(|_| bundle)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// When it is larger than one may be.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BundleError> {
        let manifest = self.manifest.to_bytes()?;
        let signatures = signatures_to_bytes(&self.signatures)?;
        let mut bytes = Vec::from(MAGIC);
        for (part, most, name) in
            [(&manifest, MANIFEST_BYTES, "manifest"), (&signatures, SIGNATURES_BYTES, "list of signatures")]
        {
            let length = u32::try_from(part.len()).ok().filter(|_| part.len() <= most);
            bytes.extend(length.ok_or(BundleError::TooLarge(name))?.to_le_bytes());
        }
        let whole = self.contents.iter().map(Bytes::len).sum::<usize>();
        if bytes.len() + manifest.len() + signatures.len() + whole > MOST_BYTES {
            return Err(BundleError::TooLarge("contents"));
        }
        bytes.extend(manifest);
        bytes.extend(signatures);
        self.contents.iter().for_each(|content| bytes.extend_from_slice(content));
        Ok(bytes)
    }

    /// Reads a bundle, whoever vouches for it: to look at it, or to sign it.
    ///
    /// # Errors
    /// When it is not what it says itself.
    pub fn read(bytes: Bytes) -> Result<Self, BundleError> {
        Self::of(Frames::read(bytes)?)
    }

    /// Reads a bundle that one of these keys vouches for. A signature that does not hold is an error, whoever's it is.
    ///
    /// # Errors
    /// When nobody trusted signed it, or it is not what was signed.
    pub fn read_trusted(bytes: Bytes, trusted: &[VerifyingKey]) -> Result<Self, BundleError> {
        let frames = Frames::read(bytes)?;
        judge(&frames.signatures, digest(&frames.manifest), Some(trusted))?;
        Self::of(frames)
    }

    /// Whether every signature is of this bundle, and there is one.
    ///
    /// # Errors
    /// Which is not, or that there is none.
    pub fn check_signatures(&self) -> Result<(), BundleError> {
        judge(&self.signatures, self.digest, None)
    }

    /// Adds a signature; one by the same key takes its place.
    ///
    /// # Errors
    /// When the key can't sign, or there are too many signatures.
    pub fn sign(&mut self, key: &SigningKey) -> Result<VerifyingKey, BundleError> {
        let signature = key.sign_message(&message(self.digest)).map_err(BundleError::Key)?;
        let by = signature.key;
        self.signatures.retain(|one| one.key != by);
        self.signatures.push(signature);
        self.signatures.sort_by_key(|one| one.key.to_string());
        if self.signatures.len() > MOST_SIGNATURES {
            return Err(BundleError::TooLarge("list of signatures"));
        }
        Ok(by)
    }

    /// Which it is.
    pub fn named(&self) -> Named {
        Named { version: self.manifest.version, digest: self.digest }
    }

    /// The files' paths and bytes, in order.
    pub fn files(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.manifest.files.iter().map(|entry| entry.path.as_str()).zip(&self.contents)
    }

    fn of(frames: Frames) -> Result<Self, BundleError> {
        let manifest = Manifest::parse(&frames.manifest)?;
        let mut rest = frames.contents;
        let mut contents = Vec::with_capacity(manifest.files.len());
        for entry in &manifest.files {
            let length = usize::try_from(entry.length).map_err(|_| BundleError::Truncated)?;
            let content = take(&mut rest, length)?;
            if digest(&content) != entry.digest {
                return Err(BundleError::Content(entry.path.clone()));
            }
            contents.push(content);
        }
        match rest.len() {
            0 => Ok(Self {
                digest: digest(&frames.manifest),
                manifest,
                signatures: frames.signatures,
                contents,
            }),
            left => Err(BundleError::Trailing(left)),
        }
    }
}

impl Frames {
    fn read(mut bytes: Bytes) -> Result<Self, BundleError> {
        if bytes.len() > MOST_BYTES {
            return Err(BundleError::TooLarge("contents"));
        }
        if !bytes.starts_with(MAGIC) {
            let is_cut = MAGIC.starts_with(&bytes);
            return Err(if is_cut { BundleError::Truncated } else { BundleError::NoBundle });
        }
        take(&mut bytes, MAGIC.len())?;
        let manifest = take_length(&mut bytes, MANIFEST_BYTES, "manifest")?;
        let signatures = take_length(&mut bytes, SIGNATURES_BYTES, "list of signatures")?;
        let manifest = take(&mut bytes, manifest)?;
        let signatures = signatures_of(&take(&mut bytes, signatures)?)?;
        Ok(Self { manifest, signatures, contents: bytes })
    }
}

fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, BundleError> {
    if length > bytes.len() {
        return Err(BundleError::Truncated);
    }
    Ok(bytes.split_to(length))
}

fn take_length(bytes: &mut Bytes, most: usize, name: &'static str) -> Result<usize, BundleError> {
    let number = take(bytes, 4)?;
    let number = <[u8; 4]>::try_from(&*number).map_err(|_| BundleError::Truncated)?;
    let length = usize::try_from(u32::from_le_bytes(number)).map_err(|_| BundleError::TooLarge(name))?;
    if length > most { Err(BundleError::TooLarge(name)) } else { Ok(length) }
}

fn message(bundle: Digest) -> Vec<u8> {
    [DOMAIN, &bundle.0].concat()
}

fn signatures_to_bytes(signatures: &[Signature]) -> Result<Vec<u8>, BundleError> {
    serde_json::to_vec(signatures).map_err(|error| BundleError::Signatures(error.to_string()))
}

/// As manifests, signatures have one spelling: one a key, in order.
fn signatures_of(bytes: &[u8]) -> Result<Vec<Signature>, BundleError> {
    let signatures: Vec<Signature> =
        serde_json::from_slice(bytes).map_err(|error| BundleError::Signatures(error.to_string()))?;
    let names: Vec<String> = signatures.iter().map(|one| one.key.to_string()).collect();
    let is_sorted = names.iter().zip(names.iter().skip(1)).all(|(one, next)| one < next);
    if !is_sorted || names.len() > MOST_SIGNATURES || signatures_to_bytes(&signatures)? != bytes {
        return Err(BundleError::Signatures("they are not in the one form that they have".into()));
    }
    Ok(signatures)
}

fn judge(
    signatures: &[Signature],
    bundle: Digest,
    trusted: Option<&[VerifyingKey]>,
) -> Result<(), BundleError> {
    if signatures.is_empty() {
        return Err(BundleError::Unsigned);
    }
    let message = message(bundle);
    if let Some(wrong) = signatures.iter().find(|signature| !signature.verifies(&message)) {
        return Err(BundleError::Wrong(wrong.key));
    }
    match trusted {
        Some(trusted) if !signatures.iter().any(|signature| trusted.contains(&signature.key)) => {
            let names: Vec<String> = signatures.iter().map(|one| format!("`{}`", one.key)).collect();
            Err(BundleError::Stranger(names.join(", ")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
