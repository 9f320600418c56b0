//! `GET /orders/{id}`: which requests are meant.
//!
//! Promises: a path is compared decoded, segment by segment; one that servers may read in two ways is [`Path::Ambiguous`],
//! so that whoever asks can take the safer answer. Must never: let an encoded separator become one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A method, or any; and a path with places for what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    text: String,
    method: Option<String>,
    segments: Vec<Segment>,
    /// Whether more may follow.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Any,
}

/// A request's path, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path {
    /// Its segments; a slash at the end is none.
    Plain(Vec<String>),
    /// Servers read it differently: it has dot segments, empty segments, encoded separators, or is no path at all.
    Ambiguous,
}

impl Path {
    /// Reads a path as it is in a request.
    pub fn read(path: &str) -> Self {
        let Some(rest) = path.strip_prefix('/') else { return Self::Ambiguous };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.is_empty() {
            // `//` is no other writing of `/`.
            return if path == "/" { Self::Plain(Vec::new()) } else { Self::Ambiguous };
        }
        match rest.split('/').map(segment).collect() {
            Some(segments) => Self::Plain(segments),
            None => Self::Ambiguous,
        }
    }
}

/// A segment decoded, if there is one reading of it.
fn segment(raw: &str) -> Option<String> {
    let decoded = decode(raw)?;
    // What a second decoding, a parameter or another system's separator would make of it.
    let doubtful = |c: char| "/\\;%?#".contains(c) || c.is_control();
    let is_dots = matches!(decoded.as_str(), "" | "." | "..");
    (!is_dots && !decoded.contains(doubtful)).then_some(decoded)
}

fn decode(raw: &str) -> Option<String> {
    if !raw.contains('%') {
        return Some(raw.to_owned());
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

impl Route {
    /// Whether such a request is meant. Methods are compared without regard to case, as some servers do.
    pub fn matches(&self, method: &str, segments: &[String]) -> bool {
        let by_method = self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        let enough = match self.open {
            true => segments.len() >= self.segments.len(),
            false => segments.len() == self.segments.len(),
        };
        let mut pairs = self.segments.iter().zip(segments);
        by_method
            && enough
            && pairs.all(|(wanted, given)| match wanted {
                Segment::Literal(wanted) => wanted == given,
                Segment::Any => true,
            })
    }

    /// Of two that match, the one with the greater rank says more: by its literal segments, then by its end, then by
    /// its method.
    pub fn rank(&self) -> (usize, bool, bool) {
        let literal = self.segments.iter().filter(|segment| matches!(segment, Segment::Literal(_))).count();
        (literal, !self.open, self.method.is_some())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            |why: &str| format!("`{text}` is no route, as `GET /orders/{{id}}` or `* /admin/*`: {why}");
        if text.len() > 512 {
            return Err(wrong("it is longer than 512 bytes"));
        }
        let (method, path) = text.split_once(' ').ok_or_else(|| wrong("a method and a path are wanted"))?;
        let is_token = |byte: u8| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_';
        let method = match method {
            "*" => None,
            method if !method.is_empty() && method.bytes().all(is_token) => Some(method.to_owned()),
            _ => return Err(wrong("the method is not `*` or in upper case")),
        };
        let rest = path.strip_prefix('/').ok_or_else(|| wrong("the path does not begin with `/`"))?;
        let (rest, open) = match rest.strip_suffix('*') {
            Some(before) if before.is_empty() || before.ends_with('/') => (before, true),
            _ => (rest, false),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let mut segments = Vec::new();
        for part in rest.split('/').filter(|_| !rest.is_empty()) {
            segments.push(pattern(part).ok_or_else(|| wrong(&format!("`{part}` is no segment")))?);
        }
        Ok(Self { text: text.to_owned(), method, segments, open })
    }
}

fn pattern(part: &str) -> Option<Segment> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) => is_name(name).then_some(Segment::Any),
        // A literal stands decoded, and a star or brace in it is a mistake.
        None if part.contains(['{', '}', '*', '%']) => None,
        None => segment(part).map(Segment::Literal),
    }
}

impl fmt::Display for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Serialize for Route {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Route {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meant(route: &str, method: &str, path: &str) -> bool {
        match Path::read(path) {
            Path::Plain(segments) => route.parse::<Route>().unwrap().matches(method, &segments),
            Path::Ambiguous => panic!("{path} is ambiguous"),
        }
    }

    #[test]
    fn a_path_is_compared_decoded_and_whole() {
        assert!(meant("GET /orders/{id}", "GET", "/orders/7"));
        assert!(meant("GET /orders/{id}", "get", "/%6frders/a%20b/"));
        assert!(!meant("GET /orders/{id}", "POST", "/orders/7"));
        assert!(!meant("GET /orders/{id}", "GET", "/orders"));
        assert!(!meant("GET /orders/{id}", "GET", "/orders/7/lines"));
        assert!(meant("* /admin/*", "PUT", "/admin"));
        assert!(meant("* /admin/*", "PUT", "/admin/a/b"));
        assert!(!meant("* /admin/*", "PUT", "/administrator"));
        assert!(meant("* /*", "GET", "/") && meant("* /*", "GET", "/a/b"));
        assert!(meant("GET /", "GET", "/") && !meant("GET /", "GET", "/a"));
    }

    #[test]
    fn what_servers_read_in_two_ways_is_ambiguous() {
        for path in [
            "",
            "admin",
            "//",
            "//admin",
            "/a//b",
            "/./a",
            "/a/../b",
            "/a/%2e%2e/b",
            "/a%2fb",
            "/a%5cb",
            "/a\\b",
            "/a;v=1",
            "/a%253b",
            "/a%00",
            "/%zz",
            "/a%",
            "/%ff",
            "*",
            "http://x/a",
            "/a?b",
            "/a#b",
            "/a//",
        ] {
            assert_eq!(Path::read(path), Path::Ambiguous, "{path}");
        }
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for wrong in [
            "",
            "GET",
            "/a",
            "get /a",
            "GET a",
            "GET /a//b",
            "GET /{}",
            "GET /a*",
            "GET /*/b",
            "GET /a%20b",
            "GET /..",
        ] {
            assert!(wrong.parse::<Route>().is_err(), "{wrong}");
        }
    }
}
