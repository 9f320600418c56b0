//! The chain's format: how a record becomes a line, and a line a record again.
//!
//! A line is `{"chain":{…},"event":…,"mac":"<64 hex digits>"}`; its mac is keyed BLAKE3 over the
//! mac of the record before and the line's bytes up to `,"mac":`. The first record follows the
//! genesis value, which binds the node. Promises: one version of the format is one sequence of
//! bytes, so that any edited byte shows. Must never: change for a version that exists.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use zeroize::Zeroizing;

use super::{AuditError, RecordId};
use crate::protect::{Purpose, RootKey};

/// The version of the format.
pub(super) const VERSION: u64 = 1;

/// The record that opens each segment.
pub(super) const SEGMENT: &str = "segment";
/// The record that says how many are missing.
pub(super) const GAP: &str = "gap";
/// The record that says that an unfinished end was cut off.
pub(super) const RECOVERED: &str = "recovered";

const MAC_BYTES: usize = 32;
pub(super) type Mac = [u8; MAC_BYTES];

const MAC_MEMBER: &[u8] = b",\"mac\":\"";
const LINE_END: &[u8] = b"\"}";
const TAIL_BYTES: usize = MAC_MEMBER.len() + 2 * MAC_BYTES + LINE_END.len();

/// The keys of the decision log, all made from the root key.
pub struct LogKeys {
    chain: Zeroizing<[u8; 32]>,
    genesis: Zeroizing<[u8; 32]>,
    reservation: Zeroizing<[u8; 32]>,
    fingerprint: String,
    signer: Ed25519KeyPair,
    public_key: String,
}

impl std::fmt::Debug for LogKeys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "LogKeys({})", self.fingerprint)
    }
}

impl LogKeys {
    /// Derives the keys.
    ///
    /// # Errors
    /// When the signing key can't be made of its seed.
    pub fn derive(root: &RootKey) -> Result<Self, AuditError> {
        let base = root.derive(Purpose::DecisionLog);
        let seed = root.derive(Purpose::Checkpoints);
        let sub = |context: &str| Zeroizing::new(blake3::derive_key(context, base.expose()));
        let signer =
            Ed25519KeyPair::from_seed_unchecked(seed.expose()).map_err(|_| AuditError::SigningKey)?;
        let public_key = hex::encode(signer.public_key().as_ref());
        let fingerprint = sub("portcullis v1 decision log fingerprint");
        Ok(Self {
            chain: sub("portcullis v1 decision log chain"),
            genesis: sub("portcullis v1 decision log genesis"),
            reservation: sub("portcullis v1 decision log reservation"),
            fingerprint: hex::encode(fingerprint.first_chunk::<8>().unwrap_or(&[0; 8])),
            signer,
            public_key,
        })
    }

    /// Tells which root key made a log, and nothing else of it.
    pub(super) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key that checkpoints are signed with, in hex.
    pub(super) fn public_key(&self) -> &str {
        &self.public_key
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        hex::encode(self.signer.sign(message).as_ref())
    }

    /// What stands before the first record of a node's log.
    pub(super) fn genesis(&self, node: &str) -> Mac {
        *blake3::keyed_hash(&self.genesis, node.as_bytes()).as_bytes()
    }

    pub(super) fn reservation_mac(&self, body: &[u8]) -> blake3::Hash {
        blake3::keyed_hash(&self.reservation, body)
    }

    /// Whether `mac` is that of `body` behind a record with `previous`; in constant time.
    pub(super) fn follows(&self, previous: &Mac, body: &[u8], mac: &Mac) -> bool {
        self.mac(previous, body) == blake3::Hash::from_bytes(*mac)
    }

    fn mac(&self, previous: &Mac, body: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.chain);
        hasher.update(previous);
        hasher.update(body);
        hasher.finalize()
    }
}

/// The part of each line that is the same for all of a node's records.
pub(super) fn line_prefix(node: &str) -> Vec<u8> {
    format!("{{\"chain\":{{\"v\":{VERSION},\"node\":\"{node}\",\"seq\":").into_bytes()
}

/// What a record is called in its chain member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) seq: u64,
    pub(super) kind: &'a str,
    pub(super) time_us: i64,
    pub(super) id: Option<RecordId>,
}

/// Appends one line to `out`, and gives its mac.
pub(super) fn push_line(
    out: &mut Vec<u8>,
    (prefix, head): (&[u8], &Head<'_>),
    event: &[u8],
    (keys, previous): (&LogKeys, &Mac),
) -> Mac {
    let start = out.len();
    out.reserve(prefix.len() + event.len() + TAIL_BYTES + 128);
    out.extend_from_slice(prefix);
    push_decimal(out, head.seq);
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(head.kind.as_bytes());
    out.extend_from_slice(b"\",\"time_us\":");
    if head.time_us < 0 {
        out.push(b'-');
    }
    push_decimal(out, head.time_us.unsigned_abs());
    if let Some(id) = &head.id {
        out.extend_from_slice(b",\"id\":\"");
        out.extend_from_slice(id.as_str().as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(b"},\"event\":");
    out.extend_from_slice(event);
    let mac = keys.mac(previous, out.get(start..).unwrap_or_default());
    out.extend_from_slice(MAC_MEMBER);
    out.extend_from_slice(mac.to_hex().as_bytes());
    out.extend_from_slice(LINE_END);
    out.push(b'\n');
    *mac.as_bytes()
}

fn push_decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// A line read back; everything borrows from it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) node: &'a str,
    pub(super) seq: u64,
    pub(super) kind: &'a str,
    pub(super) time_us: i64,
    pub(super) id: Option<RecordId>,
    pub(super) event: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) mac: Mac,
}

/// Why a line is not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// It does not have the format.
    Malformed,
    /// It has a version that this program does not know.
    Version,
}

