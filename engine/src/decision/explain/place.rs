//! Where parts of a policy stand in its file.
//!
//! Places are found within the policy's own text, since a policy that was kept over a reload may stand elsewhere now.

use std::ops::Range;

use serde::Serialize;

use crate::decision::rules::Rule;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SourcePosition)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column, in characters, from 1.
    pub column: usize,
    /// How many bytes of the file come before it.
    pub offset: usize,
}

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = SourceSpan)]
pub struct Span {
    /// Where it starts.
    pub start: Position,
    /// Where it has ended: the first place behind it.
    pub end: Position,
}

/// Where a part of a policy's text stands in the file.
pub(super) fn span(rule: &Rule, within: Range<usize>) -> Span {
    let start = Position { line: rule.line, column: rule.column, offset: rule.offset };
    let start = advanced(start, rule.text.get(..within.start).unwrap_or_default());
    let end = advanced(start, rule.text.get(within).unwrap_or_default());
    Span { start, end }
}

fn advanced(from: Position, over: &str) -> Position {
    let column = match over.rsplit_once('\n') {
        Some((_, last)) => 1 + last.chars().count(),
        None => from.column + over.chars().count(),
    };
    Position { line: from.line + over.matches('\n').count(), column, offset: from.offset + over.len() }
}

/// Where the three constraints of a policy's scope stand in its text: principal, action, resource.
pub(super) fn scope(text: &str) -> [Option<Range<usize>>; 3] {
    let mut found = [None, None, None];
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let first = |token: &Range<usize>| text.as_bytes().get(token.start).copied();
    // What comes before the scope: annotations, each with its name and maybe a value, then the effect.
    let mut is_annotated = false;
    while let Some(token) = scan.next() {
        match first(&token) {
            Some(b'@') => {
                scan.next();
                is_annotated = true;
                continue;
            }
            Some(b'(') if is_annotated => {
                while scan.next().is_some_and(|token| first(&token) != Some(b')')) {}
            }
            Some(b'(') => break,
            _ => {}
        }
        is_annotated = false;
    }
    let (mut depth, mut place, mut part) = (0_usize, 0, None::<Range<usize>>);
    for token in scan {
        let byte = first(&token).unwrap_or_default();
        match byte {
            b'(' | b'[' => depth += 1,
            b')' if depth == 0 => break,
            b')' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if byte == b',' && depth == 0 {
            if let Some(slot) = found.get_mut(place) {
                *slot = part.take();
            }
            place += 1;
            continue;
        }
        let start = part.as_ref().map_or(token.start, |part| part.start);
        part = Some(start..token.end);
    }
    if let (Some(slot), Some(part)) = (found.get_mut(place), part) {
        *slot = Some(part);
    }
    found
}

/// Tokens of Cedar's text, as far as places need them: strings and words as a whole, other signs each, comments and blanks not.
struct Scan<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Iterator for Scan<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        loop {
            let byte = *self.bytes.get(self.at)?;
            if byte.is_ascii_whitespace() {
                self.at += 1;
            } else if byte == b'/' && self.bytes.get(self.at + 1) == Some(&b'/') {
                let rest = self.bytes.get(self.at..)?;
                self.at += rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            } else {
                break;
            }
        }
        let start = self.at;
        let first = *self.bytes.get(start)?;
        self.at += 1;
        if first == b'"' {
            while let Some(byte) = self.bytes.get(self.at) {
                self.at += if *byte == b'\\' { 2 } else { 1 };
                if *byte == b'"' {
                    break;
                }
            }
        } else if is_word(first) {
            while self.bytes.get(self.at).is_some_and(|byte| is_word(*byte)) {
                self.at += 1;
            }
        }
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> [&str; 3] {
        scope(text).map(|part| part.and_then(|part| text.get(part)).unwrap_or_default())
    }

    #[test]
    fn the_scope_is_found_behind_annotations_and_among_comments() {
        let whole = "permit(principal, action, resource);";
        assert_eq!(parts(whole), ["principal", "action", "resource"]);
        let text = "@permit(\"(a, b\") @forbid @id(\"x\")\nforbid // permit(\n ( principal == User::\"a,)\\\"\" ,\n\
                    action in [Action::\"a\", Action::\"b\"], // , no\n resource is Doc in Folder::\"f\", ) when { (1 == 2) };";
        assert_eq!(
            parts(text),
            [
                "principal == User::\"a,)\\\"\"",
                "action in [Action::\"a\", Action::\"b\"]",
                "resource is Doc in Folder::\"f\""
            ]
        );
    }
}
