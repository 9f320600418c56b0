//! E-mail addresses (RFC 5321 §4.1.2, RFC 6531).

use crate::fold::Folded;

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

pub(super) fn find(folded: &Folded) -> Vec<(usize, usize)> {
    let signs = (0..folded.len()).filter(|at| folded.at(*at) == Some('@'));
    signs.filter_map(|at| Some((local(folded, at)?, domain(folded, at + 1)?))).collect()
}

/// Where the part before the sign begins.
fn local(folded: &Folded, sign: usize) -> Option<usize> {
    let most = sign.saturating_sub(LONGEST_LOCAL);
    if folded.before(sign) == Some('"') {
        let opening = (most..sign.saturating_sub(1)).rev().find(|at| folded.at(*at) == Some('"'));
        return opening.filter(|at| at + 2 < sign);
    }
    let mut start = sign;
    while start > most && folded.before(start).is_some_and(is_local) {
        start -= 1;
    }
    // A dot or a quotation mark in front of it is the sentence's.
    while start < sign && folded.at(start).is_some_and(|letter| matches!(letter, '.' | '\'' | '*' | '-')) {
        start += 1;
    }
    (start < sign).then_some(start)
}

/// Not `=`, `/`, `?`, `&`, `|`, `{` and the like: they are allowed, and in practice what an address is separated by.
fn is_local(letter: char) -> bool {
    letter.is_alphanumeric()
        || matches!(letter, '.' | '_' | '-' | '+' | '%' | '\'' | '!' | '#' | '$' | '*' | '~' | '^')
}

/// Behind the end of the part after the sign.
fn domain(folded: &Folded, start: usize) -> Option<usize> {
    if folded.at(start) == Some('[') {
        let closing = (start..start + LONGEST_DOMAIN).find(|at| folded.at(*at) == Some(']'))?;
        return Some(closing + 1);
    }
    let is_domain = |letter: char| letter.is_alphanumeric() || letter == '.' || letter == '-';
    let length = (0..LONGEST_DOMAIN).take_while(|at| folded.at(start + at).is_some_and(is_domain)).count();
    let mut end = start + length;
    while end > start && folded.before(end).is_some_and(|letter| letter == '.' || letter == '-') {
        end -= 1;
    }
    let name = folded.text(start, end);
    let (rest, last) = name.rsplit_once('.')?;
    let is_top = last.chars().count() >= 2 && last.chars().next().is_some_and(char::is_alphabetic);
    (is_top && !rest.is_empty() && !rest.starts_with('.')).then_some(end)
}
