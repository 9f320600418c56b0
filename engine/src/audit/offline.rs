//! Looking records up in a log's files, without a server and its index; beside a running one too.
//!
//! Promises: it changes nothing and takes no lock; an end that is being written is passed over. What it finds is not
//! verified: who depends on that asks [`super::verify()`], or holds what it finds to a seal of its own.

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use super::chain;
use super::query::{Record, RecordRef};
use super::segment::{FOLDER, LineReader, file_name, list};
use super::{AuditError, RecordId};

/// Hands over the records that `wanted` takes, newest first, at most `limit` of them. No more than one segment's are held at
/// once.
///
/// # Errors
/// When there is no log, a file can't be read, or `visit` fails.
pub fn each_newest<E: From<AuditError>>(
    data_dir: &Path,
    limit: usize,
    wanted: impl FnMut(&RecordRef<'_>) -> bool,
    visit: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    each_newest_in(&folder(data_dir)?, limit, wanted, visit)
}

/// The folder of a data folder's log.
///
/// # Errors
/// When there is none.
pub fn folder(data_dir: &Path) -> Result<std::path::PathBuf, AuditError> {
    let folder = data_dir.join(FOLDER);
    if folder.is_dir() { Ok(folder) } else { Err(AuditError::NoLog(folder)) }
}

/// The same of a folder of segments, which may be a copy.
///
/// # Errors
/// As [`each_newest`].
pub fn each_newest_in<E: From<AuditError>>(
    folder: &Path,
    limit: usize,
    mut wanted: impl FnMut(&RecordRef<'_>) -> bool,
    mut visit: impl FnMut(Record) -> Result<(), E>,
) -> Result<(), E> {
    if !folder.is_dir() {
        return Err(AuditError::NoLog(folder.to_owned()).into());
    }
    let mut room = limit;
    for segment in list(folder)?.segments.into_iter().rev() {
        if room == 0 {
            break;
        }
        let newest = newest_of(&folder.join(file_name(segment)), room, &mut wanted)?;
        room -= newest.len();
        newest.into_iter().rev().try_for_each(&mut visit)?;
    }
    Ok(())
}

/// The newest of one segment, oldest first.
fn newest_of(
    segment: &Path,
    limit: usize,
    wanted: &mut impl FnMut(&RecordRef<'_>) -> bool,
) -> Result<VecDeque<Record>, AuditError> {
    let mut newest = VecDeque::new();
    let mut reader = LineReader::open(segment, 0)?;
    while let Some(raw) = reader.next_line()? {
        let line = chain::parse_line(raw.bytes).ok().filter(|_| raw.finished);
        let Some(record) = line.as_ref().and_then(RecordRef::of) else { continue };
        if wanted(&record) {
            if newest.len() == limit {
                newest.pop_front();
            }
            newest.push_back(record.to_owned());
        }
    }
    Ok(newest)
}

/// The records with these ids, in their order; an id that no record has is the error.
///
/// # Errors
/// As [`each_newest`], or with the first id that was not found.
pub fn find(data_dir: &Path, ids: &[RecordId]) -> Result<Result<Vec<Record>, RecordId>, AuditError> {
    let mut found = HashMap::new();
    let distinct: HashSet<_> = ids.iter().collect();
    each_newest(
        data_dir,
        distinct.len(),
        |record| distinct.contains(&record.id),
        |record| {
            found.insert(record.id, record);
            Ok::<_, AuditError>(())
        },
    )?;
    Ok(ids.iter().map(|id| found.get(id).cloned().ok_or(*id)).collect())
}
