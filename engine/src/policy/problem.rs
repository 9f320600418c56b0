//! What is wrong with a file, where, in words for the person who wrote it.

use std::fmt;
use std::sync::Arc;

/// An error or a warning about one place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, as a person would name it.
    pub file: Arc<str>,
    /// The line, from 1; 0 when the problem is the file's as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant; at least 1.
    pub width: usize,
    /// The line's text, or the part of a long one around the column.
    pub source_line: String,
    /// How many characters of the line are not shown in front.
    pub hidden: usize,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// A problem of a file as a whole.
    pub fn of_file(file: &Arc<str>, message: impl Into<String>) -> Self {
        Self {
            file: Arc::clone(file),
            line: 0,
            column: 0,
            width: 1,
            source_line: String::new(),
            hidden: 0,
            message: message.into(),
        }
    }

    /// A problem at the bytes `start..end` of `text`.
    pub fn at(file: &Arc<str>, text: &str, start: usize, end: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(text, start);
        let (source_line, hidden) = excerpt(text.lines().nth(line - 1).unwrap_or_default(), column);
        let meant =
            text.get(start..end).map_or(1, |meant| meant.lines().next().unwrap_or("").chars().count());
        Self {
            file: Arc::clone(file),
            line,
            column,
            width: meant.max(1),
            source_line,
            hidden,
            message: message.into(),
        }
    }

    /// A problem at a line and column, both from 1.
    pub fn at_position(
        file: &Arc<str>,
        text: &str,
        (line, column): (usize, usize),
        message: impl Into<String>,
    ) -> Self {
        // Parsers at the very start of a file say 0.
        let (line, column) = (line.max(1), column.max(1));
        let (source_line, hidden) = excerpt(text.lines().nth(line - 1).unwrap_or_default(), column);
        Self { file: Arc::clone(file), line, column, width: 1, source_line, hidden, message: message.into() }
    }

    /// The same at the start of a policy, which has this text.
    #[must_use]
    pub fn at_policy(mut self, line: usize, text: &str) -> Self {
        (self.line, self.column) = (line, 1);
        (self.source_line, self.hidden) = excerpt(text.lines().next().unwrap_or_default(), 1);
        self
    }

    /// What Cedar says of `text`, at the place that it labels.
    pub fn from_cedar(file: &Arc<str>, text: &str, diagnostic: &dyn miette::Diagnostic) -> Self {
        let mut message = diagnostic.to_string();
        let mut label = diagnostic.labels().and_then(|mut labels| labels.next());
        if label.is_none() {
            label = diagnostic
                .related()
                .and_then(|mut related| related.next())
                .and_then(|inner| inner.labels().and_then(|mut labels| labels.next()));
        }
        if let Some(text) = label.as_ref().and_then(|label| label.label()) {
            message = format!("{message}: {text}");
        }
        if let Some(help) = diagnostic.help() {
            message = format!("{message} ({help})");
        }
        match label {
            Some(label) => Self::at(file, text, label.offset(), label.offset() + label.len(), message),
            None => Self::of_file(file, message),
        }
    }
}

/// The most characters of a line that are shown, and how many of them in front of the column.
const SHOWN: usize = 200;
const SHOWN_IN_FRONT: usize = 100;

/// The part of a line to show, and how many characters of it are hidden in front: one long line with many problems
/// must not be shown whole for each.
fn excerpt(line: &str, column: usize) -> (String, usize) {
    if line.len() <= SHOWN {
        return (line.to_owned(), 0);
    }
    let hidden = (column - 1).saturating_sub(SHOWN_IN_FRONT);
    (line.chars().skip(hidden).take(SHOWN).collect(), hidden)
}

/// Line and column, both from 1, of a byte offset.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = text.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(formatter, "{}: {}", self.file, self.message);
        }
        let Self { file, line, column, message, source_line, hidden, .. } = self;
        let in_front = (column - 1).saturating_sub(*hidden);
        writeln!(formatter, "{file}:{line}:{column}: {message}")?;
        let number = line.to_string();
        writeln!(formatter, "  {number} | {source_line}")?;
        let space: String =
            source_line.chars().take(in_front).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let rest = source_line.chars().count().saturating_sub(in_front).max(1);
        let carets = "^".repeat(self.width.min(rest));
        write!(formatter, "  {:>width$} | {space}{carets}", "", width = number.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_shown_under_its_line() {
        let file: Arc<str> = "a.cedar".into();
        let text = "permit(\n  prinzipal,\n  action);";
        let start = text.find("prinzipal").unwrap();
        let problem = Problem::at(&file, text, start, start + 9, "not a variable");
        assert_eq!(problem.to_string(), "a.cedar:2:3: not a variable\n  2 |   prinzipal,\n    |   ^^^^^^^^^");
    }

    #[test]
    fn of_a_long_line_the_part_around_the_place_is_shown() {
        let text = format!("{}here{}", "é".repeat(5_000), "b".repeat(5_000));
        let start = text.find("here").unwrap();
        let problem = Problem::at(&"a.cedar".into(), &text, start, start + 4, "wrong");
        let shown = problem.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!((problem.column, lines[0]), (5_001, "a.cedar:1:5001: wrong"));
        let at = |line: &str, what: &str| line.chars().position(|c| what.starts_with(c)).unwrap();
        assert_eq!(at(lines[1], "here"), at(lines[2], "^^^^"));
        assert!(lines[1].chars().count() < 220 && lines[2].ends_with(" ^^^^"), "{shown}");
    }

    #[test]
    fn a_place_at_nought_is_the_first() {
        let file: Arc<str> = "a.json".into();
        let problem = Problem::at_position(&file, "", (1, 0), "empty");
        assert_eq!(problem.to_string(), "a.json:1:1: empty\n  1 | \n    | ^");
    }

    #[test]
    fn a_place_past_the_end_or_inside_a_character_is_still_shown() {
        let file: Arc<str> = "a.cedar".into();
        assert_eq!(Problem::at(&file, "é", 1, 9, "x").column, 1);
        assert_eq!(Problem::at(&file, "", 5, 9, "x").line, 1);
    }
}
