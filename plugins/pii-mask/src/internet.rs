//! E-mail and IP addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::find::{Kind, Span};
use crate::text::Seen;

/// The longest address (RFC 5321 §4.5.3.1).
const LONGEST: usize = 254;

pub(crate) fn may_begin_address(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// A character of a local part, without quotes (RFC 5322 §3.2.3), letters of other scripts included (RFC 6531).
pub(crate) fn is_local(letter: char) -> bool {
    letter.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter)
}

/// An address that begins here.
pub(crate) fn email(here: &[Seen]) -> Option<Span> {
    let local = here.iter().take(65).take_while(|seen| is_local(seen.letter)).count();
    if local == 0 || here.get(local)?.letter != '@' {
        return None;
    }
    let domain: String = here
        .iter()
        .skip(local + 1)
        .take(LONGEST)
        .map(|seen| seen.letter)
        .take_while(|letter| letter.is_alphanumeric() || *letter == '-' || *letter == '.')
        .collect();
    let domain = domain.trim_end_matches(['.', '-']);
    let (_, top) = domain.rsplit_once('.')?;
    let is_domain = top.chars().count() >= 2
        && !top.starts_with(|c: char| c.is_ascii_digit())
        && domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'));
    if !is_domain {
        return None;
    }
    let length = local + 1 + domain.chars().count();
    let plain: String = here.iter().take(length).flat_map(|seen| seen.letter.to_lowercase()).collect();
    Some(Span { kind: Kind::Email, length, plain })
}

/// An address of version 4 or 6 that begins here.
pub(crate) fn ip(here: &[Seen]) -> Option<Span> {
    let word: String = here
        .iter()
        .take(46)
        .map(|seen| seen.letter)
        .take_while(|letter| letter.is_ascii_hexdigit() || *letter == '.' || *letter == ':')
        .collect();
    let next = here.get(word.chars().count()).map(|seen| seen.letter);
    if next.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
        return None;
    }
    // What ends a sentence is not the address's; a port is not, either.
    let word = word.trim_end_matches(['.', ':']);
    let v4 = word.split(':').next().unwrap_or_default();
    let address = if v4.parse::<Ipv4Addr>().is_ok() && word.matches(':').count() <= 1 {
        v4
    } else if word.matches(':').count() >= 2 && word.parse::<Ipv6Addr>().is_ok() && word.len() > 3 {
        word
    } else {
        return None;
    };
    Some(Span { kind: Kind::Ip, length: address.len(), plain: address.to_ascii_lowercase() })
}

/// The network's part of an address.
pub(crate) fn network(address: &str) -> String {
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        let [a, b, ..] = address.octets();
        return format!("{a}.{b}.*.*");
    }
    match address.parse::<Ipv6Addr>() {
        Ok(address) => {
            let [a, b, ..] = address.segments();
            format!("{a:x}:{b:x}:***")
        }
        Err(_) => "***".to_owned(),
    }
}
