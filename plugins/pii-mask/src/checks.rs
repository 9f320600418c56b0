//! Check digits, as standards define them. Digits are numbers from 0 to 9.

/// ISO/IEC 7812-1, Annex B.
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            let doubled = if place % 2 == 1 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO/IEC 7064, MOD 97-10, of letters and digits.
pub(crate) fn mod_97(letters: impl Iterator<Item = char>) -> Option<u32> {
    let mut rest = 0;
    for letter in letters {
        let value = letter.to_digit(36)?;
        rest = if value > 9 { rest * 100 + value } else { rest * 10 + value } % 97;
    }
    Some(rest)
}

/// ISO/IEC 7064, MOD 11,10: the last digit checks the others.
pub(crate) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((check, digits)) = digits.split_last() else { return false };
    let mut product = 10_u32;
    for digit in digits {
        let sum = (u32::from(*digit) + product) % 10;
        product = (if sum == 0 { 10 } else { sum } * 2) % 11;
    }
    (11 - product) % 10 == u32::from(*check)
}

/// A sum of digits with weights.
pub(crate) fn weighted(digits: &[u8], weights: &[i32]) -> i32 {
    digits.iter().zip(weights).map(|(digit, weight)| i32::from(*digit) * weight).sum()
}

/// Verhoeff's check, in the dihedral group of ten elements.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTED: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permute = |digit: u8, times: usize| {
        (0..times % 8).fold(digit, |digit, _| PERMUTED.get(usize::from(digit)).copied().unwrap_or_default())
    };
    let multiply = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b) % 5,
        (false, true) => 5 + (a + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    digits.iter().rev().enumerate().fold(0, |sum, (place, digit)| multiply(sum, permute(*digit, place))) == 0
}
