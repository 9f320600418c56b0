//! Numbers with letters: IBANs and national ids.

use crate::checks::mod_97;
use crate::find::{Kind, Span};
use crate::text::Seen;

/// A run of letters and digits, cut where a group of it ends.
struct Cut {
    length: usize,
    /// In upper case, without separators.
    plain: String,
}

/// The longest IBAN (ISO 13616-1).
const MOST: usize = 34;

/// What begins here with a letter, or has one.
pub(crate) fn with_letters(here: &[Seen]) -> Option<Span> {
    cuts(here).into_iter().rev().find_map(|cut| {
        let kind = if is_iban(&cut.plain) {
            Kind::Iban
        } else if is_nino(&cut.plain) || is_nie(&cut.plain) || is_dni(&cut.plain) {
            Kind::NationalId
        } else {
            return None;
        };
        Some(Span { kind, length: cut.length, plain: cut.plain })
    })
}

fn cuts(here: &[Seen]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut plain = String::new();
    for (place, seen) in here.iter().enumerate() {
        if seen.letter.is_ascii_alphanumeric() {
            if plain.len() == MOST {
                break;
            }
            plain.push(seen.letter.to_ascii_uppercase());
            let next = here.get(place + 1).map(|seen| seen.letter);
            if !next.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
                cuts.push(Cut { length: place + 1, plain: plain.clone() });
            }
        } else if !matches!(seen.letter, ' ' | '-') || here.get(place + 1).is_some_and(|next| matches!(next.letter, ' ' | '-')) {
            break;
        }
    }
    cuts
}

/// ISO 13616-1: the country's own length, and the check of ISO/IEC 7064.
fn is_iban(plain: &str) -> bool {
    let Some((country, rest)) = plain.split_at_checked(2) else { return false };
    let Some((check, account)) = rest.split_at_checked(2) else { return false };
    length_of(country) == Some(plain.len())
        && check.bytes().all(|byte| byte.is_ascii_digit())
        && mod_97(account.chars().chain(country.chars()).chain(check.chars())) == Some(1)
}

/// How long an IBAN of a country is.
fn length_of(country: &str) -> Option<usize> {
    const LENGTHS: [(usize, &str); 19] = [
        (15, "NO"),
        (16, "BE"),
        (18, "DK FI FK FO GL NL SD"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU MN XK"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM SO TL"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "BI DJ FR GR IT MC MR SM"),
        (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
        (34, ""),
    ];
    LENGTHS.iter().find(|(_, countries)| countries.split(' ').any(|known| known == country)).map(|(length, _)| *length)
}

/// United Kingdom.
fn is_nino(plain: &str) -> bool {
    let bytes = plain.as_bytes();
    let (Some(prefix), Some(digits), Some(suffix)) = (bytes.get(..2), bytes.get(2..8), bytes.get(8)) else { return false };
    let allowed = |letter: &u8| letter.is_ascii_uppercase() && !b"DFIQUV".contains(letter);
    plain.len() == 9
        && prefix.iter().all(allowed)
        && prefix.get(1) != Some(&b'O')
        && !["BG", "GB", "NK", "KN", "TN", "NT", "ZZ"].iter().any(|bad| bad.as_bytes() == prefix)
        && digits.iter().all(u8::is_ascii_digit)
        && (b'A'..=b'D').contains(suffix)
}

/// Spain, of foreigners: the first letter counts as a digit. Citizens' numbers begin with a digit.
fn is_nie(plain: &str) -> bool {
    let number = match plain.chars().next() {
        Some('X') => plain.replacen('X', "0", 1),
        Some('Y') => plain.replacen('Y', "1", 1),
        Some('Z') => plain.replacen('Z', "2", 1),
        _ => return false,
    };
    is_dni(&number)
}

/// Spain: eight digits, and the letter that checks them.
fn is_dni(plain: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let Some((digits, letter)) = plain.split_at_checked(8) else { return false };
    let Ok(number) = digits.parse::<usize>() else { return false };
    plain.len() == 9 && letter.bytes().next() == LETTERS.get(number % 23).copied()
}
