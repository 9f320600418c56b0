//! What of a value stays visible by the method `partial`: what people need to recognise their own.
//!
//! Promises: of each kind no more than is written here. Must never: say how long a hidden text is, save where its form is
//! known to all.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::find::{Found, Kind};
use crate::fold::Folded;

/// Of a shorter text even its first letter says much.
const SHORTEST_WITH_BEGINNING: usize = 4;

/// What is shown of something that was found; `text` stands for what isn't.
pub(crate) fn partial(found: &Found, folded: &Folded, text: &str) -> String {
    let written = || folded.text(found.start, found.end);
    match found.kind {
        Kind::Email => email(&written(), text),
        Kind::Iban => starred(&written(), 2, 4),
        Kind::Card => starred(&written(), 0, 4),
        Kind::National("us_ssn") => starred(&written(), 0, 4),
        Kind::National(_) | Kind::Phone => starred(&written(), 0, 2),
        Kind::Address => address(&written(), text),
        Kind::Mixed => text.to_owned(),
    }
}

/// The first letter of any other text.
pub(crate) fn beginning(folded: &Folded, text: &str) -> String {
    let letters = folded.letters(0, folded.len()).filter(|letter| !letter.is_whitespace());
    let mut letters = letters.filter(|letter| !letter.is_control());
    match letters.next() {
        Some(first) if letters.count() + 1 >= SHORTEST_WITH_BEGINNING => format!("{first}{text}"),
        _ => text.to_owned(),
    }
}

/// The first letter, and the domain.
fn email(written: &str, text: &str) -> String {
    let Some((local, domain)) = written.rsplit_once('@') else { return text.to_owned() };
    let first = local.chars().next().filter(|first| first.is_alphanumeric() && local.chars().count() > 1);
    format!("{}{text}@{domain}", first.map(String::from).unwrap_or_default())
}

/// A star for each letter and digit but the first and last ones.
fn starred(written: &str, first: usize, last: usize) -> String {
    let count = written.chars().filter(|letter| letter.is_alphanumeric()).count();
    let mut place = 0;
    let star = |letter: char| {
        if !letter.is_alphanumeric() {
            return letter;
        }
        place += 1;
        if place <= first || place + last > count { letter } else { '*' }
    };
    written.chars().map(star).collect()
}

/// The network: 24 bits of version 4, 48 of version 6.
fn address(written: &str, text: &str) -> String {
    if let Ok(address) = written.parse::<Ipv4Addr>() {
        let [a, b, c, _] = address.octets();
        return format!("{a}.{b}.{c}.*");
    }
    let Ok(address) = written.parse::<Ipv6Addr>() else { return text.to_owned() };
    if let Some(inner) = address.to_ipv4_mapped() {
        let [a, b, c, _] = inner.octets();
        return format!("::ffff:{a}.{b}.{c}.*");
    }
    let [a, b, c, ..] = address.segments();
    format!("{a:x}:{b:x}:{c:x}:*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::find::Wanted;

    fn shown(text: &str) -> String {
        let folded = Folded::new(text);
        match Wanted::everything().whole(&folded) {
            Some(found) => partial(&found, &folded, "***"),
            None => beginning(&folded, "***"),
        }
    }

    #[test]
    fn each_kind_shows_what_is_usual() {
        let cases = [
            ("ann.lee@example.org", "a***@example.org"),
            ("a@example.org", "***@example.org"),
            ("4111 1111 1111 1111", "**** **** **** 1111"),
            ("DE89 3704 0044 0532 0130 00", "DE** **** **** **** **30 00"),
            ("+49 (151) 1234-5678", "+** (***) ****-**78"),
            ("078-05-1120", "***-**-1120"),
            ("12345678Z", "*******8Z"),
            ("192.0.2.77", "192.0.2.*"),
            ("2001:db8:85a3::8a2e:370:7334", "2001:db8:85a3:*"),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.*"),
            ("Lovelace", "L***"),
            ("Ada", "***"),
            ("", "***"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn other_digits_are_shown_as_ascii() {
        assert_eq!(shown("４１１１１１１１１１１１１１１１"), "************1111");
    }
}
