//! `POST /orders/{id}`: a method and a path with places for whatever stands there.

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// This text; the empty one is the slash at the end.
    Exact(String),
    /// One segment that is not empty.
    One,
    /// All that follows, and that is something.
    Rest,
}

/// A method and a path.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    /// `*` is any.
    pub(crate) method: String,
    pub(super) pieces: Vec<Piece>,
}

/// How two patterns stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// No path is both's.
    Apart,
    /// Every path of one is the other's.
    Equal,
    /// One is a part of the other.
    Within,
    /// They share paths, and neither is a part of the other.
    Crossing,
}

const PIECES: usize = 64;

impl Pattern {
    /// Reads a method and a path.
    ///
    /// # Errors
    /// What is wrong.
    pub(crate) fn parse(method: &str, path: &str) -> Result<Self, String> {
        let is_method = method == "*"
            || (1..=32).contains(&method.len())
                && method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !is_method {
            return Err(format!("`{method}` is no method: `GET`, `POST`, …, or `*`"));
        }
        let rest = path.strip_prefix('/').ok_or_else(|| format!("the path `{path}` must begin with `/`"))?;
        if rest.is_empty() {
            return Ok(Self { method: method.to_owned(), pieces: Vec::new() });
        }
        let parts: Vec<&str> = rest.split('/').collect();
        if parts.len() > PIECES {
            return Err(format!("a path has at most {PIECES} segments"));
        }
        let last = parts.len() - 1;
        let mut pieces = Vec::with_capacity(parts.len());
        for (place, part) in parts.into_iter().enumerate() {
            pieces.push(
                piece(part, place == last).map_err(|message| format!("in the path `{path}`, {message}"))?,
            );
        }
        Ok(Self { method: method.to_owned(), pieces })
    }

    /// Whether a request can have both methods.
    pub(super) fn shares_method(&self, other: &Self) -> bool {
        self.method == other.method || self.method == "*" || other.method == "*"
    }

    /// How its paths stand to another's.
    pub(super) fn relation(&self, other: &Self) -> Relation {
        let (mut narrower, mut wider) = (false, false);
        let mut here = self.pieces.iter();
        let mut there = other.pieces.iter();
        loop {
            match (here.next(), there.next()) {
                (None, None) | (Some(Piece::Rest), Some(Piece::Rest)) => break,
                (Some(Piece::Rest), Some(_)) => {
                    wider = true;
                    break;
                }
                (Some(_), Some(Piece::Rest)) => {
                    narrower = true;
                    break;
                }
                (None, Some(_)) | (Some(_), None) => return Relation::Apart,
                (Some(one), Some(two)) if one == two => {}
                (Some(Piece::Exact(text)), Some(Piece::One)) if !text.is_empty() => narrower = true,
                (Some(Piece::One), Some(Piece::Exact(text))) if !text.is_empty() => wider = true,
                _ => return Relation::Apart,
            }
        }
        match (narrower, wider) {
            (false, false) => Relation::Equal,
            (true, true) => Relation::Crossing,
            _ => Relation::Within,
        }
    }
}

/// Reads one segment of a pattern.
///
/// # Errors
/// What is wrong.
pub(super) fn piece(part: &str, is_last: bool) -> Result<Piece, String> {
    if let Some(name) = part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
        let (name, is_rest) = name.strip_prefix('*').map_or((name, false), |name| (name, true));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("`{part}` must be named by letters, digits and `_`"));
        }
        return match (is_rest, is_last) {
            (false, _) => Ok(Piece::One),
            (true, true) => Ok(Piece::Rest),
            (true, false) => Err(format!("`{part}` must be the last segment")),
        };
    }
    if part.is_empty() && is_last {
        return Ok(Piece::Exact(String::new()));
    }
    // It is written as it is once it is decoded.
    let is_odd = |c: char| matches!(c, '{' | '}' | '%' | '?' | '#' | '\\' | ';') || c.is_control();
    if part.is_empty() || matches!(part, "." | "..") || part.contains(is_odd) {
        return Err(format!(
            "`{part}` can't be a segment: write it decoded, and a place for anything as a whole segment `{{name}}`"
        ));
    }
    Ok(Piece::Exact(part.to_owned()))
}
