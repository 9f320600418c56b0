//! National ids with letters in them.

use crate::find::Kind;
use crate::find::national::number;
use crate::fold::Folded;

/// How many characters the longest has.
const LONGEST: usize = 16;

struct Form {
    name: &'static str,
    /// `9` is a digit, `A` a letter, `*` either.
    form: &'static str,
    fits: fn(&[u8]) -> bool,
}

const FORMS: &[Form] = &[
    Form { name: "es_dni", form: "99999999A", fits: is_spanish },
    Form { name: "es_dni", form: "A9999999A", fits: is_spanish_foreigner },
    Form { name: "fr_nir", form: "99999*A99999999", fits: is_corsican },
    Form { name: "gb_nino", form: "AA999999A", fits: is_british },
    Form { name: "it_codice_fiscale", form: "AAAAAA**A**A***A", fits: is_italian },
];

/// Those that are not found as digits.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ["es_dni", "gb_nino", "it_codice_fiscale"].into_iter()
}

/// The wanted ones, from where to where.
pub(super) fn find(wanted: &[&'static str], folded: &Folded) -> Vec<(Kind, usize, usize)> {
    let forms: Vec<&Form> = FORMS.iter().filter(|form| wanted.contains(&form.name)).collect();
    let mut found = Vec::new();
    let mut at = 0;
    while !forms.is_empty() && at < folded.len() {
        match first(&forms, folded, at) {
            Some((name, end)) => {
                found.push((Kind::National(name), at, end));
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// What begins here, and where it ends.
fn first(forms: &[&Form], folded: &Folded, start: usize) -> Option<(&'static str, usize)> {
    if is_word(folded.before(start)) || !is_word(folded.at(start)) {
        return None;
    }
    let (mut letters, mut ends) = (Vec::with_capacity(LONGEST), Vec::with_capacity(LONGEST));
    let mut at = start;
    while letters.len() < LONGEST {
        match folded.at(at).map(|letter| letter.to_ascii_uppercase()) {
            Some(letter) if letter.is_ascii_alphanumeric() => {
                letters.push(u8::try_from(letter).unwrap_or_default());
                ends.push(at + 1);
            }
            // One separator may stand between two.
            Some(' ' | '-' | '.') if ends.last() == Some(&at) => {}
            _ => break,
        }
        at += 1;
    }
    forms.iter().find_map(|form| {
        let written = letters.get(..form.form.len())?;
        let end = *ends.get(form.form.len() - 1)?;
        let fits = form.is_formed(written) && !is_word(folded.at(end)) && (form.fits)(written);
        fits.then_some((form.name, end))
    })
}

fn is_word(letter: Option<char>) -> bool {
    letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
}

impl Form {
    fn is_formed(&self, written: &[u8]) -> bool {
        self.form.bytes().zip(written).all(|(form, letter)| match form {
            b'9' => letter.is_ascii_digit(),
            b'A' => letter.is_ascii_uppercase(),
            _ => letter.is_ascii_alphanumeric(),
        })
    }
}

fn digits(written: &[u8]) -> Vec<u8> {
    written.iter().filter(|letter| letter.is_ascii_digit()).map(|letter| letter - b'0').collect()
}

/// The letter of the number's remainder of 23.
fn is_spanish(written: &[u8]) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let remainder = number(&digits(written), 0, 8) % 23;
    usize::try_from(remainder).ok().and_then(|place| LETTERS.get(place)) == written.last()
}

/// X, Y and Z in front stand for 0, 1 and 2.
fn is_spanish_foreigner(written: &[u8]) -> bool {
    let Some((first @ b'X'..=b'Z', rest)) = written.split_first() else { return false };
    is_spanish(&[&[first - b'X' + b'0'], rest].concat())
}

/// The department is 2A or 2B: for the check it counts as 19 or 18.
fn is_corsican(written: &[u8]) -> bool {
    let department = match written.get(5..7) {
        Some(b"2A") => b"19",
        Some(b"2B") => b"18",
        _ => return false,
    };
    let replaced = [written.get(..5).unwrap_or_default(), department, written.get(7..).unwrap_or_default()];
    crate::find::national::is_french(&digits(&replaced.concat()))
}

/// It has no check digit; some letters are never given.
fn is_british(written: &[u8]) -> bool {
    let [first, second, .., last] = written else { return false };
    let is_given = !b"DFIQUV".contains(first) && !b"DFIQUVO".contains(second);
    let is_prefix = ![*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"].contains(&[*first, *second]);
    is_given && is_prefix && (b'A'..=b'D').contains(last)
}

/// The letter of a sum over places: each odd one has values of its own.
fn is_italian(written: &[u8]) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let value = |letter: u8| u32::from(if letter.is_ascii_digit() { letter - b'0' } else { letter - b'A' });
    let odd = |letter: u8| usize::try_from(value(letter)).ok().and_then(|at| ODD.get(at)).copied();
    let Some((last, rest)) = written.split_last() else { return false };
    let is_month = written.get(8).is_some_and(|month| b"ABCDEHLMPRST".contains(month));
    let sum = rest.iter().enumerate().try_fold(0, |sum, (place, letter)| {
        Some(sum + if place % 2 == 0 { odd(*letter)? } else { value(*letter) })
    });
    is_month && sum.is_some_and(|sum| sum % 26 == value(*last))
}
