//! Numbers of payment cards (ISO/IEC 7812): a network's beginning and length, and the digit of Luhn.

use crate::digits::Window;
use crate::find::phone::with_prefix;
use crate::fold::Folded;

/// Beginnings from one to another, of so many digits, and the lengths that the numbers have.
const NETWORKS: &[(u32, u32, std::ops::RangeInclusive<usize>)] = &[
    (4, 4, 13..=13),
    (4, 4, 16..=16),
    (4, 4, 19..=19),
    (51, 55, 16..=16),
    (2221, 2720, 16..=16),
    (34, 34, 15..=15),
    (37, 37, 15..=15),
    (6011, 6011, 16..=19),
    (644, 659, 16..=19),
    (62, 62, 16..=19),
    (81, 82, 16..=16),
    (3528, 3589, 16..=19),
    (300, 305, 14..=19),
    (3095, 3095, 14..=19),
    (36, 36, 14..=19),
    (38, 39, 14..=19),
    (50, 50, 13..=19),
    (56, 61, 13..=19),
    (63, 64, 13..=19),
    (66, 69, 13..=19),
    (2200, 2204, 16..=19),
    (9792, 9792, 16..=16),
    (1, 1, 15..=15),
];

/// So many hexadecimal digits are a hash or an identifier, not a card's number with letters around.
const LONG_HEXADECIMAL: usize = 32;
/// Farther away nothing is looked for.
const FAR: usize = 64;

pub(super) fn is_card(window: Window<'_>, folded: &Folded) -> bool {
    let digits = window.digits;
    (13..=19).contains(&digits.len())
        && is_of_network(digits)
        && luhn(digits)
        && !is_telephone(window, folded)
        && !is_in_hexadecimal(window, folded)
}

/// With `+` in front it is one, unless it is too long for it (E.164 §6.2.1).
fn is_telephone(window: Window<'_>, folded: &Folded) -> bool {
    let prefix = with_prefix(folded, window.start());
    window.digits.len() <= 15 && folded.letters(prefix, window.start()).any(|letter| letter == '+')
}

fn is_of_network(digits: &[u8]) -> bool {
    NETWORKS.iter().any(|(first, last, lengths)| {
        let beginning = digits.iter().take(width(*first)).fold(0, |sum, digit| sum * 10 + u32::from(*digit));
        lengths.contains(&digits.len()) && (*first..=*last).contains(&beginning)
    })
}

fn width(number: u32) -> usize {
    number.checked_ilog10().map_or(1, |power| power as usize + 1)
}

/// Whether the last digit is Luhn's (ISO/IEC 7812-1, annex B). Not all may be zero.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| {
        let doubled = u32::from(*digit) * if place % 2 == 1 { 2 } else { 1 };
        sum + if doubled > 9 { doubled - 9 } else { doubled }
    });
    sum.is_multiple_of(10) && sum > 0
}

fn is_in_hexadecimal(window: Window<'_>, folded: &Folded) -> bool {
    let is_part =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_ascii_hexdigit() || letter == '-');
    let before = (0..window.start()).rev().take(FAR).take_while(|at| is_part(folded.at(*at))).count();
    let after = (window.end()..folded.len()).take(FAR).take_while(|at| is_part(folded.at(*at))).count();
    let (start, end) = (window.start() - before, window.end() + after);
    let digits = folded.letters(start, end).filter(|letter| *letter != '-').count();
    digits >= LONG_HEXADECIMAL && folded.letters(start, end).any(|letter| letter.is_ascii_alphabetic())
}
