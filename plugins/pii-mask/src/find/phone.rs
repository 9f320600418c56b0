//! Numbers of telephones: international (E.164), and the national forms that can be told from other numbers.

use crate::digits::{Run, Window};
use crate::find::Kind;
use crate::fold::Folded;

/// Of all numbers that are looked for here.
const SHORTEST: usize = 5;

pub(super) fn find(run: &Run, folded: &Folded) -> Vec<(Kind, usize, usize)> {
    let places = run.windows(|window| is_phone(window, folded).then_some(Kind::Phone));
    places.into_iter().map(|(kind, start, end)| (kind, with_prefix(folded, start), end)).collect()
}

/// Where what belongs to the number in front of its digits begins: `+`, `(`.
pub(super) fn with_prefix(folded: &Folded, start: usize) -> usize {
    let mut start = start;
    while matches!(folded.before(start), Some('+' | '(')) {
        start -= 1;
    }
    start
}

fn is_phone(window: Window<'_>, folded: &Folded) -> bool {
    window.digits.len() >= SHORTEST
        && !window.is_in_word(folded)
        && (is_international(window, folded) || is_called(window, folded) || is_national(window))
}

fn is_international(window: Window<'_>, folded: &Folded) -> bool {
    let count = window.digits.len();
    let prefix = with_prefix(folded, window.start());
    let has_plus = folded.letters(prefix, window.start()).any(|letter| letter == '+');
    match window.digits {
        [1..=9, ..] if has_plus => (8..=16).contains(&count),
        // Without separators it is as likely a number that was filled with zeros.
        [0, 0, 1..=9, ..] => (10..=17).contains(&count) && (window.groups.len() > 1 || count >= 12),
        _ => false,
    }
}

/// After `tel:` (RFC 3966).
fn is_called(window: Window<'_>, folded: &Folded) -> bool {
    let prefix = with_prefix(folded, window.start());
    let scheme = folded.text(prefix.saturating_sub(4), prefix);
    scheme.eq_ignore_ascii_case("tel:") && (5..=16).contains(&window.digits.len())
}

fn is_national(window: Window<'_>) -> bool {
    match window.digits {
        [0, 1..=9, ..] => is_with_zero(window),
        [1, 2..=9, ..] => window.is_grouped(&[1, 3, 3, 4]) && is_american(window.digits.get(1..)),
        [2..=9, ..] if window.is_grouped(&[3, 3, 4]) => is_american(Some(window.digits)),
        [6..=9, ..] if window.is_grouped(&[5, 5]) => true,
        [6 | 7 | 9, ..] => {
            [&[3, 2, 2, 2][..], &[3, 3, 3], &[2, 3, 2, 2]].iter().any(|form| window.is_grouped(form))
        }
        _ => false,
    }
}

/// An area's code and an office's begin with 2 at least (North American Numbering Plan).
fn is_american(digits: Option<&[u8]>) -> bool {
    matches!(digits, Some([2..=9, _, _, 2..=9, ..]))
}

/// With the zero that most of Europe and Asia dial first.
fn is_with_zero(window: Window<'_>) -> bool {
    let is_date = window.groups.len() >= 3
        && window.groups.iter().zip([2, 2, 4]).all(|(group, length)| group.len() == length);
    let is_decimal = window.groups.first().is_some_and(|group| group.len() == 1)
        && window.groups.get(1).is_some_and(|group| group.separator == Some('.'));
    // What another separator joins to digits in front is a part of something else.
    let is_beginning = window.is_first
        || window.groups.first().is_some_and(|group| matches!(group.separator, Some(' ' | '(')));
    (9..=12).contains(&window.digits.len()) && is_beginning && !is_date && !is_decimal
}
