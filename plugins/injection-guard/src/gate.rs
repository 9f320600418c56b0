//! What lets plain values through at once: most of all that comes.

use crate::marks::{Mark, Set};

/// Whether no family can have anything to say: letters, digits and what stands in names, addresses and dates, without a word of SQL
/// and without a place that no value names by chance.
pub(crate) fn is_plain(value: &str) -> bool {
    let pass = Pass::over(value.as_bytes(), &IN_VALUES);
    pass.is_plain(value.as_bytes()) && !(pass.words && pass.seen & SPACE != 0)
}

/// Whether all names and texts of this JSON (RFC 8259) are plain, by one pass over it; never of text with escapes. With lines in
/// it, it must be JSON for that: `is_json` is asked only then.
pub(crate) fn is_plain_json(text: &[u8], is_json: impl FnOnce() -> bool) -> bool {
    let pass = Pass::over(text, &IN_JSON);
    // Spaces may be between values here, and so say nothing of where a word is.
    pass.is_plain(text) && !pass.words && (pass.seen & SPACE == 0 || is_json())
}

/// What was seen so far.
#[derive(Clone, Copy)]
struct Pass {
    seen: u8,
    /// What stands behind a mark, a slash or the beginning, as far as that says something.
    pairs: u8,
    previous: u8,
    /// Whether there is a word that begins what SQL does without any sign.
    words: bool,
    /// The last eight bytes of the word, in lower case.
    word: u64,
}

impl Pass {
    fn over(text: &[u8], kinds: &[u8; 256]) -> Self {
        let start = Self { seen: 0, pairs: 0, previous: BEGIN, words: false, word: 0 };
        let (eights, rest) = text.as_chunks::<8>();
        let pass = eights.iter().fold(start, |pass, [a, b, c, d, e, f, g, h]| {
            // Unrolled: to go round costs more here than what is done.
            let pass = pass.on(*a, kinds).on(*b, kinds).on(*c, kinds).on(*d, kinds);
            pass.on(*e, kinds).on(*f, kinds).on(*g, kinds).on(*h, kinds)
        });
        let mut pass = rest.iter().fold(pass, |pass, byte| pass.on(*byte, kinds));
        pass.words |= is_of_sql(pass.word);
        pass
    }

    #[inline(always)]
    fn on(mut self, byte: u8, kinds: &[u8; 256]) -> Self {
        let kind = kinds.get(usize::from(byte)).copied().unwrap_or(ODD);
        self.seen |= kind;
        self.pairs |= kind & ((self.previous & MARK) | (self.previous & (SLASH | BEGIN)) << 1);
        self.previous = kind;
        if kind & END == 0 {
            self.word = self.word << 8 | u64::from(byte | 0x20);
        } else {
            self.words |= is_of_sql(self.word);
            self.word = 0;
        }
        self
    }

    /// But for words.
    fn is_plain(self, text: &[u8]) -> bool {
        self.seen & ODD == 0
            && !(self.pairs & MARK != 0 && has_double_mark(text)
                || self.pairs & PLACE != 0 && has_odd_place(text)
                || self.pairs & DOT != 0 && self.seen & SLASH != 0)
    }
}

/// Neither in names nor in addresses.
const ODD: u8 = 1;
/// `-` and `.`, which say something when they stand twice.
const MARK: u8 = 2;
const SPACE: u8 = 4;
const SLASH: u8 = 8;
/// What begins an odd place, behind a slash: the bit above [`SLASH`].
const PLACE: u8 = 16;
/// What ends a word.
const END: u8 = 32;
/// The beginning of a value.
const BEGIN: u8 = 64;
/// Behind a beginning: the bit above [`BEGIN`].
const DOT: u8 = 128;

static IN_VALUES: [u8; 256] = kinds();
static IN_JSON: [u8; 256] = kinds_in_json();

