//! Text as it looks: one form for digits and letters of other widths and scripts, and for what can't be seen.

/// A character as it looks, and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) letter: char,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The visible characters of a text.
pub(crate) fn seen(text: &str) -> Vec<Seen> {
    let mut all: Vec<Seen> = Vec::with_capacity(text.len());
    for (start, letter) in text.char_indices() {
        let end = start + letter.len_utf8();
        match plain(letter) {
            Some(letter) => all.push(Seen { letter, start, end }),
            // What can't be seen belongs to what stands before it.
            None => {
                if let Some(last) = all.last_mut() {
                    last.end = end;
                }
            }
        }
    }
    all
}

/// A character as it looks; none for what can't be seen.
fn plain(letter: char) -> Option<char> {
    if letter.is_ascii() {
        return Some(letter);
    }
    Some(match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(letter) - 0xfee0)?,
        '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{00ad}' | '\u{fe00}'..='\u{fe0f}' => {
            return None;
        }
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{00a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        other => decimal(other).map_or(other, |digit| char::from(b'0' + digit)),
    })
}

/// The value of a decimal digit of another script. Each script has its ten in a row.
fn decimal(letter: char) -> Option<u8> {
    const ZEROS: [u32; 22] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20, 0x1040, 0x17e0, 0x1810,
        0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec,
    ];
    let code = u32::from(letter);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    u8::try_from(code - zero).ok()
}

/// The first letter, and that there was more.
pub(crate) fn first_letter(text: &str) -> String {
    // Of a short text, the first letter would be much of it.
    match text.chars().next() {
        Some(first) if text.chars().count() > 3 => format!("{first}***"),
        _ => "***".to_owned(),
    }
}

/// The last letters and digits.
pub(crate) fn last(text: &str, count: usize) -> String {
    let mut letters: Vec<char> = text.chars().filter(char::is_ascii_alphanumeric).collect();
    letters.split_off(letters.len().saturating_sub(count)).into_iter().collect()
}
