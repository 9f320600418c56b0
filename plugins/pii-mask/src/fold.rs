//! How a text reads: digits of all scripts, full-width and mathematical letters, and dashes and spaces of all kinds as
//! ASCII; what is not seen left out.
//!
//! Promises: each character knows which bytes of the text it stands for. Must never: be shown in the place of a text that
//! nothing was found in.

/// A text as it reads.
#[derive(Debug)]
pub(crate) struct Folded(Vec<Seen>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    letter: char,
    start: usize,
    end: usize,
}

impl Folded {
    pub(crate) fn new(text: &str) -> Self {
        let mut seen = Vec::with_capacity(text.len());
        let mut rest = text.char_indices();
        while let Some((start, letter)) = rest.next() {
            let after = rest.as_str();
            if let Some(letter) = escaped(after.as_bytes()).filter(|_| letter == '%') {
                seen.push(Seen { letter, start, end: start + 3 });
                rest.next();
                rest.next();
                continue;
            }
            if let Some(letter) = folded(letter) {
                seen.push(Seen { letter, start, end: text.len() - after.len() });
            }
        }
        Self(seen)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The character at a place; none at and behind the end.
    pub(crate) fn at(&self, place: usize) -> Option<char> {
        self.0.get(place).map(|seen| seen.letter)
    }

    /// The character before a place.
    pub(crate) fn before(&self, place: usize) -> Option<char> {
        place.checked_sub(1).and_then(|place| self.at(place))
    }

    /// The characters from a place to before another.
    pub(crate) fn letters(&self, start: usize, end: usize) -> impl DoubleEndedIterator<Item = char> {
        self.0.get(start..end).unwrap_or_default().iter().map(|seen| seen.letter)
    }

    pub(crate) fn text(&self, start: usize, end: usize) -> String {
        self.letters(start, end).collect()
    }

    /// The bytes of the text that these characters stand for, with what is not seen between them.
    pub(crate) fn bytes(&self, start: usize, end: usize) -> (usize, usize) {
        let first = self.0.get(start).map_or(0, |seen| seen.start);
        let last = end.checked_sub(1).and_then(|last| self.0.get(last)).map_or(first, |seen| seen.end);
        (first, last)
    }

    /// Whether nothing but space stands around.
    pub(crate) fn is_whole(&self, start: usize, end: usize) -> bool {
        self.letters(0, start).chain(self.letters(end, self.len())).all(char::is_whitespace)
    }
}

/// A visible ASCII character that is written as `%` and these two digits.
fn escaped(digits: &[u8]) -> Option<char> {
    let digit = |at: usize| digits.get(at).and_then(|digit| char::from(*digit).to_digit(16));
    char::from_u32(digit(0)? * 16 + digit(1)?).filter(|letter| (' '..='~').contains(letter))
}

/// What a character reads as; none when it is not seen.
fn folded(letter: char) -> Option<char> {
    if letter.is_ascii() {
        return Some(letter);
    }
    let code = u32::from(letter);
    if HIDDEN.iter().any(|(first, last)| (*first..=*last).contains(&code)) {
        return None;
    }
    let ascii = match code {
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        0x1d400..=0x1d6a3 => nth_letter((code - 0x1d400) % 52),
        0x24b6..=0x24e9 => nth_letter(code - 0x24b6),
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000 => Some(' '),
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xfe58 | 0xfe63 | 0x30fb => Some('-'),
        0x3002 | 0xff61 | 0x2024 | 0xfe52 | 0xb7 | 0x2219 | 0x22c5 => Some('.'),
        0xfe6b => Some('@'),
        0xfe62 => Some('+'),
        0x2044 | 0x2215 => Some('/'),
        0xfe55 | 0xa789 | 0x2236 | 0x2d0 => Some(':'),
        _ => digit(code).and_then(|value| char::from_digit(value, 10)),
    };
    Some(ascii.unwrap_or(letter))
}

fn nth_letter(place: u32) -> Option<char> {
    let first = if place < 26 { 'A' } else { 'a' };
    char::from_u32(u32::from(first) + place % 26)
}

/// The value of a decimal digit of any script.
fn digit(code: u32) -> Option<u32> {
    match code {
        0x1d7ce..=0x1d7ff => return Some((code - 0x1d7ce) % 10),
        0xb2 | 0xb3 => return Some(code - 0xb0),
        0xb9 => return Some(1),
        0x2070 | 0x24ea | 0x24ff => return Some(0),
        0x2074..=0x2079 => return Some(code - 0x2070),
        0x2460..=0x2468 => return Some(code - 0x245f),
        0x2474..=0x247c => return Some(code - 0x2473),
        0x2488..=0x2490 => return Some(code - 0x2487),
        0x24f5..=0x24fd => return Some(code - 0x24f4),
        0x2776..=0x277e => return Some(code - 0x2775),
        0x2780..=0x2788 => return Some(code - 0x277f),
        0x278a..=0x2792 => return Some(code - 0x2789),
        _ => {}
    }
    let zero = *ZEROS.get(ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?)?;
    (code - zero < 10).then(|| code - zero)
}

/// The zeros of Unicode 16's decimal digits (general category Nd), and of subscripts.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0x2080, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x10d40, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x116d0, 0x116da, 0x11730,
    0x118e0, 0x11950, 0x11bf0, 0x11c50, 0x11d50, 0x11da0, 0x11f50, 0x16130, 0x16a60, 0x16ac0, 0x16b50,
    0x16d70, 0x1ccf0, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e5f1, 0x1e950, 0x1fbf0,
];

/// What is not seen (Default_Ignorable_Code_Point), and marks that are put on the character before.
const HIDDEN: &[(u32, u32)] = &[
    (0xad, 0xad),
    (0x300, 0x36f),
    (0x483, 0x489),
    (0x61c, 0x61c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200f),
    (0x202a, 0x202e),
    (0x2060, 0x206f),
    (0x20d0, 0x20ff),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfe20, 0xfe2f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfff8),
    (0x1bca0, 0x1bca3),
    (0x1d173, 0x1d17a),
    (0xe0000, 0xe0fff),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_all_scripts_read_as_digits() {
        let text = "\u{661}\u{6f2}\u{969}４\u{1d7d3}⑥⁷₈\u{1fbf9}";
        assert_eq!(Folded::new(text).text(0, 9), "123456789");
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn what_is_not_seen_is_left_out_and_covered() {
        let text = "a\u{200b}\u{ad}ｂ\u{336}\u{2011}𝐜";
        let folded = Folded::new(text);
        assert_eq!(folded.text(0, folded.len()), "ab-c");
        assert_eq!(folded.bytes(0, 2), (0, 9));
        assert_eq!(folded.bytes(0, 4), (0, text.len()));
    }

    #[test]
    fn escapes_of_visible_characters_are_read() {
        let folded = Folded::new("ann%40example.org %41%zz%");
        assert_eq!(folded.text(0, folded.len()), "ann@example.org A%zz%");
        assert_eq!(folded.bytes(3, 4), (3, 6));
    }
}
