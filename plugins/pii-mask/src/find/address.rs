//! IP addresses: version 4 in dotted form, version 6 in all forms of RFC 4291 §2.2.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::fold::Folded;

pub(super) fn find(folded: &Folded) -> Vec<(usize, usize)> {
    let is_part = |letter: Option<char>| {
        letter.is_some_and(|letter| letter.is_ascii_hexdigit() || letter == ':' || letter == '.')
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < folded.len() {
        if !is_part(folded.at(at)) {
            at += 1;
            continue;
        }
        let length = (at..folded.len()).take_while(|at| is_part(folded.at(*at))).count();
        found.extend(within(folded, at, at + length));
        at += length;
    }
    found
}

/// The address in these characters, which are all that an address can have.
fn within(folded: &Folded, start: usize, end: usize) -> Option<(usize, usize)> {
    // What ends a sentence, or stands before a port.
    let is_stop = |letter: Option<char>| matches!(letter, Some('.'));
    let mut end = end;
    while end > start && is_stop(folded.before(end)) {
        end -= 1;
    }
    let count = |sign: char| folded.letters(start, end).filter(|letter| *letter == sign).count();
    if count(':') < 2 && count('.') < 3 {
        return None;
    }
    let text = folded.text(start, end);
    let is_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    if is_word(folded.before(start)) || is_word(folded.at(end)) {
        return None;
    }
    let mut candidates = vec![(0, text.as_str())];
    // `ip:port`, `host:ip`, and version 6 with a colon behind it.
    if let Some((head, _)) = text.rsplit_once(':') {
        candidates.push((0, head));
    }
    if let Some((head, tail)) = text.split_once(':') {
        candidates.push((head.len() + 1, tail));
        if let Some((middle, _)) = tail.rsplit_once(':') {
            candidates.push((head.len() + 1, middle));
        }
    }
    let (offset, address) = candidates.into_iter().find(|(_, text)| is_address(text))?;
    Some((start + offset, start + offset + address.len()))
}

fn is_address(text: &str) -> bool {
    if text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    // `a::b` is as likely a name in a program.
    let says_enough = text.bytes().any(|byte| byte.is_ascii_digit()) || groups > 3;
    says_enough && text.parse::<Ipv6Addr>().is_ok()
}