/// Between values there is what JSON has between them; a line's end is what counts as a space.
const fn kinds_in_json() -> [u8; 256] {
    let mut kinds = kinds();
    set_all(&mut kinds, b"{}[]: ", END);
    set_all(&mut kinds, b"\n\r\t", SPACE | END);
    set_all(&mut kinds, b"\"", END | BEGIN);
    kinds
}

const fn kinds() -> [u8; 256] {
    let mut kinds = [ODD; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let kind = match byte {
            b'e' | b'E' | b'p' | b'P' | b'b' | b'B' | b'w' | b'W' => PLACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':' | b'@' | b'?' => 0,
            b'-' => MARK,
            b'.' => MARK | PLACE | DOT,
            b' ' => SPACE | END,
            b',' => END,
            b'/' => SLASH | PLACE | END,
            _ => ODD,
        };
        set(&mut kinds, byte, kind);
        byte += 1;
    }
    kinds
}

const fn set_all(kinds: &mut [u8; 256], mut bytes: &[u8], kind: u8) {
    while let [first, rest @ ..] = bytes {
        set(kinds, *first, kind);
        bytes = rest;
    }
}

#[expect(clippy::indexing_slicing, reason = "run while it is compiled; and a byte is always within")]
const fn set(kinds: &mut [u8; 256], byte: u8, kind: u8) {
    kinds[byte as usize] = kind;
}

/// `--` and `..`.
fn has_double_mark(text: &[u8]) -> bool {
    let mut previous = 0;
    text.iter().any(|byte| {
        let is_double = *byte == previous && matches!(byte, b'-' | b'.');
        previous = *byte;
        is_double
    })
}

/// Places that no value names by chance, and addresses on other hosts.
fn has_odd_place(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let is_odd = match first {
            b'/' => is_odd_place(behind),
            b':' => matches!(behind, [b'/', b'/', ..]),
            _ => false,
        };
        if is_odd {
            return true;
        }
        rest = behind;
    }
    false
}

/// What stands behind a slash.
fn is_odd_place(behind: &[u8]) -> bool {
    let begins =
        |place: &[u8]| behind.get(..place.len()).is_some_and(|start| start.eq_ignore_ascii_case(place));
    match behind.first().map(u8::to_ascii_lowercase) {
        Some(b'.') => true,
        Some(b'e') => begins(b"etc/"),
        Some(b'p') => begins(b"proc/"),
        Some(b'b') => begins(b"bin/"),
        Some(b'w') => begins(b"windows"),
        _ => false,
    }
}

/// Whether it is a word that begins what SQL does without any sign. (Of longer words only the end is known, which at worst makes a
/// value less plain than it is.)
#[inline(always)]
const fn is_of_sql(word: u64) -> bool {
    const OR: u64 = packed("or");
    const AND: u64 = packed("and");
    const UNION: u64 = packed("union");
    const SELECT: u64 = packed("select");
    const HAVING: u64 = packed("having");
    const EXEC: u64 = packed("exec");
    const EXECUTE: u64 = packed("execute");
    const WAITFOR: u64 = packed("waitfor");
    const ORDER: u64 = packed("order");
    const GROUP: u64 = packed("group");
    const LIKE: u64 = packed("like");
    const BETWEEN: u64 = packed("between");
    const LIMIT: u64 = packed("limit");
    const RLIKE: u64 = packed("rlike");
    const PROCEDURE: u64 = packed("procedure");
    const SHUTDOWN: u64 = packed("shutdown");
    matches!(
        word,
        OR | AND
            | UNION
            | SELECT
            | HAVING
            | EXEC
            | EXECUTE
            | WAITFOR
            | ORDER
            | GROUP
            | LIKE
            | BETWEEN
            | LIMIT
            | RLIKE
            | PROCEDURE
            | SHUTDOWN
    )
}

/// The last eight bytes of a word.
const fn packed(word: &str) -> u64 {
    let mut packed = 0_u64;
    let mut rest = word.as_bytes();
    while let [first, tail @ ..] = rest {
        packed = packed << 8 | *first as u64;
        rest = tail;
    }
    packed
}

