//! `GET /orders/{id}`: which requests are meant.
//!
//! Promises: a path is decoded and its segments are told apart in one place, whoever asks. Two ask, and differ where being
//! wrong costs them something else. Schemas (`router.rs`) want the one route of a request, or none: who finds none is
//! refused, so a `;` or `#` in an id is allowed, and a slash at the end makes another path. Plugins and their modes
//! ([`Route`]) are many: who is in doubt runs, so all that a server could read otherwise counts as doubt.
//! Must never: let an encoded separator become one.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod path;
mod pattern;
mod router;

pub(crate) use pattern::Pattern;
pub(crate) use router::Router;

use pattern::Piece;

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
    Literal {
        text: String,
        /// As generous servers take it.
        plain: String,
    },
    Any,
}

/// A request's path, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Path<'a> {
    /// Its segments; a slash at the end is none.
    Plain(Vec<Cow<'a, str>>),
    /// Servers read it differently: it has dot segments, empty segments, encoded separators, or is no path at all.
    Ambiguous,
}

/// How a request fits a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// As it is written.
    Exact,
    /// For servers that take other letter case for the same, or drop dots and spaces at the end of a name.
    Alike,
}

impl<'a> Path<'a> {
    /// Reads a path as it is in a request.
    pub fn read(path: &'a str) -> Self {
        let Some(mut segments) = path::segments(path) else { return Self::Ambiguous };
        let _ = segments.pop_if(|last| last.is_empty());
        // What a second decoding or a parameter would make of it, or who drops names that are dots and spaces alone.
        let is_doubtful = |segment: &Cow<'_, str>| {
            segment.contains([';', '%', '?', '#']) || path::trimmed(segment).is_empty()
        };
        if segments.iter().any(is_doubtful) { Self::Ambiguous } else { Self::Plain(segments) }
    }
}

impl Route {
    /// Whether such a request is meant, and how surely. Methods are compared without regard to case, as some servers do.
    pub fn fit(&self, method: &str, segments: &[Cow<'_, str>]) -> Option<Fit> {
        let by_method = self.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method));
        let enough = match self.open {
            true => segments.len() >= self.segments.len(),
            false => segments.len() == self.segments.len(),
        };
        if !by_method || !enough {
            return None;
        }
        let mut fit = Fit::Exact;
        for (wanted, given) in self.segments.iter().zip(segments) {
            match wanted {
                Segment::Any => {}
                Segment::Literal { text, .. } if text == given => {}
                Segment::Literal { plain, .. } if path::is_alike(plain, given) => fit = Fit::Alike,
                Segment::Literal { .. } => return None,
            }
        }
        Some(fit)
    }

    /// Of two that match, the one with the greater rank says more: by its literal segments, then by its end, then by
    /// its method.
    pub fn rank(&self) -> (usize, bool, bool) {
        let literal =
            self.segments.iter().filter(|segment| matches!(segment, Segment::Literal { .. })).count();
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
            segments.push(segment(part).ok_or_else(|| wrong(&format!("`{part}` is no segment")))?);
        }
        Ok(Self { text: text.to_owned(), method, segments, open })
    }
}

/// A star in a segment is a mistake: it stands alone, at the end.
fn segment(part: &str) -> Option<Segment> {
    match pattern::piece(part, false) {
        Ok(Piece::Exact(text)) if !text.contains('*') => {
            Some(Segment::Literal { plain: path::plain(&text), text })
        }
        Ok(Piece::One) => Some(Segment::Any),
        Ok(Piece::Exact(_) | Piece::Rest) | Err(_) => None,
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

    fn fit(route: &str, method: &str, path: &str) -> Option<Fit> {
        match Path::read(path) {
            Path::Plain(segments) => route.parse::<Route>().unwrap().fit(method, &segments),
            Path::Ambiguous => panic!("{path} is ambiguous"),
        }
    }

    fn meant(route: &str, method: &str, path: &str) -> bool {
        fit(route, method, path) == Some(Fit::Exact)
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
    fn a_name_that_some_servers_take_for_another_is_alike() {
        for path in ["/Admin", "/ADMIN/", "/%41dmin", "/admin.", "/admin..%20", "/Admin%20/x", "/adm\u{131}n"]
        {
            assert_eq!(fit("* /admin/*", "GET", path), Some(Fit::Alike), "{path}");
        }
        assert_eq!(fit("* /stra\u{df}e", "GET", "/STRASSE"), Some(Fit::Alike));
        assert_eq!(fit("* /kiss", "GET", "/\u{212a}i\u{17f}\u{17f}"), Some(Fit::Alike));
        assert_eq!(fit("* /\u{e4}", "GET", "/%C3%84"), Some(Fit::Alike));
        assert_eq!(
            fit("* /Admin/{id}", "GET", "/Admin/X."),
            Some(Fit::Exact),
            "a place is for whatever stands there"
        );
        for path in ["/admins", "/.admin", "/ad-min", "/a/admin"] {
            assert_eq!(fit("* /admin/*", "GET", path), None, "{path}");
        }
        assert_eq!(fit("POST /admin", "GET", "/ADMIN"), None);
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
            "/a/...",
            "/a/%20",
            "/%20/a",
            "/a/.%c2%a0/",
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
            "GET /{*rest}",
            "GET /a;b",
            "GET /a/./b",
            "GET /a%20b",
            "GET /..",
        ] {
            assert!(wrong.parse::<Route>().is_err(), "{wrong}");
        }
    }
}
