//! National ids that are digits alone, each with what its digits must satisfy.

use crate::digits::Window;
use crate::find::card::luhn;
use crate::fold::Folded;

/// How a national id is written.
struct Form {
    name: &'static str,
    digits: usize,
    /// Whether it is written without separators, too.
    is_bare: bool,
    /// The groups that it is written in.
    groups: &'static [&'static [usize]],
    fits: fn(&[u8]) -> bool,
}

const FORMS: &[Form] = &[
    Form {
        name: "be_national_number",
        digits: 11,
        is_bare: true,
        groups: &[&[2, 2, 2, 3, 2], &[6, 3, 2], &[6, 5]],
        fits: is_belgian,
    },
    Form { name: "br_cpf", digits: 11, is_bare: true, groups: &[&[3, 3, 3, 2], &[9, 2]], fits: is_brazilian },
    Form { name: "ca_sin", digits: 9, is_bare: false, groups: &[&[3, 3, 3]], fits: is_canadian },
    Form { name: "ch_ahv", digits: 13, is_bare: true, groups: &[&[3, 4, 4, 2]], fits: is_swiss },
    Form {
        name: "de_tax_id",
        digits: 11,
        is_bare: true,
        groups: &[&[2, 3, 3, 3], &[3, 3, 3, 2]],
        fits: is_german,
    },
    Form {
        name: "fr_nir",
        digits: 15,
        is_bare: true,
        groups: &[&[1, 2, 2, 2, 3, 3, 2], &[13, 2], &[7, 3, 3, 2]],
        fits: is_french,
    },
    Form { name: "in_aadhaar", digits: 12, is_bare: true, groups: &[&[4, 4, 4]], fits: is_indian },
    Form { name: "nl_bsn", digits: 9, is_bare: true, groups: &[&[3, 3, 3], &[4, 2, 3]], fits: is_dutch },
    Form { name: "pl_pesel", digits: 11, is_bare: true, groups: &[], fits: is_polish },
    Form { name: "se_personnummer", digits: 10, is_bare: false, groups: &[&[6, 4]], fits: is_swedish },
    Form { name: "se_personnummer", digits: 12, is_bare: true, groups: &[&[8, 4]], fits: is_swedish },
    Form { name: "us_ssn", digits: 9, is_bare: false, groups: &[&[3, 2, 4]], fits: is_american },
];

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let once = FORMS.iter().zip(FORMS.iter().skip(1).map(Some).chain([None]));
    once.filter(|(form, next)| next.is_none_or(|next| next.name != form.name)).map(|(form, _)| form.name)
}

/// Which of the wanted ones it is.
pub(super) fn which(wanted: &[&'static str], window: Window<'_>, folded: &Folded) -> Option<&'static str> {
    let is_written = |form: &Form| {
        (form.is_bare && window.groups.len() == 1)
            || form.groups.iter().any(|lengths| window.is_grouped(lengths))
    };
    let fits = |form: &&Form| {
        form.digits == window.digits.len()
            && is_written(form)
            && wanted.contains(&form.name)
            && (form.fits)(window.digits)
    };
    FORMS.iter().find(fits).filter(|_| !window.is_in_word(folded)).map(|form| form.name)
}

/// A part of the digits as a number.
pub(super) fn number(digits: &[u8], from: usize, count: usize) -> u64 {
    digits.iter().skip(from).take(count).fold(0, |number, digit| number * 10 + u64::from(*digit))
}

/// The sum of the digits, each times its weight.
fn weighted(digits: &[u8], weights: &[u64]) -> u64 {
    digits.iter().zip(weights).map(|(digit, weight)| u64::from(*digit) * weight).sum()
}

fn digit(digits: &[u8], at: usize) -> u64 {
    number(digits, at, 1)
}

