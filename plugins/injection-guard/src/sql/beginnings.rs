//! Which texts a rule can have something to say of: what begins with a word of SQL, or with a sign.
//!
//! Promises: what is let through here, no rule has a word for. Whether a rule may begin with a word is told by a hash that is made as
//! the word is read.

/// Whether any reading can have something to say: it begins with a word of SQL, or with a sign. Most values that get here have
/// neither (`Mozilla/5.0 (X11; Linux)`), and need not be cut into tokens.
pub(super) fn says_something(text: &str) -> bool {
    let (mut word, mut previous) = (Begun::default(), 0);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => word.push(byte),
            b'\'' | b'"' | b'`' | b'@' | b'#' | b'|' | b'&' | 0x80.. => return true,
            b'-' | b'*' if matches!((previous, byte), (b'-', b'-') | (b'/', b'*')) => return true,
            _ => {
                if word.may_begin() {
                    return true;
                }
                word = Begun::default();
            }
        }
        previous = byte;
    }
    word.may_begin()
}

/// A word as far as it was read.
#[derive(Clone, Copy, Default)]
struct Begun {
    hash: u32,
    digits: bool,
    letters: bool,
    /// Whether it began with a digit: `1or` is two tokens to some databases.
    is_number: bool,
}

impl Begun {
    fn push(&mut self, byte: u8) {
        self.is_number |= byte.is_ascii_digit() && !self.letters && !self.digits;
        self.digits |= byte.is_ascii_digit();
        self.letters |= !byte.is_ascii_digit();
        self.hash = hashed(self.hash, byte);
    }

    /// Whether a rule may begin with it. Another word can have the hash of one that does, which costs time alone.
    fn may_begin(self) -> bool {
        let (at, bit) = place(self.hash);
        (self.is_number && self.letters) || BEGINNINGS.get(at).is_some_and(|bits| bits & bit != 0)
    }
}

const fn hashed(hash: u32, byte: u8) -> u32 {
    hash.wrapping_mul(0x0100_0193) ^ byte as u32
}

/// Where a hash has its bit.
const fn place(hash: u32) -> (usize, u64) {
    let bit = (hash ^ (hash >> 15)) % (64 * ROWS as u32);
    ((bit / 64) as usize, 1 << (bit % 64))
}

const ROWS: usize = 256;

/// The hashes of all words that a rule begins with. (`like` and its kind begin one behind a quote alone.)
static BEGINNINGS: [u64; ROWS] = {
    let mut rows = [0; ROWS];
    noted(&mut rows, &WORDS);
    noted(&mut rows, &JOINING);
    noted(&mut rows, &STATEMENTS);
    noted(&mut rows, &DANGEROUS);
    rows
};

#[expect(clippy::indexing_slicing, reason = "run while it is compiled, where an index is checked")]
const fn noted(rows: &mut [u64; ROWS], mut words: &[&str]) {
    while let [first, others @ ..] = words {
        let (mut hash, mut rest) = (0, first.as_bytes());
        while let [byte, behind @ ..] = rest {
            hash = hashed(hash, *byte);
            rest = behind;
        }
        let (at, bit) = place(hash);
        rows[at] |= bit;
        words = others;
    }
}

const WORDS: [&str; 14] = [
    "union",
    "select",
    "order",
    "group",
    "into",
    "procedure",
    "limit",
    "waitfor",
    "case",
    "is",
    "collate",
    "as",
    "from",
    "declare",
];

/// What joins a condition to the query's own.
pub(super) const JOINING: [&str; 9] = ["or", "and", "xor", "having", "where", "oorr", "aandnd", "div", "mod"];

/// What a second statement begins with.
pub(super) const STATEMENTS: [&str; 26] = [
    "select", "insert", "update", "delete", "drop", "alter", "create", "exec", "execute", "declare",
    "waitfor", "shutdown", "truncate", "merge", "begin", "if", "while", "set", "call", "grant", "load",
    "copy", "use", "rename", "replace", "handler",
];

/// Functions that attackers call.
pub(super) const DANGEROUS: [&str; 44] = [
    "sleep",
    "benchmark",
    "pg_sleep",
    "load_file",
    "extractvalue",
    "updatexml",
    "xp_cmdshell",
    "xp_regread",
    "xp_dirtree",
    "sp_executesql",
    "sp_password",
    "openrowset",
    "opendatasource",
    "openquery",
    "utl_http",
    "utl_inaddr",
    "dbms_pipe",
    "dbms_lock",
    "ctxsys",
    "randomblob",
    "load_extension",
    "group_concat",
    "concat_ws",
    "current_user",
    "system_user",
    "session_user",
    "user_name",
    "db_name",
    "host_name",
    "make_set",
    "elt",
    "exp",
    "geometrycollection",
    "multipoint",
    "polygon",
    "linestring",
    "name_const",
    "row_count",
    "found_rows",
    "to_base64",
    "unhex",
    "hex",
    "chr",
    "pg_read_file",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_is_seen_wherever_it_stands() {
        for word in WORDS.iter().chain(&JOINING).chain(&STATEMENTS).chain(&DANGEROUS) {
            for text in
                [(*word).to_owned(), format!("a {word}(1"), format!("1.{word}"), format!("x;{word}\ty")]
            {
                assert!(says_something(&text), "{text}");
            }
        }
        for text in ["it's", "a--", "1/**/2", "@@version", "a || b", "1or 1", "caf\u{e9}"] {
            assert!(says_something(text), "{text}");
        }
    }

    #[test]
    fn what_browsers_call_themselves_is_nothing() {
        let agent = "mozilla/5.0 (x11; linux x86_64) applewebkit/537.36 (khtml, like gecko) chrome/130.0";
        assert!(!says_something(agent));
    }
}
