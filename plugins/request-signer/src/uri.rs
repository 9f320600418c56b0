//! The parts of an absolute URI that are signed (RFC 9421 §2.2), as RFC 9110 §4.2 has them.

/// The parts of an `http` or `https` URI.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Uri<'a> {
    /// In lower case.
    pub(crate) scheme: &'static str,
    /// Host in lower case, and the port unless it is the scheme's own.
    pub(crate) authority: String,
    /// Never empty.
    pub(crate) path: &'a str,
    /// Without the question mark.
    pub(crate) query: Option<&'a str>,
}

impl<'a> Uri<'a> {
    /// Reads one; none when it is not absolute, carries a user or a fragment, or what no URI has.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, own_port) = match scheme.to_ascii_lowercase().as_str() {
            "https" => ("https", "443"),
            "http" => ("http", "80"),
            _ => return None,
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '"', '<', '>', '\\']) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end)?;
        if authority.is_empty() || authority.contains('@') {
            return None;
        }
        let authority = authority.to_ascii_lowercase();
        let authority = match authority.rsplit_once(':') {
            // A colon within brackets is the address's own.
            Some((host, port)) if !port.contains(']') => {
                if port.is_empty() || port == own_port {
                    host.to_owned()
                } else {
                    authority
                }
            }
            _ => authority,
        };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        Some(Self { scheme, authority, path: if path.is_empty() { "/" } else { path }, query })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_normal() {
        let uri = Uri::parse("HTTPS://Example.COM:443/a/b?x=1&y").unwrap();
        assert_eq!(
            uri,
            Uri { scheme: "https", authority: "example.com".into(), path: "/a/b", query: Some("x=1&y") }
        );
        let uri = Uri::parse("http://[2001:DB8::1]:8080").unwrap();
        assert_eq!(
            uri,
            Uri { scheme: "http", authority: "[2001:db8::1]:8080".into(), path: "/", query: None }
        );
        assert_eq!(Uri::parse("http://[2001:db8::1]").unwrap().authority, "[2001:db8::1]");
        assert_eq!(Uri::parse("https://a?b").unwrap().path, "/");
    }

    #[test]
    fn what_can_not_be_signed_is_none() {
        for text in [
            "/relative",
            "ftp://a/",
            "https:///a",
            "https://user@a/",
            "https://a/#f",
            "https://a/b c",
            "https://a/\n",
            "https://a/\u{e9}",
            "",
        ] {
            assert_eq!(Uri::parse(text), None, "{text:?}");
        }
    }
}