/// Reads one line, given without its line break. The format is strict: one record, one text.
pub(super) fn parse_line(line: &[u8]) -> Result<Line<'_>, LineError> {
    let rest = line.strip_prefix(b"{\"chain\":{\"v\":").ok_or(LineError::Malformed)?;
    let (version, rest) = take_number(rest).ok_or(LineError::Malformed)?;
    if version != VERSION {
        return Err(LineError::Version);
    }
    parse_v1(line, rest).ok_or(LineError::Malformed)
}

fn parse_v1<'a>(line: &'a [u8], rest: &'a [u8]) -> Option<Line<'a>> {
    let (body, tail) = line.split_at_checked(line.len().checked_sub(TAIL_BYTES)?)?;
    let mac_hex = tail.strip_prefix(MAC_MEMBER)?.strip_suffix(LINE_END)?;
    if mac_hex.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    let mut mac = [0; MAC_BYTES];
    hex::decode_to_slice(mac_hex, &mut mac).ok()?;
    let rest = rest.get(..rest.len().checked_sub(TAIL_BYTES)?)?;
    let (node, rest) = take_word(rest.strip_prefix(b",\"node\":\"")?)?;
    let (seq, rest) = take_number(rest.strip_prefix(b",\"seq\":")?)?;
    let (kind, rest) = take_word(rest.strip_prefix(b",\"kind\":\"")?)?;
    let rest = rest.strip_prefix(b",\"time_us\":")?;
    let (time_us, rest) = match rest.strip_prefix(b"-") {
        Some(rest) => take_number(rest).and_then(|(n, rest)| Some((0_i64.checked_sub_unsigned(n)?, rest)))?,
        None => take_number(rest).and_then(|(n, rest)| Some((i64::try_from(n).ok()?, rest)))?,
    };
    let (id, rest) = match rest.strip_prefix(b",\"id\":\"") {
        Some(rest) => {
            let (id, rest) = take_word(rest)?;
            (Some(RecordId::parse(id)?), rest)
        }
        None => (None, rest),
    };
    let event = rest.strip_prefix(b"},\"event\":")?;
    if event.is_empty() {
        return None;
    }
    Some(Line { node, seq, kind, time_us, id, event, body, mac })
}

fn take_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = bytes.split_at_checked(digits)?;
    if number.len() > 1 && number.starts_with(b"0") {
        return None;
    }
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, rest))
}

fn take_word(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let length = bytes.iter().take_while(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')).count();
    let (word, rest) = bytes.split_at_checked(length)?;
    if word.is_empty() {
        return None;
    }
    Some((std::str::from_utf8(word).ok()?, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NODE: &str = "nod_0197aaaabbbb7cccddddeeeeffff0000";
    const ID: &str = "dec_0197aaaabbbb7cccddddeeeeffff0001";

    fn keys() -> LogKeys {
        let folder = tempfile::tempdir().unwrap();
        let root =
            RootKey::create(&folder.path().join("root.key"), &crate::random::SystemRng::new()).unwrap();
        LogKeys::derive(&root).unwrap()
    }

    fn line(keys: &LogKeys, seq: u64, event: &[u8], previous: &Mac) -> Vec<u8> {
        let head = Head { seq, kind: "decision", time_us: -5, id: RecordId::parse(ID) };
        let mut out = Vec::new();
        push_line(&mut out, (&line_prefix(NODE), &head), event, (keys, previous));
        assert_eq!(out.pop(), Some(b'\n'));
        out
    }

    #[test]
    fn a_line_is_json_and_reads_back() {
        let keys = keys();
        let text = line(&keys, 7, br#"{"a":",\"mac\":\"x"}"#, &keys.genesis(NODE));
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(json["chain"]["seq"], 7);
        assert_eq!(json["chain"]["time_us"], -5);
        let read = parse_line(&text).unwrap();
        assert_eq!((read.node, read.seq, read.kind, read.time_us), (NODE, 7, "decision", -5));
        assert_eq!(read.id, RecordId::parse(ID));
        assert_eq!(read.event, br#"{"a":",\"mac\":\"x"}"#);
        assert!(keys.follows(&keys.genesis(NODE), read.body, &read.mac));
        assert!(!keys.follows(&keys.genesis("nod_other"), read.body, &read.mac));
    }

    #[test]
    fn another_root_key_gives_other_macs_and_another_genesis() {
        let (one, other) = (keys(), keys());
        assert_ne!(one.genesis(NODE), other.genesis(NODE));
        assert_ne!(one.fingerprint(), other.fingerprint());
        let text = line(&one, 1, b"{}", &one.genesis(NODE));
        let read = parse_line(&text).unwrap();
        assert!(!other.follows(&one.genesis(NODE), read.body, &read.mac));
    }

    #[test]
    fn a_later_version_is_told_from_an_edit() {
        let keys = keys();
        let text = String::from_utf8(line(&keys, 1, b"{}", &[0; 32])).unwrap();
        assert_eq!(parse_line(text.replace("\"v\":1", "\"v\":2").as_bytes()).err(), Some(LineError::Version));
        assert_eq!(parse_line(b"").err(), Some(LineError::Malformed));
    }

    proptest! {
        #[test]
        fn any_changed_byte_shows(event in "\\{\"a\":\"[a-z\" ]{0,80}\"\\}", at: prop::sample::Index, to: u8) {
            let keys = keys();
            let good = line(&keys, 3, event.as_bytes(), &[9; 32]);
            let mut bad = good.clone();
            let at = at.index(bad.len());
            bad[at] = to;
            let accepted = parse_line(&bad).is_ok_and(|read| keys.follows(&[9; 32], read.body, &read.mac));
            prop_assert_eq!(accepted, bad == good);
        }
    }
}
