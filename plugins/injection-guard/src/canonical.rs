//! One form for all spellings of a value: what a decoder further on would make of it.
//!
//! Promises: in lower case, without encodings, widths and marks that only hide. Must never: grow a value without bound.

/// Encodings within encodings, as deep as anybody decodes.
const ROUNDS: usize = 4;
/// What begins an encoded character.
const ESCAPES: [char; 3] = ['%', '&', '\\'];

/// The canonical form.
pub(crate) fn of(value: &str) -> String {
    // ASCII is plain already.
    let mut text: String =
        if value.is_ascii() { value.to_owned() } else { value.chars().filter_map(plain).collect() };
    for _ in 0..ROUNDS {
        if !text.bytes().any(|byte| matches!(byte, b'%' | b'&' | b'\\')) {
            break;
        }
        let decoded = decode(&text);
        if decoded == text {
            break;
        }
        text = decoded.chars().filter_map(plain).collect();
    }
    text.make_ascii_lowercase();
    text
}

/// A character in its plain form; none for what can't be seen.
fn plain(letter: char) -> Option<char> {
    Some(match letter {
        // Full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0)?,
        '\u{2018}' | '\u{2019}' | '\u{02b9}' | '\u{02bc}' | '\u{2032}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{2033}' => '"',
        '\u{2044}' | '\u{2215}' => '/',
        '\u{fe64}' | '\u{2039}' | '\u{3008}' => '<',
        '\u{fe65}' | '\u{203a}' | '\u{3009}' => '>',
        '\u{200b}'..='\u{200f}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}'
        | '\u{00ad}'
        | '\u{fe00}'..='\u{fe0f}' => {
            return None;
        }
        '\u{00a0}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{3000}' => ' ',
        other => other,
    })
}

/// One round: percent-encoding, `%u` and `\u` escapes, `\x` escapes, references of HTML.
fn decode(text: &str) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(ESCAPES) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        match escape(from) {
            Some((decoded, length)) => {
                match decoded {
                    Decoded::Byte(byte) => out.push(byte),
                    Decoded::Letter(letter) => {
                        let mut room = [0; 4];
                        out.extend_from_slice(letter.encode_utf8(&mut room).as_bytes());
                    }
                }
                rest = from.get(length..).unwrap_or_default();
            }
            None => {
                out.extend(from.bytes().take(1));
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    text_of(out)
}

/// The text of bytes. Overlong forms of `/`, `.` and others are no UTF-8, and some decoders take them.
pub(crate) fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(&without_overlong(error.as_bytes())).into_owned())
}

enum Decoded {
    Byte(u8),
    Letter(char),
}

/// What stands for another character, and how long it is.
fn escape(text: &str) -> Option<(Decoded, usize)> {
    let hex = |from: usize, to: usize| u32::from_str_radix(text.get(from..to)?, 16).ok();
    let letter = |code: u32| char::from_u32(code).map(Decoded::Letter);
    let bytes = text.as_bytes();
    match (bytes.first()?, bytes.get(1)?) {
        (b'%', b'u' | b'U') | (b'\\', b'u' | b'U') => Some((letter(hex(2, 6)?)?, 6)),
        (b'\\', b'x' | b'X') => Some((letter(hex(2, 4)?)?, 4)),
        (b'%', _) => Some((Decoded::Byte(u8::try_from(hex(1, 3)?).ok()?), 3)),
        (b'&', b'#') => reference(text),
        (b'&', _) => named(text),
        _ => None,
    }
}

/// `&#60;`, `&#x3c;`, with or without its end.
fn reference(text: &str) -> Option<(Decoded, usize)> {
    let (digits, radix, start) = match text.get(2..)?.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16, 3),
        None => (text.get(2..)?, 10, 2),
    };
    let length = digits.bytes().take(10).take_while(|byte| char::from(*byte).is_digit(radix)).count();
    let code = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
    let end = start + length;
    let end = if text.as_bytes().get(end) == Some(&b';') { end + 1 } else { end };
    Some((Decoded::Letter(char::from_u32(code)?), end))
}

fn named(text: &str) -> Option<(Decoded, usize)> {
    const NAMES: [(&str, char); 14] = [
        ("lt;", '<'),
        ("gt;", '>'),
        ("amp;", '&'),
        ("quot;", '"'),
        ("apos;", '\''),
        ("colon;", ':'),
        ("lpar;", '('),
        ("rpar;", ')'),
        ("tab;", '\t'),
        ("newline;", '\n'),
        ("nbsp;", ' '),
        ("sol;", '/'),
        ("equals;", '='),
        ("semi;", ';'),
    ];
    let after = text.get(1..)?;
    let (name, letter) = NAMES
        .iter()
        .find(|(name, _)| after.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))?;
    Some((Decoded::Letter(*letter), name.len() + 1))
}

/// Two-byte forms of ASCII, which UTF-8 does not have.
fn without_overlong(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match (byte, rest.peek().copied()) {
            (0xc0 | 0xc1, Some(next)) if next & 0xc0 == 0x80 => {
                out.push((byte & 1) << 6 | (next & 0x3f));
                rest.next();
            }
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_have_one_form() {
        for spelling in [
            "<SCRIPT>",
            "%3Cscript%3E",
            "%253cscript%253e",
            "&lt;script&gt;",
            "&#60;script&#x3e;",
            "\\u003cscript\\x3e",
            "%u003cscript%u003e",
            "\u{ff1c}script\u{ff1e}",
            "<scr\u{200b}ipt>",
            "&#x26;lt;script>",
        ] {
            assert_eq!(of(spelling), "<script>", "{spelling}");
        }
        assert_eq!(of("..%c0%af"), "../");
    }

    #[test]
    fn bytes_that_are_no_text_are_read_as_careless_decoders_read_them() {
        assert_eq!(text_of(b"\xc0\xae\xc0\xae\xc0\xaf \xff".to_vec()), "../ \u{fffd}");
    }

    #[test]
    fn what_is_no_encoding_stays() {
        assert_eq!(of("100% & more \\ x"), "100% & more \\ x");
        assert_eq!(of("%zz&#;&nope;\\u12"), "%zz&#;&nope;\\u12");
        assert_eq!(of("a%"), "a%");
    }
}
