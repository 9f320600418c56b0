//! The application's own request, as it reports it.
//!
//! Promises: each part crosses from the host once, when it is first asked for. Must never: decode the path, which is for
//! the plugin to judge as it stands.

use std::cell::OnceCell;

use crate::{Document, ground};

/// A header field (RFC 9110 §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// In lower case.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Header {
    /// The name must be in lower case.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    ground: ground::Request<'a>,
    method: OnceCell<String>,
    path: OnceCell<String>,
    query: OnceCell<Option<String>>,
    pairs: OnceCell<Vec<(String, String)>>,
    headers: OnceCell<Vec<Header>>,
    body: OnceCell<Option<Document<'static>>>,
    raw_body: OnceCell<Vec<u8>>,
}

impl<'a> Request<'a> {
    pub(crate) fn on(ground: ground::Request<'a>) -> Self {
        Self {
            ground,
            method: OnceCell::new(),
            path: OnceCell::new(),
            query: OnceCell::new(),
            pairs: OnceCell::new(),
            headers: OnceCell::new(),
            body: OnceCell::new(),
            raw_body: OnceCell::new(),
        }
    }

    /// RFC 9110 §9.
    pub fn method(&self) -> &str {
        self.method.get_or_init(|| self.ground.method())
    }

    /// As it is in the request: not decoded.
    pub fn path(&self) -> &str {
        self.path.get_or_init(|| self.ground.path())
    }

    /// Without the question mark, not decoded; none when there is none.
    pub fn query(&self) -> Option<&str> {
        self.query.get_or_init(|| self.ground.query()).as_deref()
    }

    /// The names and values of the query, decoded as forms are: `+` is a space.
    pub fn query_pairs(&self) -> &[(String, String)] {
        self.pairs.get_or_init(|| self.query().map(decoded_pairs).unwrap_or_default())
    }

    /// In the request's order. Without the capability `credentials`, those that carry credentials are not among them.
    pub fn headers(&self) -> &[Header] {
        self.headers.get_or_init(|| self.ground.headers())
    }

    /// The first value of a header; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// All values of a header; the name in lower case.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = move |header: &&Header| header.name == name;
        self.headers().iter().filter(named).map(|header| header.value.as_str())
    }

    /// The body as a document, when it is JSON or a form (whose members are then text, or lists of it).
    pub fn body(&self) -> Option<&Document<'static>> {
        self.body.get_or_init(|| self.ground.body().map(Document)).as_ref()
    }

    /// The body as it came; empty when there is none.
    pub fn raw_body(&self) -> &[u8] {
        self.raw_body.get_or_init(|| self.ground.raw_body())
    }
}

/// The names and values of `application/x-www-form-urlencoded` text. What is no UTF-8 is replaced, never dropped.
pub(crate) fn decoded_pairs(text: &str) -> Vec<(String, String)> {
    let pieces = text.split('&').filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => match (hexadecimal(*high), hexadecimal(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high << 4 | low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::decoded_pairs;

    #[test]
    fn a_query_is_decoded_as_a_form_is() {
        let pairs = decoded_pairs("a=1+2&b=%C3%A9&c&&=x&d=%zz%4");
        let expected = [("a", "1 2"), ("b", "é"), ("c", ""), ("", "x"), ("d", "%zz%4")];
        let expected: Vec<_> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn what_is_no_utf_8_is_kept_as_a_replacement() {
        assert_eq!(decoded_pairs("a=%FFx"), [("a".to_owned(), "\u{fffd}x".to_owned())]);
    }
}
