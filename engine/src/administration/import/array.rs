//! Cedar's entities file: a JSON list of objects, one object at a time.
//!
//! Only brackets and strings are looked at here; what stands between them is JSON or not when it is read. An object
//! is held, never the list.

use std::io::BufRead;

use super::lines::without_mark;
use super::{Content, Fault, Piece, Place};

/// Reads a list.
#[derive(Debug)]
pub struct ArrayReader<R> {
    input: R,
    most_bytes: usize,
    line: u64,
    elements: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Before,
    Within,
    Over,
}

impl<R: BufRead> ArrayReader<R> {
    /// Reads from here; one element has at most so many bytes.
    pub fn new(input: R, most_bytes: usize) -> Self {
        Self { input, most_bytes, line: 1, elements: 0, state: State::Before }
    }

    /// The next element. After a fault there is none.
    pub fn next_piece(&mut self) -> Option<Result<Piece, Fault>> {
        if self.state == State::Over {
            return None;
        }
        let piece = self.advance();
        if !matches!(piece, Ok(Some(_))) {
            self.state = State::Over;
        }
        piece.transpose()
    }

    fn fault(&self, message: &str) -> Fault {
        Fault::malformed(Place::line(self.line), message)
    }

    fn advance(&mut self) -> Result<Option<Piece>, Fault> {
        if self.state == State::Before {
            without_mark(&mut self.input).map_err(|error| self.fault(&error.to_string()))?;
            if self.take_visible()? != Some(b'[') {
                return Err(self.fault("this is no JSON list of entities: it does not begin with `[`"));
            }
        }
        let mut next = self.take_visible()?;
        if self.state == State::Within && next == Some(b',') {
            next = self.take_visible()?;
        } else if self.state == State::Within && next != Some(b']') {
            return Err(self.fault("after an entity there must be `,` or `]`"));
        } else if next == Some(b']') {
            return match self.take_visible()? {
                None => Ok(None),
                Some(_) => Err(self.fault("there is something behind the list's `]`")),
            };
        }
        self.state = State::Within;
        self.elements += 1;
        match next {
            Some(b'{') => self.object().map(Some),
            None => Err(self.fault("the list does not end: the file is cut off")),
            Some(_) => Err(self.fault("an element of the list is no object")),
        }
    }

    /// The next byte that is not white space.
    fn take_visible(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            let byte = match self.input.fill_buf() {
                Ok(buffer) => buffer.first().copied(),
                Err(error) => return Err(self.fault(&error.to_string())),
            };
            let Some(byte) = byte else { return Ok(None) };
            self.input.consume(1);
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                _ => return Ok(Some(byte)),
            }
        }
    }

    /// The object whose `{` was taken.
    fn object(&mut self) -> Result<Piece, Fault> {
        let place = Place { element: Some(self.elements), line: self.line };
        let mut text = vec![b'{'];
        let mut scan = Scan { depth: 1, in_string: false, escaped: false };
        while scan.depth > 0 {
            let buffer = match self.input.fill_buf() {
                Ok([]) => {
                    return Err(Fault::malformed(place, "the entity does not end: the file is cut off"));
                }
                Ok(buffer) => buffer,
                Err(error) => return Err(Fault::malformed(place, error.to_string())),
            };
            let used = buffer.iter().take_while(|byte| scan.goes_on(**byte)).count();
            // The byte that ends it belongs to it.
            let used = if scan.depth == 0 { used + 1 } else { used };
            let taken = buffer.get(..used).unwrap_or(buffer);
            self.line += taken.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
            text.extend_from_slice(taken);
            self.input.consume(used);
            if text.len() > self.most_bytes {
                return Err(Fault { place, field: None, wrong: super::Wrong::TooLong(self.most_bytes) });
            }
        }
        Ok(Piece { place, content: Content::Json(text) })
    }
}

struct Scan {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// Whether the object goes on behind this byte.
    fn goes_on(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return true;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        self.depth > 0
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// What is read with a buffer of so many bytes.
    fn read(text: &str, buffer: usize) -> Vec<Result<(u64, u64, String), String>> {
        let mut reader = ArrayReader::new(BufReader::with_capacity(buffer, text.as_bytes()), 100);
        let mut found = Vec::new();
        while let Some(piece) = reader.next_piece() {
            found.push(match piece {
                Ok(Piece { place, content: Content::Json(text) }) => {
                    Ok((place.element.unwrap(), place.line, String::from_utf8(text).unwrap()))
                }
                Ok(other) => panic!("{other:?}"),
                Err(fault) => Err(fault.to_string()),
            });
        }
        found
    }

    #[test]
    fn elements_come_whole_with_their_places_however_the_buffer_cuts() {
        let text = "\u{feff} [\n{\"a\": \"]}\\\"\\\\\"},\n\n {\"b\": [{}, \"{[\"]\n}\n]\n";
        let expected = [
            Ok((1, 2, "{\"a\": \"]}\\\"\\\\\"}".to_owned())),
            Ok((2, 4, "{\"b\": [{}, \"{[\"]\n}".to_owned())),
        ];
        for buffer in [1, 2, 3, 7, 8192] {
            assert_eq!(read(text, buffer), expected, "{buffer}");
        }
        assert_eq!(read(" [ ] ", 1), []);
    }

    #[test]
    fn what_is_no_list_of_objects_is_refused_at_its_line() {
        for (text, said) in [
            ("", "does not begin"),
            ("{}", "does not begin"),
            ("[", "cut off"),
            ("[{}", "`,` or `]`"),
            ("[{},", "cut off"),
            ("[\n{\"a\"", "line 2, entity 1: the entity does not end"),
            ("[\n{} {}]", "line 2: after an entity"),
            ("[{}] x", "behind the list"),
            ("[1]", "no object"),
            ("[[]]", "no object"),
            ("[,{}]", "no object"),
            ("[{},]", "no object"),
        ] {
            let found = read(text, 8);
            let fault = found.last().unwrap().as_ref().unwrap_err();
            assert!(fault.contains(said), "{text}: {fault}");
        }
    }

    #[test]
    fn an_element_that_is_too_long_is_refused_before_it_is_held() {
        let text = format!("[{{\"a\": \"{}", "x".repeat(1 << 20));
        let found = read(&text, 64);
        assert_eq!(found.len(), 1);
        assert!(found[0].as_ref().unwrap_err().contains("more than 100 bytes"), "{found:?}");
    }
}
