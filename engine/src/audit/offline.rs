//! Looking records up in a log's files, without a server and its index; beside a running one too.
//!
//! Promises: it changes nothing and takes no lock; an end that is being written is passed over. What it finds is not
//! verified: who depends on that asks [`super::verify()`], or holds what it finds to a seal of its own.

use std::collections::VecDeque;
use std::path::Path;

use super::chain;
use super::query::{Record, RecordRef};
use super::segment::{FOLDER, LineReader, file_name, list};
use super::{AuditError, RecordId};

/// The newest records that `wanted` takes, newest first, at most `limit` of them.
///
/// # Errors
/// When there is no log, or a file can't be read.
pub fn newest(
    data_dir: &Path,
    limit: usize,
    mut wanted: impl FnMut(&RecordRef<'_>) -> bool,
) -> Result<Vec<Record>, AuditError> {
    let folder = data_dir.join(FOLDER);
    if !folder.is_dir() {
        return Err(AuditError::NoLog(folder));
    }
    let mut found = Vec::new();
    for segment in list(&folder)?.segments.into_iter().rev() {
        let room = limit.saturating_sub(found.len());
        if room == 0 {
            break;
        }
        let mut of_segment = VecDeque::new();
        let mut reader = LineReader::open(&folder.join(file_name(segment)), 0)?;
        while let Some(raw) = reader.next_line()? {
            let line = chain::parse_line(raw.bytes).ok().filter(|_| raw.finished);
            let Some(record) = line.as_ref().and_then(RecordRef::of) else { continue };
            if wanted(&record) {
                if of_segment.len() == room {
                    of_segment.pop_front();
                }
                of_segment.push_back(record.to_owned());
            }
        }
        found.extend(of_segment.into_iter().rev());
    }
    Ok(found)
}

/// The record with this id.
///
/// # Errors
/// As [`newest`].
pub fn find(data_dir: &Path, id: RecordId) -> Result<Option<Record>, AuditError> {
    Ok(newest(data_dir, 1, |record| record.id == id)?.pop())
}
