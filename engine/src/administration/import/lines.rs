//! NDJSON: one JSON object a line. Empty lines are no entities.

use std::io::{self, BufRead};

use super::{Content, Fault, Piece, Place, Wrong};

/// Reads lines.
#[derive(Debug)]
pub struct LineReader<R> {
    input: R,
    most_bytes: usize,
    line: u64,
    ended: bool,
}

impl<R: BufRead> LineReader<R> {
    /// Reads from here; one line has at most so many bytes.
    pub fn new(input: R, most_bytes: usize) -> Self {
        Self { input, most_bytes, line: 0, ended: false }
    }

    /// The next line that is not empty.
    pub fn next_piece(&mut self) -> Option<Result<Piece, Fault>> {
        while !self.ended {
            self.line += 1;
            let place = Place::line(self.line);
            let text = match self.read_line() {
                Ok(text) => text,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(Fault::malformed(place, error.to_string())));
                }
            };
            if text.len() > self.most_bytes {
                return Some(Err(Fault { place, field: None, wrong: Wrong::TooLong(self.most_bytes) }));
            }
            if !text.trim_ascii().is_empty() {
                return Some(Ok(Piece { place, content: Content::Json(text) }));
            }
        }
        None
    }

    /// One line; of one that is too long, its beginning.
    fn read_line(&mut self) -> io::Result<Vec<u8>> {
        if self.line == 1 {
            without_mark(&mut self.input)?;
        }
        let mut text = Vec::new();
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                self.ended = true;
                return Ok(text);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |end| end + 1);
            let room = (self.most_bytes + 1).saturating_sub(text.len());
            text.extend(buffer.iter().take(end.unwrap_or(used).min(room)));
            self.input.consume(used);
            if end.is_some() {
                return Ok(text);
            }
        }
    }
}

/// Skips the mark that some programs put before UTF-8. A buffer that holds less than a mark's bytes is looked at byte by
/// byte.
pub(super) fn without_mark(input: &mut impl BufRead) -> io::Result<()> {
    for expected in [0xef, 0xbb, 0xbf] {
        if input.fill_buf()?.first() != Some(&expected) {
            // A part of a mark is no text that anything could be read from; nothing is lost.
            return Ok(());
        }
        input.consume(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(text: &str, buffer: usize) -> Vec<Result<(u64, String), String>> {
        let mut reader = LineReader::new(BufReader::with_capacity(buffer, text.as_bytes()), 20);
        let mut found = Vec::new();
        while let Some(piece) = reader.next_piece() {
            found.push(match piece {
                Ok(Piece { place, content: Content::Json(text) }) => {
                    Ok((place.line, String::from_utf8(text).unwrap()))
                }
                Ok(other) => panic!("{other:?}"),
                Err(fault) => Err(fault.to_string()),
            });
        }
        found
    }

    #[test]
    fn empty_lines_count_and_a_long_line_does_not_hide_the_next() {
        let long = "x".repeat(21);
        let text = format!("\u{feff}{{\"a\":1}}\r\n\n  \n{long}\n{}\nlast", "y".repeat(20));
        let expected = [
            Ok((1, "{\"a\":1}\r".to_owned())),
            Err("line 4: the entity has more than 20 bytes".to_owned()),
            Ok((5, "y".repeat(20))),
            Ok((6, "last".to_owned())),
        ];
        for buffer in [1, 2, 5, 8192] {
            assert_eq!(read(&text, buffer), expected, "{buffer}");
        }
        assert_eq!(read("", 1), []);
    }
}
