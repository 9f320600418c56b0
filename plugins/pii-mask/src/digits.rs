//! Numbers with separators: payment cards, national ids that are digits alone, phone numbers.

use crate::checks::{luhn, mod_11_10, verhoeff, weighted};
use crate::find::{Kind, Span};
use crate::text::Seen;

/// No number that is meant here has more digits.
const MOST_DIGITS: usize = 19;
const SEPARATORS: &str = " -./()";

/// A run of digits, cut where a group of it ends.
struct Cut {
    /// How many characters it has.
    length: usize,
    digits: Vec<u8>,
    /// The lengths of its groups.
    groups: Vec<usize>,
}

/// What a run of digits is that begins here: the longest that is something.
pub(crate) fn run(here: &[Seen], before: Option<char>) -> Option<Span> {
    let international = here.first()?.letter == '+';
    let cuts = cuts(here);
    // What goes on with a letter or a point and a digit is a part of something else.
    let is_free = before.is_none_or(|letter| !matches!(letter, '.' | '/' | '-' | '=' | '_' | '+'));
    let is_one_digit = |cut: &Cut| cut.digits.iter().all(|digit| Some(digit) == cut.digits.first());
    cuts.iter().rev().filter(|cut| !is_one_digit(cut)).find_map(|cut| {
        let kind = if international { phone(cut, true) } else { of_digits(cut).or_else(|| phone(cut, false)) };
        let kind = kind.filter(|_| is_free || international || cut.digits.len() >= 13)?;
        let plain = cut.digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        Some(Span { kind, length: cut.length, plain })
    })
}

/// The ends of the groups: `4111 1111` can end behind either.
fn cuts(here: &[Seen]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let (mut digits, mut groups, mut group) = (Vec::new(), Vec::new(), 0);
    let mut separators = 0;
    for (place, seen) in here.iter().enumerate() {
        let digit = seen.letter.to_digit(10).filter(|_| seen.letter.is_ascii_digit());
        if let Some(digit) = digit.and_then(|digit| u8::try_from(digit).ok()) {
            if digits.len() == MOST_DIGITS {
                break;
            }
            digits.push(digit);
            group += 1;
            separators = 0;
            let next = here.get(place + 1).map(|seen| seen.letter);
            if !next.is_some_and(|letter| letter.is_ascii_digit()) {
                groups.push(group);
                group = 0;
                if !next.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
                    cuts.push(Cut { length: place + 1, digits: digits.clone(), groups: groups.clone() });
                }
            }
        } else if place == 0 && matches!(seen.letter, '+' | '(') {
            // It begins so.
        } else if SEPARATORS.contains(seen.letter) && separators < 2 {
            separators += 1;
        } else {
            break;
        }
    }
    cuts
}

fn of_digits(cut: &Cut) -> Option<Kind> {
    let digits = cut.digits.as_slice();
    let is_id = match digits.len() {
        9 => is_ssn(cut) || is_bsn(cut),
        11 => is_tax_id(digits) || is_cpf(digits),
        12 => is_aadhaar(digits),
        15 => is_nir(digits),
        _ => false,
    };
    // The checks of ids are the sharper ones.
    if is_id { Some(Kind::NationalId) } else { is_card(digits).then_some(Kind::Card) }
}

/// ISO/IEC 7812: networks begin with 2 to 6, and the last digit checks.
fn is_card(digits: &[u8]) -> bool {
    (13..=19).contains(&digits.len()) && matches!(digits.first(), Some(2..=6)) && luhn(digits)
}

/// United States, in its own grouping: digits alone are too many other things.
fn is_ssn(cut: &Cut) -> bool {
    let number = |digits: &[u8]| digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let (area, rest) = cut.digits.split_at_checked(3).unwrap_or_default();
    let (group, serial) = rest.split_at_checked(2).unwrap_or_default();
    cut.groups == [3, 2, 4] && !matches!(number(area), 0 | 666 | 900..) && number(group) > 0 && number(serial) > 0
}

/// The Netherlands: the test by eleven.
fn is_bsn(cut: &Cut) -> bool {
    matches!(cut.groups.as_slice(), [9] | [4, 2, 3] | [3, 3, 3])
        && weighted(&cut.digits, &[9, 8, 7, 6, 5, 4, 3, 2, -1]).rem_euclid(11) == 0
}

/// Germany: one digit stands two or three times among the first ten, and the last checks.
fn is_tax_id(digits: &[u8]) -> bool {
    let first = digits.get(..10).unwrap_or_default();
    let times = |wanted: u8| first.iter().filter(|digit| **digit == wanted).count();
    let repeated = (0..10).filter(|digit| times(*digit) > 1).count();
    let most = (0..10).map(times).max().unwrap_or_default();
    first.first() != Some(&0) && repeated == 1 && most <= 3 && mod_11_10(digits)
}

/// Brazil.
fn is_cpf(digits: &[u8]) -> bool {
    let check = |count: usize| {
        let weights: Vec<i32> = (2..=i32::try_from(count).unwrap_or_default() + 1).rev().collect();
        let rest = weighted(digits.get(..count).unwrap_or_default(), &weights) * 10 % 11 % 10;
        digits.get(count).is_some_and(|digit| i32::from(*digit) == rest)
    };
    check(9) && check(10)
}

/// India.
fn is_aadhaar(digits: &[u8]) -> bool {
    matches!(digits.first(), Some(2..=9)) && verhoeff(digits)
}

/// France, with its key of two digits.
fn is_nir(digits: &[u8]) -> bool {
    let number = |digits: &[u8]| digits.iter().fold(0_u64, |number, digit| number * 10 + u64::from(*digit));
    let (number_of, key) = digits.split_at_checked(13).unwrap_or_default();
    let month = number(number_of.get(3..5).unwrap_or_default());
    matches!(digits.first(), Some(1 | 2)) && matches!(month, 1..=12 | 20..=42 | 50..=99) && 97 - number(number_of) % 97 == number(key)
}

/// ITU-T E.164, or as people write numbers at home.
fn phone(cut: &Cut, international: bool) -> Option<Kind> {
    let (count, groups) = (cut.digits.len(), cut.groups.as_slice());
    let at_home = match groups {
        [3, 3, 4] => !matches!(cut.digits.first(), Some(0 | 1)),
        // As an SSN is written, which it is not.
        [3, 2, 4] => false,
        [1, 3, 3, 4] => cut.digits.first() == Some(&1),
        [first, _, ..] => cut.digits.first() == Some(&0) && (2..=5).contains(first) && (9..=12).contains(&count),
        _ => false,
    };
    let is_phone = if international {
        (8..=15).contains(&count) && cut.digits.first() != Some(&0)
    } else {
        at_home
    };
    is_phone.then_some(Kind::Phone)
}
