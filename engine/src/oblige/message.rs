//! A message that is to be signed, checked: what a header can't be, or a request can't have, is refused.

use crate::plugin::input::{Components, Message};

/// Longer targets are refused by servers too (RFC 9110 §4.1 asks for at least 8,000 octets).
const MOST_TARGET_BYTES: usize = 8 << 10;
const MOST_HEADERS: usize = 256;

/// A request that is about to be sent, once it is checked; header names become lower case.
///
/// # Errors
/// Which member is no part of a request, and why.
pub fn request(
    method: &str,
    target_uri: &str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Result<Message, String> {
    if !is_token(method) {
        return Err("`message.method` must be a token (RFC 9110 §9.1)".into());
    }
    if !is_absolute(target_uri) {
        return Err(format!(
            "`message.target_uri` must be an absolute URI of at most {MOST_TARGET_BYTES} bytes, without fragment"
        ));
    }
    if headers.len() > MOST_HEADERS {
        return Err(format!("`message.headers` must be at most {MOST_HEADERS}"));
    }
    let headers: Vec<_> =
        headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    if let Some(place) = headers.iter().position(|(name, value)| !is_field(name, value)) {
        return Err(format!("`message.headers`: number {} is no header field (RFC 9110 §5)", place + 1));
    }
    let target_uri = target_uri.to_owned();
    Ok(Message::Request(Components { method: method.to_owned(), target_uri, headers, body }))
}

/// Whether this is a header field (RFC 9110 §5.1, §5.5), its name in lower case.
pub fn is_field(name: &str, value: &str) -> bool {
    let visible = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    let trimmed = value.trim_matches([' ', '\t']) == value;
    is_token(name)
        && !name.bytes().any(|byte| byte.is_ascii_uppercase())
        && trimmed
        && value.bytes().all(visible)
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=256).contains(&text.len()) && text.bytes().all(allowed)
}

/// A URI with scheme and authority (RFC 3986 §4.3), in the characters that one has.
fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once("://") else { return false };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let in_uri = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
    uri.len() <= MOST_TARGET_BYTES
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(in_scheme)
        && rest.bytes().all(in_uri)
        && !rest.starts_with(['/', '?'])
        && !rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: &str, uri: &str, header: (&str, &str)) -> bool {
        let headers = vec![(header.0.to_owned(), header.1.to_owned())];
        request(method, uri, headers, Vec::new()).is_err()
    }

    #[test]
    fn a_request_has_the_form_of_one() {
        const URI: &str = "https://partner.example/orders?x=%20";
        assert!(!refused("POST", URI, ("X-Note", "a b")));
        for method in ["", "GET /", "GET\r\nx", "é"] {
            assert!(refused(method, URI, ("a", "b")), "{method}");
        }
        for uri in
            ["/orders", "https://", "https:///x", "https://a b", "https://a\r\nb", "x://a#f", "://a", "é://a"]
        {
            assert!(refused("GET", uri, ("a", "b")), "{uri}");
        }
        assert!(refused("GET", &format!("https://a/{}", "x".repeat(8 << 10)), ("a", "b")));
        for header in [("", "b"), ("a b", "c"), ("a:", "c"), ("a", "b\r\nc: d"), ("a", "b\0"), ("a", " b")] {
            assert!(refused("GET", URI, header), "{header:?}");
        }
    }

    #[test]
    fn names_of_headers_become_lower_case() {
        let headers = vec![("Content-Type".to_owned(), "text/plain".to_owned())];
        let Ok(Message::Request(made)) = request("GET", "https://a", headers, Vec::new()) else { panic!() };
        assert_eq!(made.headers, [("content-type".to_owned(), "text/plain".to_owned())]);
    }
}