/// What of a text is there, so that each family is asked only for what it could judge.
#[derive(Clone, Copy, Default)]
pub(crate) struct Signs {
    pub(crate) sql: bool,
    pub(crate) markup: bool,
    pub(crate) command: bool,
    pub(crate) path: bool,
}

/// On canonical text, in one pass for the signs that are one byte.
pub(crate) fn signs(text: &str, marks: Set) -> Signs {
    let mut signs = Signs { path: text.starts_with('.'), ..Signs::default() };
    let mut previous = b'\0';
    for byte in text.bytes() {
        match byte {
            b'\'' | b'"' | b'#' | b'*' | b'@' => signs.sql = true,
            b'<' => (signs.sql, signs.markup) = (true, true),
            b'=' => (signs.sql, signs.markup) = (true, true),
            b'>' | b'`' | b'(' => (signs.sql, signs.markup, signs.command) = (true, true, true),
            b';' | b'|' => (signs.sql, signs.command) = (true, true),
            b'&' => (signs.sql, signs.command) = (signs.sql || previous == b'&', true),
            b'$' | b'\n' | b'{' => signs.command = true,
            b'\0' | b'\\' => signs.path = true,
            b'-' => signs.sql |= previous == b'-',
            b'.' => signs.path |= previous == b'.' || previous == b'/',
            _ => {}
        }
        previous = byte;
    }
    signs.markup |= marks.has(Mark::ScriptScheme) || marks.has(Mark::Data);
    signs.command |= marks.has(Mark::System);
    signs.path |= [Mark::Authority, Mark::System, Mark::Process].iter().any(|mark| marks.has(*mark));
    signs.sql = signs.sql || Pass::over(text.as_bytes(), &IN_VALUES).words;
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_plain_when_all_its_texts_are() {
        for plain in [
            r#"{"name": "a thing for the house", "count": -3, "price": 1.5e3, "path": "/orders/1", "tags": []}"#,
            r#"[true, null, "2026-11-24T10:00:00Z", "ada@example.com"]"#,
        ] {
            assert!(is_plain_json(plain.as_bytes(), || unreachable!()), "{plain}");
        }
        for other in [
            r#"["it's"]"#,
            r#"["x or y"]"#,
            r#"["a\u0027"]"#,
            r#"["../a"]"#,
            r#"["x/../a"]"#,
            r#"[".a/b"]"#,
            r#"["/etc/x"]"#,
            r#"["http://a"]"#,
            r#"["a--"]"#,
            r#"{"a b union": 1}"#,
            "[\"\u{e9}\"]",
            "{;}",
        ] {
            assert!(!is_plain_json(other.as_bytes(), || true), "{other}");
        }
    }

    #[test]
    fn lines_are_plain_in_json_alone() {
        assert!(is_plain_json(b"{\n  \"a\": \"b\"\n}", || true));
        assert!(!is_plain_json(b"[\nwhoami", || false));
    }

    #[test]
    fn a_value_is_as_plain_within_json_as_alone() {
        for value in
            ["a", "a b", ".a", ".a/b", "a/.b", "x and y", "--", "a-b", "e/etc/x", "/windows", "select"]
        {
            let json = format!("[\"{value}\"]");
            assert!(is_plain(value) || !is_plain_json(json.as_bytes(), || true), "{value}");
        }
    }

    /// All short texts of letters that make words and places, between all signs.
    #[test]
    fn no_short_text_is_plainer_within_json_than_alone() {
        const LETTERS: [char; 10] = ['o', 'r', ' ', '/', '.', '-', ',', ':', 'e', 'W'];
        for mut number in 0..LETTERS.len().pow(5) {
            let mut value = String::new();
            while number > 0 {
                value.push(LETTERS[number % LETTERS.len()]);
                number /= LETTERS.len();
            }
            let json = format!("{{\"{value}\":\"{value}\"}}");
            assert!(is_plain(&value) || !is_plain_json(json.as_bytes(), || true), "{value}");
        }
    }
}
