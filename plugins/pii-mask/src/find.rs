//! What looks like personal data in a text: each find with its kind and place, none within another.

use serde::Deserialize;

use crate::text::{Seen, seen};
use crate::{digits, ids, internet};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Email,
    Phone,
    Card,
    Iban,
    NationalId,
    Ip,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] =
        [Self::Email, Self::Phone, Self::Card, Self::Iban, Self::NationalId, Self::Ip];
}

/// A find, by its bytes in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// As it looks, without separators: equal for all spellings.
    pub(crate) plain: String,
}

/// A find by its characters, before it is placed.
pub(crate) struct Span {
    pub(crate) kind: Kind,
    /// How many characters it has.
    pub(crate) length: usize,
    pub(crate) plain: String,
}

/// All finds of these kinds, in order.
pub(crate) fn all(text: &str, kinds: &[Kind]) -> Vec<Found> {
    if !may_hold(text) {
        return Vec::new();
    }
    let letters = seen(text);
    let mut found = Vec::new();
    let mut at = 0;
    while at < letters.len() {
        match begins(&letters, at).filter(|span| kinds.contains(&span.kind)) {
            Some(span) => {
                let place = |at: usize| letters.get(at).copied();
                if let (Some(first), Some(last)) = (place(at), place(at + span.length - 1)) {
                    found.push(Found { kind: span.kind, start: first.start, end: last.end, plain: span.plain });
                }
                at += span.length;
            }
            None => at += 1,
        }
    }
    found
}

/// Most texts have neither a digit nor an at sign.
fn may_hold(text: &str) -> bool {
    text.bytes().any(|byte| byte == b'@' || byte == b':' || byte.is_ascii_digit() || byte >= 0x80)
}

/// What begins at a character.
fn begins(letters: &[Seen], at: usize) -> Option<Span> {
    let here = letters.get(at..)?;
    let first = here.first()?.letter;
    let before = at.checked_sub(1).and_then(|at| letters.get(at)).map(|seen| seen.letter);
    let is_boundary = before.is_none_or(|letter| !letter.is_alphanumeric());
    if !is_boundary {
        return None;
    }
    if internet::may_begin_address(first)
        && !before.is_some_and(internet::is_local)
        && let Some(span) = internet::email(here)
    {
        return Some(span);
    }
    let after_dot = before == Some('.') || before == Some(':');
    if !after_dot && let Some(span) = internet::ip(here) {
        return Some(span);
    }
    if first.is_ascii_alphanumeric()
        && let Some(span) = ids::with_letters(here)
    {
        return Some(span);
    }
    if first.is_ascii_digit() || first == '+' || first == '(' {
        return digits::run(here, before);
    }
    None
}
