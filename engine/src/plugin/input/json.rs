//! JSON text as a document.

use serde_json::Value;

use crate::object::Unambiguous;

/// The document; none when the text is no JSON, or an object has a member twice: readers differ on which of them counts.
pub(super) fn document(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().map(|Unambiguous(value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_other_readers_read() {
        let text = r#"{"z": [1, -2, 3.5, 1e30, -0, 18446744073709551615], "a": {"b": null, "c": "\u00e4\n"}, "": true}"#;
        assert_eq!(document(text), serde_json::from_str(text).ok());
        assert!(document(text).is_some());
    }

    #[test]
    fn what_readers_differ_on_is_no_document() {
        let deep = format!("{}1{}", "[".repeat(128), "]".repeat(128));
        for text in [r#"{"a": 1, "a": 1}"#, r#"[{"b": {"a": 1, "\u0061": 2}}]"#, "1e999", "{} {}", "", &deep]
        {
            assert_eq!(document(text), None, "{text}");
        }
        assert!(document(deep.strip_prefix('[').unwrap().strip_suffix(']').unwrap()).is_some());
    }
}
