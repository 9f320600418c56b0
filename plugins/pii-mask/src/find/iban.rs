//! International bank account numbers (ISO 13616): a country's length, and the remainder of 97.

use crate::fold::Folded;

/// Each country's code and the length of its numbers, as the registry has them (release 99).
const COUNTRIES: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 \
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 \
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 \
    PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 \
    YE30";
/// The code and two digits: they count last.
const HEAD: usize = 4;

pub(super) fn find(folded: &Folded) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < folded.len() {
        match end(folded, at) {
            Some(end) => {
                found.push((at, end));
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Behind the end of the number that begins here.
fn end(folded: &Folded, start: usize) -> Option<usize> {
    let letter = |at: usize| folded.at(at).filter(char::is_ascii_alphabetic);
    let (first, second) = (letter(start)?, letter(start + 1)?);
    // Most words end here.
    if !(start + 2..start + HEAD).all(|at| folded.at(at).is_some_and(|letter| letter.is_ascii_digit())) {
        return None;
    }
    let is_label = || folded.text(start.saturating_sub(4), start).eq_ignore_ascii_case("iban");
    if folded.before(start).is_some_and(char::is_alphanumeric) && !is_label() {
        return None;
    }
    let length = length(first.to_ascii_uppercase(), second.to_ascii_uppercase())?;
    let mut remainder = Remainder::default();
    let (mut at, mut head) = (start, Vec::with_capacity(HEAD));
    let mut count = 0;
    while count < length {
        let letter = folded.at(at)?;
        if letter.is_ascii_alphanumeric() {
            if head.len() < HEAD {
                head.push(letter);
            } else {
                remainder.add(letter);
            }
            count += 1;
        } else if !matches!(letter, ' ' | '-' | '.') || count == 0 {
            return None;
        }
        at += 1;
    }
    head.into_iter().for_each(|letter| remainder.add(letter));
    let is_over = !folded.at(at).is_some_and(char::is_alphanumeric);
    (is_over && remainder.0 == 1).then_some(at)
}

fn length(first: char, second: char) -> Option<usize> {
    let country = COUNTRIES.split(' ').find(|country| {
        let mut letters = country.chars();
        letters.next() == Some(first) && letters.next() == Some(second)
    })?;
    country.get(2..)?.parse().ok()
}

/// Of a number that is written with digits and letters, by 97 (ISO/IEC 7064): `A` is 10.
#[derive(Default)]
struct Remainder(u32);

impl Remainder {
    fn add(&mut self, letter: char) {
        let value = letter.to_digit(36).unwrap_or_default();
        let shift = if value < 10 { 10 } else { 100 };
        self.0 = (self.0 * shift + value) % 97;
    }
}
