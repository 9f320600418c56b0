//! Signed checkpoints: what the log was at one moment, to be kept elsewhere.
//!
//! A log can be cut at its end, or rewritten by who has its key; a checkpoint from before shows
//! both. Signed with Ed25519 (RFC 8032), so that it can be checked without the log's key.
//! Promises: it covers only what is on the disk. Must never: sign a position that was not read
//! or written by this process.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::AuditError;
use super::chain::{LogKeys, Mac};
use super::segment::{CHECKPOINT_FILE, LineReader, private};
use crate::clock::Timestamp;

const VERSION: u64 = 1;

/// A signed statement: the record `seq` of `node`'s log has this mac.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The version of the format: 1.
    pub v: u64,
    /// The node whose log it is.
    pub node: String,
    /// The last record's sequence number.
    pub seq: u64,
    /// The last record's mac, in hex.
    pub mac: String,
    /// When it was signed: RFC 3339, UTC.
    pub time: String,
    /// The Ed25519 key that signed it, in hex.
    pub public_key: String,
    /// The signature, in hex.
    pub signature: String,
}

impl Checkpoint {
    /// Reads a checkpoint as [`Checkpoint::to_json`] writes it.
    ///
    /// # Errors
    /// When it is not one; the signature is not checked here.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        serde_json::from_str(text.trim()).map_err(|error| AuditError::BadCheckpoint(error.to_string()))
    }

    /// The checkpoint on one line.
    pub fn to_json(&self) -> String {
        // A struct of texts and numbers is always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn sign(keys: &LogKeys, node: &str, (seq, mac): (u64, &Mac), now: Timestamp) -> Self {
        let mut checkpoint = Self {
            v: VERSION,
            node: node.to_owned(),
            seq,
            mac: hex::encode(mac),
            time: now.to_rfc3339().unwrap_or_default(),
            public_key: keys.public_key().to_owned(),
            signature: String::new(),
        };
        checkpoint.signature = keys.sign(&checkpoint.message());
        checkpoint
    }

    /// What is signed: not the JSON, so that spaces or another order of members don't matter.
    fn message(&self) -> Vec<u8> {
        let Self { v, node, seq, mac, time, public_key, .. } = self;
        format!("portcullis decision log checkpoint\n{v}\n{node}\n{seq}\n{mac}\n{time}\n{public_key}\n")
            .into_bytes()
    }

    /// The mac, when the checkpoint was signed by this log's key for this node.
    pub(super) fn check(&self, keys: &LogKeys, node: &str) -> Result<Mac, &'static str> {
        if self.v != VERSION {
            return Err("it has a version that this program does not know");
        }
        if self.public_key != keys.public_key() {
            return Err("it was signed with another root key's key");
        }
        let signed = hex::decode(&self.signature).is_ok_and(|signature| {
            let key = hex::decode(&self.public_key).unwrap_or_default();
            UnparsedPublicKey::new(&ED25519, key).verify(&self.message(), &signature).is_ok()
        });
        if !signed {
            return Err("its signature does not hold");
        }
        if self.node != node {
            return Err("it is of another node's log");
        }
        let mut mac = [0; 32];
        hex::decode_to_slice(&self.mac, &mut mac).map_err(|_| "its mac is not 64 hex digits")?;
        Ok(mac)
    }
}

/// Adds a checkpoint to the folder's own, and syncs them.
pub(super) fn append(folder: &Path, checkpoint: &Checkpoint) -> Result<(), AuditError> {
    let path = folder.join(CHECKPOINT_FILE);
    let append = || {
        let mut file = private().create(true).truncate(false).open(&path)?;
        let end = end_of_lines(&mut file)?;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        let written = file.write_all(format!("{}\n", checkpoint.to_json()).as_bytes());
        if written.is_err() {
            file.set_len(end)?;
        }
        written.and_then(|()| file.sync_data())
    };
    append().map_err(|source| AuditError::io("write", &path, source))
}

/// The byte after the last line break: a crash may have left half a line.
fn end_of_lines(file: &mut File) -> std::io::Result<u64> {
    const LINE: u64 = 4096;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(LINE);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LINE).read_to_end(&mut bytes)?;
    let last = bytes.iter().rposition(|byte| *byte == b'\n');
    Ok(last.map_or(if start == 0 { 0 } else { length }, |at| start + at as u64 + 1))
}

