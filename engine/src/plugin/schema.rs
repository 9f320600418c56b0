//! A plugin's configuration against its manifest's schema.
//!
//! Promises: formats are asserted, and nothing is fetched: a `$ref` that leads elsewhere is an error. Must never: repeat a
//! value of the configuration, which may be a secret.

use serde_json::{Map, Value};

use super::Manifest;

/// Where a configuration does not fit, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The manifest has no schema.
    #[error("the plugin takes no configuration: its manifest has no `config_schema`")]
    NoneTaken,
    /// The schema is none.
    #[error("`config_schema` is no JSON Schema: {0}")]
    Schema(String),
    /// A value does not fit.
    #[error("`config{}`: {message}", dotted(at))]
    Value {
        /// A JSON pointer.
        at: String,
        /// What is wrong.
        message: String,
    },
}

/// `/a/b` as `.a.b`, as TOML has it.
fn dotted(pointer: &str) -> String {
    pointer.replace('/', ".").replace("~1", "/").replace("~0", "~")
}

/// Whether a configuration fits the manifest's schema (draft 2020-12).
///
/// # Errors
/// Where it does not.
pub fn check(manifest: &Manifest, config: &Map<String, Value>) -> Result<(), Misfit> {
    let Some(schema) = &manifest.config_schema else {
        return if config.is_empty() { Ok(()) } else { Err(Misfit::NoneTaken) };
    };
    let options =
        jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
    let validator = options.build(schema).map_err(|error| Misfit::Schema(error.to_string()))?;
    let config = Value::Object(config.clone());
    validator.validate(&config).map_err(|error| Misfit::Value {
        at: error.instance_path().to_string(),
        message: error.masked_with("this value").to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::manifest;

    #[test]
    fn a_value_that_does_not_fit_is_not_repeated() {
        let schema = serde_json::json!({"properties": {
            "token": {"type": "integer"},
            "length": {"type": "string", "maxLength": 3},
            "kind": {"enum": ["a"]},
            "mail": {"type": "string", "format": "email"},
            "list": {"uniqueItems": true},
            "nested": {"type": "object", "additionalProperties": false},
        }});
        let manifest = Manifest { config_schema: Some(schema), ..manifest(&[]) };
        for name in ["token", "length", "kind", "mail"] {
            let config = Map::from_iter([(name.to_owned(), Value::from("s3cret"))]);
            let message = check(&manifest, &config).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`config.{name}`: this value ")), "{message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
        let config = serde_json::json!({"list": ["s3cret", "s3cret"]});
        let message = check(&manifest, config.as_object().unwrap()).unwrap_err().to_string();
        assert!(!message.contains("s3cret"), "{message}");
    }
}
