//! What is appended: record ids, kinds, and batches of events.
//!
//! Promises: an id in the log is of one fixed form; an event stands on one line; a batch that
//! is used again allocates nothing. Must never: look into an event.

use super::AuditError;
use crate::clock::Timestamp;

/// The most records in one batch: 1,000 decisions and what accompanies them.
pub const BATCH_RECORDS: usize = 4_096;
/// The most bytes of events in one batch: 16 MiB of inputs, escaped, and the rest of each event.
pub const BATCH_BYTES: usize = 64 << 20;

const ID_BYTES: usize = 36;
/// Room for an event of usual size, so that a buffer does not grow step by step.
const USUAL_BYTES: usize = 2 << 10;
/// Buffers that grew beyond this for one large batch are given back.
pub(super) const KEEP_BYTES: usize = 1 << 20;

/// The id of a record: three small letters, `_`, and 32 hex digits (`dec_0197…`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId([u8; ID_BYTES]);

impl RecordId {
    /// Reads an id; `None` when it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; ID_BYTES] = text.as_bytes().try_into().ok()?;
        let (prefix, digits) = bytes.split_at_checked(4)?;
        let well_formed = match prefix {
            [letters @ .., b'_'] => letters.iter().all(u8::is_ascii_lowercase),
            _ => false,
        };
        let hex = digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (well_formed && hex).then_some(Self(bytes))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Debug for RecordId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a record that is appended from outside is about. The log's own kinds (`segment`, `gap`,
/// `recovered`) can't be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A decision that was answered.
    Decision,
    /// Something else that happened: a caller without the right, say.
    Event,
}

impl Kind {
    /// The word in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Event => "event",
        }
    }
}

/// Events to be appended together, in one write: all of them or none.
#[derive(Debug, Default)]
pub struct Batch {
    events: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) kind: &'static str,
    pub(super) id: Option<RecordId>,
    pub(super) time: Timestamp,
    end: usize,
}

impl Batch {
    /// A batch with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one event: `write` appends its JSON to the buffer.
    ///
    /// # Errors
    /// When the id has another form, `write` fails or writes nothing, or the batch is full; the
    /// batch is then as it was.
    pub fn push<E>(
        &mut self,
        id: &str,
        kind: Kind,
        time: Timestamp,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), AuditError>
    where
        E: std::fmt::Display,
    {
        let id = RecordId::parse(id).ok_or_else(|| AuditError::BadId(id.to_owned()))?;
        let start = self.events.len();
        self.events.reserve(USUAL_BYTES);
        let written = write(&mut self.events).map_err(|error| AuditError::BadEvent(error.to_string()));
        let checked = written.and_then(|()| self.check(start));
        if checked.is_err() {
            self.events.truncate(start);
            return checked;
        }
        self.seal(kind.as_str(), Some(id), time);
        Ok(())
    }

    fn check(&self, start: usize) -> Result<(), AuditError> {
        if self.events.len() <= start {
            return Err(AuditError::BadEvent("it is empty".into()));
        }
        if self.entries.len() >= BATCH_RECORDS || self.events.len() > BATCH_BYTES {
            return Err(AuditError::BatchTooLarge);
        }
        debug_assert!(
            serde_json::from_slice::<serde::de::IgnoredAny>(self.events.get(start..).unwrap_or_default())
                .is_ok(),
            "an event is JSON"
        );
        Ok(())
    }

    /// Adds a record of the log's own.
    pub(super) fn push_own(&mut self, kind: &'static str, time: Timestamp, event: &serde_json::Value) {
        self.events.extend_from_slice(event.to_string().as_bytes());
        self.seal(kind, None, time);
    }

    fn seal(&mut self, kind: &'static str, id: Option<RecordId>, time: Timestamp) {
        let start = self.entries.last().map_or(0, |entry| entry.end);
        let event = self.events.get_mut(start..).unwrap_or_default();
        // Inside of JSON a raw line break can only be insignificant space; here it would be the
        // end of the record.
        // All of it in one pass without a branch, which the compiler makes wide.
        if event.iter().fold(false, |found, byte| found | matches!(byte, b'\n' | b'\r')) {
            for byte in event.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')) {
                *byte = b' ';
            }
        }
        self.entries.push(Entry { kind, id, time, end: self.events.len() });
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether its events may take so many bytes more without growing.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.events.capacity() - self.events.len() >= bytes
    }

    /// How many bytes its events take.
    pub(super) fn bytes(&self) -> usize {
        self.events.len()
    }

    /// Empties it; what it allocated stays for the next use, within bounds.
    pub fn clear(&mut self) {
        self.events.clear();
        self.entries.clear();
        if self.events.capacity() > KEEP_BYTES {
            self.events = Vec::new();
        }
    }

    /// Puts the records of `other` behind its own.
    pub(super) fn absorb(&mut self, other: &Self) {
        let base = self.events.len();
        self.events.extend_from_slice(&other.events);
        self.entries.extend(other.entries.iter().map(|entry| Entry { end: base + entry.end, ..*entry }));
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Entry, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let event = self.events.get(start..entry.end).unwrap_or_default();
            start = entry.end;
            (*entry, event)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "dec_0197aaaabbbb7cccddddeeeeffff0000";

    fn write(text: &'static str) -> impl FnOnce(&mut Vec<u8>) -> Result<(), std::io::Error> {
        move |buffer| std::io::Write::write_all(buffer, text.as_bytes())
    }

    #[test]
    fn only_one_form_of_id_is_taken() {
        assert_eq!(RecordId::parse(ID).unwrap().as_str(), ID);
        for bad in
            ["", "dec_", &ID.to_uppercase(), &format!("{ID}0"), &ID.replace('_', "-"), &ID.replace('a', "\"")]
        {
            assert!(RecordId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn line_breaks_in_an_event_become_spaces() {
        let mut batch = Batch::new();
        batch.push(ID, Kind::Decision, Timestamp(1), write("{\n\r\"a\": 1}")).unwrap();
        batch.push(ID, Kind::Event, Timestamp(2), write("{}")).unwrap();
        let events: Vec<&[u8]> = batch.iter().map(|(_, event)| event).collect();
        assert_eq!(events, [&b"{  \"a\": 1}"[..], b"{}"]);
    }

    #[test]
    fn a_refused_event_leaves_the_batch_as_it_was() {
        let mut batch = Batch::new();
        batch.push(ID, Kind::Decision, Timestamp(1), write("{}")).unwrap();
        let failing = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(b"half");
            Err("no")
        };
        assert!(matches!(
            batch.push(ID, Kind::Decision, Timestamp(1), failing),
            Err(AuditError::BadEvent(_))
        ));
        assert!(batch.push(ID, Kind::Decision, Timestamp(1), write("")).is_err());
        let huge = |buffer: &mut Vec<u8>| -> Result<(), std::io::Error> {
            buffer.resize(BATCH_BYTES + 1, b' ');
            Ok(())
        };
        assert!(matches!(batch.push(ID, Kind::Decision, Timestamp(1), huge), Err(AuditError::BatchTooLarge)));
        assert_eq!((batch.len(), batch.bytes()), (1, 2));
    }
}
