//! Which bundle may come after which.
//!
//! Promises: versions only go up, and one version is one content, on every node of a store and over restarts.

use crate::plugin::Digest;

/// A bundle by its version and its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its version.
    pub version: u64,
    /// Its manifest's digest.
    pub digest: Digest,
}

/// Why a bundle may not be served.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNewer {
    /// A newer one was taken already.
    #[error(
        "the bundle has the version {offered}, and version {taken} was taken already: to go back, build the older content with a higher version"
    )]
    Older {
        /// Its version.
        offered: u64,
        /// The newest version that was taken.
        taken: u64,
    },
    /// Its version stands for something else.
    #[error(
        "the bundle's version {version} was taken with other content ({taken}): build it with a higher version"
    )]
    Other {
        /// Both's version.
        version: u64,
        /// The digest of the one that was taken.
        taken: Digest,
    },
}

impl Named {
    /// Whether it may be served where `taken` is the newest that was.
    ///
    /// # Errors
    /// Why not.
    pub fn may_follow(&self, taken: Option<&Self>) -> Result<(), NotNewer> {
        match taken {
            Some(taken) if self.version < taken.version => {
                Err(NotNewer::Older { offered: self.version, taken: taken.version })
            }
            Some(taken) if self.version == taken.version && self.digest != taken.digest => {
                Err(NotNewer::Other { version: self.version, taken: taken.digest })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::digest;

    #[test]
    fn versions_only_go_up_and_one_is_one_content() {
        let named = |version, text: &str| Named { version, digest: digest(text.as_bytes()) };
        let taken = named(5, "five");
        assert!(named(1, "one").may_follow(None).is_ok());
        assert!(named(6, "six").may_follow(Some(&taken)).is_ok());
        assert!(taken.may_follow(Some(&taken)).is_ok());
        assert!(matches!(named(4, "four").may_follow(Some(&taken)), Err(NotNewer::Older { .. })));
        assert!(matches!(named(5, "other").may_follow(Some(&taken)), Err(NotNewer::Other { .. })));
    }
}