fn is_day(month: u64, day: u64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// The date, and 97 less the remainder of what is before the last two; who is born since 2000 has a 2 in front.
fn is_belgian(digits: &[u8]) -> bool {
    let (month, day, number, check) =
        (number(digits, 2, 2), number(digits, 4, 2), number(digits, 0, 9), number(digits, 9, 2));
    // A foreigner's month is 20 or 40 more, and may be unknown.
    let fits = |number: u64| check == 97 - number % 97;
    month % 20 <= 12 && month < 60 && day <= 31 && (fits(number) || fits(2_000_000_000 + number))
}

fn is_brazilian(digits: &[u8]) -> bool {
    let check = |weights: &[u64]| {
        let rest = weighted(digits, weights) * 10 % 11;
        if rest == 10 { 0 } else { rest }
    };
    let is_one_digit = digits.first().is_some_and(|first| digits.iter().all(|digit| digit == first));
    !is_one_digit
        && check(&[10, 9, 8, 7, 6, 5, 4, 3, 2]) == digit(digits, 9)
        && check(&[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == digit(digits, 10)
}

fn is_canadian(digits: &[u8]) -> bool {
    !matches!(digits, [8, ..]) && luhn(digits)
}

/// 756, and the digit of EAN-13.
fn is_swiss(digits: &[u8]) -> bool {
    number(digits, 0, 3) == 756
        && weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// One digit of the first ten is there twice or three times, and the digit of ISO/IEC 7064, mod 11,10.
fn is_german(digits: &[u8]) -> bool {
    let count = |value: u8| digits.iter().take(10).filter(|digit| **digit == value).count();
    let counts = (0..10).map(count).filter(|count| *count > 1);
    let counts: Vec<usize> = counts.collect();
    let product = digits.iter().take(10).fold(10, |product, digit| {
        let sum = (u64::from(*digit) + product) % 10;
        let sum = if sum == 0 { 10 } else { sum };
        sum * 2 % 11
    });
    let check = (11 - product) % 10;
    matches!(counts.as_slice(), [2 | 3]) && !matches!(digits, [0, ..]) && check == digit(digits, 10)
}

/// The sex, the month, and 97 less the remainder of what is before the last two.
pub(super) fn is_french(digits: &[u8]) -> bool {
    let month = number(digits, 3, 2);
    let is_month = matches!(month, 1..=12 | 20 | 30..=42 | 50..=99);
    matches!(digits, [1..=4 | 7 | 8, ..])
        && is_month
        && number(digits, 5, 2) != 0
        && number(digits, 13, 2) == 97 - number(digits, 0, 13) % 97
}

/// 11 divides the weighted sum, the last digit's weight being -1.
fn is_dutch(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    sum > 0 && sum % 11 == digit(digits, 8)
}

/// The date with the century in the month, and a weighted sum.
fn is_polish(digits: &[u8]) -> bool {
    is_day(number(digits, 2, 2) % 20, number(digits, 4, 2))
        && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// The date (for a coordination number with 60 added to the day), and Luhn's digit over the last ten.
fn is_swedish(digits: &[u8]) -> bool {
    let Some(last) = digits.len().checked_sub(10).and_then(|from| digits.get(from..)) else { return false };
    let century = number(digits, 0, digits.len() - 10);
    let day = number(last, 4, 2);
    (digits.len() == 10 || (18..=20).contains(&century))
        && is_day(number(last, 2, 2), if day > 60 { day - 60 } else { day })
        && luhn(last)
}

/// It has no check digit; some numbers are never given.
fn is_american(digits: &[u8]) -> bool {
    let area = number(digits, 0, 3);
    !matches!(area, 0 | 666 | 900..) && number(digits, 3, 2) != 0 && number(digits, 5, 4) != 0
}

/// Verhoeff's digit.
fn is_indian(digits: &[u8]) -> bool {
    const PRODUCTS: [[u8; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const TURNED: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |one: u8, other: u8| {
        PRODUCTS.get(usize::from(one)).and_then(|row| row.get(usize::from(other))).copied()
    };
    let turned = |digit: u8, times: usize| {
        (0..times % 8).try_fold(digit, |digit, _| TURNED.get(usize::from(digit)).copied())
    };
    let mut places = digits.iter().rev().enumerate();
    let sum = places.try_fold(0, |sum, (place, digit)| product(sum, turned(*digit, place)?));
    matches!(digits, [2..=9, ..]) && sum == Some(0)
}
