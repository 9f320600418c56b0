//! The signature base and the signature's parameters (RFC 9421 §2.3, §2.5).

use portcullis_sdk::Components;

use crate::uri::Uri;

/// What is said of a signature, and signed with it.
#[derive(Debug)]
pub(crate) struct Parameters<'a> {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) created: u64,
    pub(crate) expires: Option<u64>,
    pub(crate) nonce: Option<String>,
    pub(crate) keyid: &'a str,
    pub(crate) algorithm: &'a str,
    pub(crate) tag: Option<&'a str>,
}

impl Parameters<'_> {
    /// The inner list of the components with the parameters; none when one is no text that can stand there.
    pub(crate) fn input(&self, components: &[String]) -> Option<String> {
        let quoted = components.iter().map(|name| quote(name)).collect::<Option<Vec<_>>>()?;
        let mut input = format!("({});created={}", quoted.join(" "), self.created);
        if let Some(expires) = self.expires {
            input.push_str(&format!(";expires={expires}"));
        }
        let texts = [
            ("nonce", self.nonce.as_deref()),
            ("keyid", Some(self.keyid)),
            ("alg", Some(self.algorithm)),
            ("tag", self.tag),
        ];
        for (name, text) in texts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
            input.push_str(&format!(";{name}={}", quote(text)?));
        }
        Some(input)
    }
}

/// A string of RFC 9651 §3.3.3.
fn quote(text: &str) -> Option<String> {
    if !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return None;
    }
    Some(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// What is signed; none when the request lacks a component.
pub(crate) fn signature_base(request: &Components, components: &[String], input: &str) -> Option<String> {
    let uri = Uri::parse(&request.target_uri)?;
    let mut base = String::new();
    for name in components {
        let value = value(request, &uri, name)?;
        // A line of its own would be another component.
        if value.contains(['\r', '\n']) {
            return None;
        }
        base.push_str(&format!("{}: {value}\n", quote(name)?));
    }
    base.push_str(&format!("\"@signature-params\": {input}"));
    Some(base)
}

fn value(request: &Components, uri: &Uri<'_>, name: &str) -> Option<String> {
    let query = |query: Option<&str>| query.map(|query| format!("?{query}"));
    Some(match name {
        "@method" => request.method.clone(),
        "@target-uri" => request.target_uri.clone(),
        "@authority" => uri.authority.clone(),
        "@scheme" => uri.scheme.to_owned(),
        "@path" => uri.path.to_owned(),
        "@query" => query(uri.query).unwrap_or_else(|| "?".to_owned()),
        "@request-target" => format!("{}{}", uri.path, query(uri.query).unwrap_or_default()),
        derived if derived.starts_with('@') => return None,
        field => {
            let values: Vec<&str> = request
                .headers
                .iter()
                .filter(|header| header.name == field)
                .map(|header| header.value.trim_matches([' ', '\t']))
                .collect();
            if values.is_empty() {
                return None;
            }
            values.join(", ")
        }
    })
}

#[cfg(test)]
mod tests {
    use portcullis_sdk::Header;

    use super::*;

    /// The request of RFC 9421 Appendix B.2.
    fn test_request() -> Components {
        let headers = [
            ("host", "example.com"),
            ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
            ("content-type", "application/json"),
            ("content-length", "18"),
        ];
        Components {
            method: "POST".into(),
            target_uri: "https://example.com/foo?param=Value&Pet=dog".into(),
            headers: headers.map(|(name, value)| Header::new(name, value)).into(),
            body: br#"{"hello": "world"}"#.into(),
        }
    }

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_base_is_that_of_the_standards_example_with_a_shared_secret() {
        // RFC 9421 Appendix B.2.5.
        let components = names(&["date", "@authority", "content-type"]);
        let input = r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
        let expected = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\
            \"@authority\": example.com\n\
            \"content-type\": application/json\n\
            \"@signature-params\": (\"date\" \"@authority\" \"content-type\")\
            ;created=1618884473;keyid=\"test-shared-secret\"";
        assert_eq!(signature_base(&test_request(), &components, input).unwrap(), expected);
    }

    #[test]
    fn the_base_is_that_of_the_standards_example_with_ed25519() {
        // RFC 9421 Appendix B.2.6.
        let components = names(&["date", "@method", "@path", "@authority", "content-type", "content-length"]);
        let input = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\")\
            ;created=1618884473;keyid=\"test-key-ed25519\"";
        let expected = format!(
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\
             \"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\
             \"@signature-params\": {input}"
        );
        assert_eq!(signature_base(&test_request(), &components, input).unwrap(), expected);
    }

    #[test]
    fn derived_components_are_those_of_the_target() {
        let components = names(&["@target-uri", "@scheme", "@request-target", "@query"]);
        let base = signature_base(&test_request(), &components, "()").unwrap();
        assert_eq!(
            base,
            "\"@target-uri\": https://example.com/foo?param=Value&Pet=dog\n\"@scheme\": https\n\
             \"@request-target\": /foo?param=Value&Pet=dog\n\"@query\": ?param=Value&Pet=dog\n\"@signature-params\": ()"
        );
    }

    #[test]
    fn a_header_that_stands_twice_is_one_value() {
        let mut request = test_request();
        request.headers.push(Header::new("x-a", " one "));
        request.headers.push(Header::new("x-a", "two"));
        let base = signature_base(&request, &names(&["x-a"]), "()").unwrap();
        assert!(base.starts_with("\"x-a\": one, two\n"), "{base}");
    }

    #[test]
    fn what_the_request_lacks_is_not_signed() {
        assert_eq!(signature_base(&test_request(), &names(&["x-missing"]), "()"), None);
        assert_eq!(signature_base(&test_request(), &names(&["@status"]), "()"), None);
        let mut request = test_request();
        request.headers.push(Header::new("x-a", "one\n\"@method\": GET"));
        assert_eq!(signature_base(&request, &names(&["x-a"]), "()"), None);
    }

    #[test]
    fn texts_are_quoted_or_refused() {
        let parameters = |keyid| Parameters {
            created: 1,
            expires: Some(2),
            nonce: Some("n".into()),
            keyid,
            algorithm: "ed25519",
            tag: Some("t"),
        };
        let input = parameters(r#"a"b\c"#).input(&names(&["@method"])).unwrap();
        assert_eq!(
            input,
            r#"("@method");created=1;expires=2;nonce="n";keyid="a\"b\\c";alg="ed25519";tag="t""#
        );
        assert_eq!(parameters("a\nb").input(&[]), None);
        assert_eq!(parameters("\u{e9}").input(&[]), None);
    }
}
