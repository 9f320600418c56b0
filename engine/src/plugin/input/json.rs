//! JSON text as a document.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The document; none when the text is no JSON, or an object has a member twice: readers differ on which of them counts.
pub(super) fn document(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().map(|Strict(value)| value)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<Value, M::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = entries.next_entry::<String, Strict>()? {
            if members.insert(name, value).is_some() {
                return Err(M::Error::custom("a member stands twice"));
            }
        }
        Ok(Value::Object(members))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut entries: S) -> Result<Value, S::Error> {
        let mut elements = Vec::new();
        while let Some(Strict(value)) = entries.next_element()? {
            elements.push(value);
        }
        Ok(Value::Array(elements))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number is no double"))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
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