/// One line of the folder's own checkpoints.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) line: u64,
    pub(super) start: u64,
    pub(super) content: OwnContent,
}

#[derive(Debug)]
pub(super) enum OwnContent {
    Holds { seq: u64, mac: Mac },
    Bad(String),
    Unfinished,
}

/// Reads the folder's own checkpoints; `None` when there is no such file.
pub(super) fn read_own(folder: &Path, keys: &LogKeys, node: &str) -> Result<Option<Vec<Own>>, AuditError> {
    let path = folder.join(CHECKPOINT_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let mut reader = LineReader::open(&path, 0)?;
    let mut own = Vec::new();
    while let Some(raw) = reader.next_line()? {
        let text = std::str::from_utf8(raw.bytes).unwrap_or_default();
        let content = if !raw.finished && may_be_torn(text) {
            OwnContent::Unfinished
        } else {
            match Checkpoint::parse(text).map_err(|error| error.to_string()) {
                Ok(checkpoint) => match checkpoint.check(keys, node) {
                    Ok(mac) => OwnContent::Holds { seq: checkpoint.seq, mac },
                    Err(why) => OwnContent::Bad(why.to_owned()),
                },
                Err(why) => OwnContent::Bad(why),
            }
        };
        own.push(Own { line: raw.number, start: raw.start, content });
    }
    Ok(Some(own))
}

/// Whether a crash may have left this of a line.
fn may_be_torn(text: &str) -> bool {
    const START: &str = "{\"v\":1,\"node\":\"";
    let start = text.starts_with(START) || START.starts_with(text);
    text.contains('\0') || (start && !text.contains('}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protect::RootKey;
    use crate::random::SystemRng;

    const NODE: &str = "nod_0197aaaabbbb7cccddddeeeeffff0000";

    fn keys(folder: &Path, name: &str) -> LogKeys {
        let root = RootKey::read_or_create(&folder.join(name), &SystemRng::new()).unwrap();
        LogKeys::derive(&root).unwrap()
    }

    #[test]
    fn a_checkpoint_holds_for_its_key_and_node_alone_and_in_any_layout() {
        let folder = tempfile::tempdir().unwrap();
        let mine = keys(folder.path(), "mine");
        let made = Checkpoint::sign(&mine, NODE, (7, &[5; 32]), Timestamp(1_700_000_000_000_000));
        let value: serde_json::Value = serde_json::from_str(&made.to_json()).unwrap();
        let read = Checkpoint::parse(&serde_json::to_string_pretty(&value).unwrap()).unwrap();
        assert_eq!(read.check(&mine, NODE), Ok([5; 32]));
        assert!(read.check(&mine, "nod_other").is_err());
        assert!(read.check(&keys(folder.path(), "other"), NODE).is_err());
    }

    #[test]
    fn every_signed_member_counts() {
        let folder = tempfile::tempdir().unwrap();
        let mine = keys(folder.path(), "mine");
        let made = Checkpoint::sign(&mine, NODE, (7, &[5; 32]), Timestamp(0));
        let edits: [fn(&mut Checkpoint); 5] = [
            |it| it.seq = 8,
            |it| it.mac = hex::encode([6; 32]),
            |it| it.time = "2020-01-01T00:00:00Z".into(),
            |it| it.signature.replace_range(0..2, if it.signature.starts_with("00") { "01" } else { "00" }),
            |it| it.v = 2,
        ];
        for edit in edits {
            let mut edited = made.clone();
            edit(&mut edited);
            assert!(edited.check(&mine, NODE).is_err(), "{edited:?}");
        }
    }

    #[test]
    fn half_a_line_is_cut_off_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mine = keys(folder.path(), "mine");
        let made = Checkpoint::sign(&mine, NODE, (7, &[5; 32]), Timestamp(0));
        append(folder.path(), &made).unwrap();
        let path = folder.path().join(CHECKPOINT_FILE);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&whole[..], &whole[..30]].concat()).unwrap();
        let own = read_own(folder.path(), &mine, NODE).unwrap().unwrap();
        assert!(matches!(own[1].content, OwnContent::Unfinished));
        append(folder.path(), &made).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), [&whole[..], &whole[..]].concat());
    }
}
