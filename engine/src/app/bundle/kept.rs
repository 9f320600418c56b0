//! The bundle that was served last, in the data folder: what a restart serves when the source has none.
//!
//! Promises: it is judged as if it came from the source, and is the newest that was taken, or it is not served.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Judged, Settings, TakeError};
use crate::bundle::{Contents, Named, read_file};
use crate::config::Config;

/// Where it is, in a data folder.
pub(super) fn place(data: &Path) -> PathBuf {
    data.join("last.bundle")
}

/// The bundle that was served last.
pub(super) fn read(file: &Path, settings: &Settings, taken: Option<&Named>) -> Result<Judged, TakeError> {
    let judged = Judged::of(read_file(file)?, settings)?;
    judged.named.may_follow(taken)?;
    Ok(judged)
}

/// What a server of this configuration served last of a bundle, for commands beside it; none when it follows none.
///
/// # Errors
/// When none was served yet, or nobody trusted vouches for what is kept.
pub fn last(config: &Config) -> Result<Option<Arc<Contents>>, TakeError> {
    if config.bundle.source.is_none() {
        return Ok(None);
    }
    Ok(Some(read(&place(&config.data.folder), &config.bundle, None)?.contents))
}

/// Keeps a bundle. Without it a restart needs the source, which is a word worth and no reason not to serve.
pub(super) fn keep(file: &Path, bytes: &[u8]) {
    let folder = file.parent().unwrap_or(Path::new("."));
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut beside| {
        beside.write_all(bytes)?;
        beside.as_file().sync_all()?;
        beside.persist(file).map(drop).map_err(|error| error.error)
    });
    if let Err(error) = written {
        tracing::warn!(%error, "the bundle can't be kept in the data folder: a restart needs its source");
    }
}
