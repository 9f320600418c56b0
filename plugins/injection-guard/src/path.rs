//! Path traversal: a value that leaves the folder it is meant for.

use std::borrow::Cow;

use crate::canonical;
use crate::marks::{Mark, Marks, Set};
use crate::scan::Hit;

const TRAVERSAL: Hit = Hit::new("path-traversal", 85, "a way out of the folder");
const FILE: Hit = Hit::new("path-file", 80, "a file of the system");
const NUL: Hit = Hit::new("path-nul", 80, "a NUL character, which ends a path early");
const SCHEME: Hit = Hit::new("path-scheme", 80, "a scheme that reads files or streams");
const SEGMENT: Hit = Hit::new("path-dot-segment", 85, "a dot segment in the request's path");

/// What canonical text does as a path.
pub(crate) fn judge(text: &str, marks: Set, all: &Marks) -> Option<Hit> {
    let (text, marks) = if text.contains('\\') {
        let text = text.replace('\\', "/");
        let marks = all.of(&text);
        (Cow::Owned(text), marks)
    } else {
        (Cow::Borrowed(text), marks)
    };
    if marks.has(Mark::FileScheme) {
        return Some(SCHEME);
    }
    if marks.has(Mark::File) {
        return Some(FILE);
    }
    match ups(&text) {
        0 => text.contains('\0').then_some(NUL),
        1 => Some(Hit { score: 80, ..TRAVERSAL }),
        _ => Some(TRAVERSAL),
    }
}

/// How many steps up there are. An ellipsis in prose is none: a step is a segment of its own.
fn ups(text: &str) -> usize {
    let mut before = text.split('/').peekable();
    let mut count = 0;
    while let Some(segment) = before.next() {
        let is_last = before.peek().is_none();
        let step = segment
            .trim_end_matches([';', '\0', ' '])
            .rsplit([' ', '=', ':', ','])
            .next()
            .unwrap_or_default();
        if (step == ".." && !(is_last && count == 0)) || (step == "...." || step == "..;") && !is_last {
            count += 1;
        }
    }
    count
}

/// The request's own path, where no dot segment has any business (RFC 3986 §5.2.4 takes them away before it is sent).
pub(crate) fn in_request_path(path: &str) -> Option<Hit> {
    let decoded = canonical::of(path).replace('\\', "/");
    let dots = decoded.split('/').any(|segment| {
        let segment = segment.split(';').next().unwrap_or_default();
        segment == ".." || segment == "."
    });
    dots.then_some(SEGMENT)
}
