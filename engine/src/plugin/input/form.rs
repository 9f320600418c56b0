//! Forms and queries: `application/x-www-form-urlencoded`, as the URL standard of WHATWG parses it (§5.1).

use std::collections::BTreeMap;

use serde_json::Value;

/// The names and values, decoded, in their order.
pub fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    })
}

/// An object: a name's value is text, or a list of it when the name stands more than once.
pub fn document(text: &str) -> Value {
    let mut all: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, value) in pairs(text) {
        all.entry(name).or_default().push(Value::String(value));
    }
    let single = |mut values: Vec<Value>| match values.pop() {
        Some(only) if values.is_empty() => only,
        Some(last) => {
            values.push(last);
            Value::Array(values)
        }
        None => Value::Null,
    };
    Value::Object(all.into_iter().map(|(name, values)| (name, single(values))).collect())
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut ahead = rest.clone();
                match (ahead.next().and_then(digit), ahead.next().and_then(digit)) {
                    (Some(high), Some(low)) => {
                        bytes.push(high << 4 | low);
                        rest = ahead;
                    }
                    _ => bytes.push(b'%'),
                }
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded_once() {
        let all: Vec<_> = pairs("a=1&b=x+y%2Bz&a=%2541&&c&%zz=%4").collect();
        let expected = [("a", "1"), ("b", "x y+z"), ("a", "%41"), ("c", ""), ("%zz", "%4")];
        assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_name_that_stands_twice_has_a_list() {
        let expected = serde_json::json!({"a": ["1", "2", "3"], "b": "x"});
        assert_eq!(document("a=1&b=x&a=2&a=3"), expected);
    }

    #[test]
    fn what_is_no_utf_8_is_replaced_and_not_lost() {
        assert_eq!(document("a=%ff"), serde_json::json!({"a": "\u{fffd}"}));
    }
}
