//! Lines of a body, however it comes in pieces. Of a line that is too long no more is held than shows that it is.

use super::LINE_BYTES;
use crate::administration::import::{Content, Fault, Piece, Place, Wrong};

/// Lines, from a body that comes in pieces.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) waiting: Vec<Result<Piece, Fault>>,
    begun: Vec<u8>,
    line: u64,
    pub(super) ended: bool,
}

impl Lines {
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.begin(line);
            self.close();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.begin(bytes);
        if self.begun.len() > LINE_BYTES {
            // Whether the line ever ends does not matter.
            self.end();
        }
    }

    /// Of a line that is too long, one byte too many is kept.
    fn begin(&mut self, bytes: &[u8]) {
        let room = (LINE_BYTES + 1).saturating_sub(self.begun.len());
        self.begun.extend(bytes.iter().take(room));
    }

    fn close(&mut self) {
        self.line += 1;
        let mut text = std::mem::take(&mut self.begun);
        if self.line == 1 && text.starts_with(&[0xef, 0xbb, 0xbf]) {
            text.drain(..3);
        }
        let place = Place::line(self.line);
        if text.len() > LINE_BYTES {
            self.waiting.push(Err(Fault { place, field: None, wrong: Wrong::TooLong(LINE_BYTES) }));
        } else if !text.trim_ascii().is_empty() {
            self.waiting.push(Ok(Piece { place, content: Content::Json(text) }));
        }
    }

    pub(super) fn end(&mut self) {
        self.ended = true;
        self.close();
    }
}
