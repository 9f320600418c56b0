//! What a path says, once: segments that every reader understands alike.
//!
//! Promises: a path in which readers could differ (an encoded slash, dot segments, empty segments, what is encoded twice)
//! has none. What generous readers make of names is told here too, and nowhere else.

use std::borrow::Cow;

/// The segments of a path, decoded; none when readers could differ on them. A slash at the end is an empty last segment.
pub(super) fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    let rest = path.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let mut segments = Vec::new();
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        let segment = decode(part)?;
        if (segment.is_empty() && !is_last) || !is_plain(&segment) {
            return None;
        }
        segments.push(segment);
    }
    Some(segments)
}

/// Whether a decoded segment is one segment and nothing else to all.
fn is_plain(segment: &str) -> bool {
    // Some servers take what follows a semicolon for parameters, and `..;` for a step up.
    let name = segment.split(';').next().unwrap_or_default();
    let has_own_meaning = |c: char| matches!(c, '/' | '\\') || c.is_control();
    name != "." && name != ".." && !segment.contains(has_own_meaning) && !holds_escape(segment)
}

/// Whether it would change if it were decoded once more.
fn holds_escape(text: &str) -> bool {
    text.as_bytes().windows(3).any(
        |three| matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
    )
}

/// Decodes percent escapes (RFC 3986 §2.1); none when one is no escape, or the bytes are no UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            bytes.push(digit(rest.next()?)? << 4 | digit(rest.next()?)?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// Everything is decoded so often; what is still encoded then is meant to be.
const ROUNDS: usize = 3;

/// The segments that generous readers could make of a path: decoded more than once, backslashes taken for slashes,
/// parameters and empty segments dropped, names made plain. One takes steps, the other takes them for names.
pub(super) fn generous(path: &str) -> [Vec<String>; 2] {
    let mut text = path.to_owned();
    for _ in 0..ROUNDS {
        if !text.contains('%') {
            break;
        }
        text = decode_leniently(&text);
    }
    let (mut stepped, mut named): (Vec<String>, Vec<String>) = Default::default();
    for part in text.replace('\\', "/").split('/') {
        let name = part.split([';', '?', '#', '\0']).next().unwrap_or_default().trim();
        if name == ".." {
            stepped.pop();
            named.push(name.to_owned());
            continue;
        }
        let plain = plain(name);
        if !plain.is_empty() {
            stepped.push(plain.clone());
            named.push(plain);
        }
    }
    [stepped, named]
}

/// A name without case; some systems drop dots and spaces at its end.
pub(super) fn plain(name: &str) -> String {
    without_case(trimmed(name))
}

/// A name as systems keep it that drop dots and spaces at its end.
pub(super) fn trimmed(name: &str) -> &str {
    name.trim_start().trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

/// Whether a name is one that is plain already, to generous readers.
pub(super) fn is_alike(plain: &str, name: &str) -> bool {
    let name = trimmed(name);
    // Most names are ASCII, and need no copy.
    if name.is_ascii() { name.eq_ignore_ascii_case(plain) } else { without_case(name) == plain }
}

/// Some letters are one in capitals alone (`ſ`), some in small letters alone (the sign for kelvin).
fn without_case(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

fn decode_leniently(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        match (byte, ahead.next().and_then(digit), ahead.next().and_then(digit)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high << 4 | low);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
