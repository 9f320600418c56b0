//! Where a bundle is had from: a file, or a URL.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::Uri;
use serde::{Deserialize, Deserializer};

use super::MOST_BYTES;
use crate::outbound::shown;

/// A file, or a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// An `https` URL, or an `http` one of this machine.
    Url(Uri),
}

/// Why a file can't be had.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system refuses.
    #[error("can't read the bundle `{}`: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a folder, a pipe or a device.
    #[error("`{}` is no regular file", .0.display())]
    NoFile(PathBuf),
    /// It is too large.
    #[error("`{}` is larger than a bundle may be ({MOST_BYTES} bytes)", .0.display())]
    TooLarge(PathBuf),
}

impl Source {
    /// Reads what configurations have.
    ///
    /// # Errors
    /// What is wanted instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, _)) = text.split_once("://") else {
            return if text.is_empty() { Err("is empty".into()) } else { Ok(Self::File(text.into())) };
        };
        let wanted = || {
            format!(
                "`{text}` is neither a file nor an `https` URL; `http` is taken for this machine's own addresses alone"
            )
        };
        let uri: Uri = text.parse().map_err(|_| wanted())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wanted)?;
        // A password in a URL would be shown with it.
        let is_plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        let is_right = match scheme {
            "https" => true,
            "http" => is_loopback(host),
            _ => false,
        };
        if is_right && is_plain { Ok(Self::Url(uri)) } else { Err(wanted()) }
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Url(uri) => formatter.write_str(&shown(uri)),
        }
    }
}

/// Reads the file of a bundle, and no more than one may have.
///
/// # Errors
/// When it can't be read, is no regular file or too large.
pub fn read_file(path: &Path) -> Result<Bytes, FileError> {
    let failed = |source| FileError::Unreadable { path: path.to_owned(), source };
    // Looked at before it is opened: a pipe would be waited for.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    let limit = u64::try_from(MOST_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > MOST_BYTES { Err(FileError::TooLarge(path.to_owned())) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_file_or_a_url_that_nobody_between_can_read() {
        for url in [
            "https://example.com/b",
            "https://example.com:8443/a/b?x=1",
            "http://127.0.0.1:1/b",
            "http://[::1]:1/b",
            "http://localhost/b",
        ] {
            assert!(matches!(Source::parse(url), Ok(Source::Url(_))), "{url}");
        }
        for url in [
            "http://example.com/b",
            "ftp://example.com/b",
            "https://",
            "https:///b",
            "https://user:pw@example.com/b",
            "file:///b",
            "http://127.0.0.1.example.com/b",
            "",
        ] {
            assert!(Source::parse(url).is_err(), "{url}");
        }
        assert_eq!(Source::parse("/var/b.bundle"), Ok(Source::File("/var/b.bundle".into())));
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read_file(folder.path()), Err(FileError::NoFile(_))));
        assert!(matches!(read_file(&folder.path().join("none")), Err(FileError::Unreadable { .. })));
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(MOST_BYTES as u64 + 1).unwrap();
        assert!(matches!(read_file(&large), Err(FileError::TooLarge(_))));
        let whole = folder.path().join("whole");
        std::fs::write(&whole, "whole").unwrap();
        assert_eq!(read_file(&whole).unwrap(), "whole");
    }
}
