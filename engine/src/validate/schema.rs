//! JSON Schema: compiled at the start, and what of a value does not fit.
//!
//! Promises: a `$ref` to what the configuration does not hold is an error of the start; a pattern gives up before it takes
//! long. Must never: fetch anything, or show a value.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, Registry, ValidationError, Validator};
use serde_json::Value;

use super::ValidateError;
use crate::config::validate::{SchemaSource, Validate};
use crate::plugin::output::{Finding, Location};

/// A detail is for people, and is bounded as a plugin's is.
const DETAIL_BYTES: usize = 512;
const LOCATION_BYTES: usize = 1_024;
/// How often a pattern may go back in a text, before it counts as one that does not match.
const STEPS_BACK: usize = 100_000;

/// What a schema is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The query.
    Query,
    /// The headers.
    Headers,
    /// The body.
    Body,
}

impl Part {
    /// The field of the configuration.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Query => "query_schema",
            Self::Headers => "header_schema",
            Self::Body => "body_schema",
        }
    }

    /// The place of what does not fit.
    fn location(self, pointer: &str) -> Location {
        let mut end = pointer.len().min(LOCATION_BYTES);
        while !pointer.is_char_boundary(end) {
            end -= 1;
        }
        let pointer = pointer.get(..end).unwrap_or_default();
        let name = || {
            let first = pointer.split('/').nth(1)?;
            Some(first.replace("~1", "/").replace("~0", "~"))
        };
        match (self, name()) {
            (Self::Body, _) => Location::Body(pointer.to_owned()),
            (Self::Query, Some(name)) => Location::Query(name),
            (Self::Headers, Some(name)) => Location::Header(name),
            (_, None) => Location::Whole,
        }
    }
}

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Schema(Validator);

impl Schema {
    /// What does not fit, the first `most`.
    pub(super) fn findings(&self, value: &Value, part: Part, most: usize) -> Vec<Finding> {
        if self.0.is_valid(value) {
            return Vec::new();
        }
        let finding = |error: ValidationError<'_>| Finding {
            rule: format!("schema.{}", error.kind().keyword()),
            score: 0,
            location: part.location(error.instance_path().as_str()),
            detail: shown(&error),
        };
        // One at least: what does not fit must not pass for want of room.
        self.0.iter_errors(value).take(most.max(1)).map(finding).collect()
    }
}

/// What is wrong, without the value. Names of members that are too much are the sender's own, and not shown either.
fn shown(error: &ValidationError<'_>) -> String {
    let mut text = match error.kind() {
        ValidationErrorKind::AdditionalProperties { .. } => {
            "a member is not among those that the schema has".into()
        }
        ValidationErrorKind::UnevaluatedProperties { .. } => {
            "a member is one that no part of the schema has".into()
        }
        ValidationErrorKind::PropertyNames { .. } => "a member's name is not as the schema wants it".into(),
        _ => error.masked().to_string(),
    };
    let mut end = text.len().min(DETAIL_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// What schemas are compiled with.
pub(super) struct Schemas<'a> {
    config: &'a Validate,
    registry: Registry<'static>,
}

impl<'a> Schemas<'a> {
    /// Reads the documents that schemas may refer to.
    ///
    /// # Errors
    /// What is wrong with one.
    pub(super) fn load(config: &'a Validate) -> Result<Self, ValidateError> {
        let mut builder = Registry::new();
        for (uri, source) in &config.references {
            let place = format!("validate.references.\"{uri}\"");
            let document = read(config, &place, source)?;
            let added = builder.add(uri.as_str(), document);
            builder = added.map_err(|error| ValidateError::Route { place, message: error.to_string() })?;
        }
        let prepared = builder.retriever(Nothing).prepare();
        let registry = prepared.map_err(|error| ValidateError::Route {
            place: "validate.references".into(),
            message: error.to_string(),
        })?;
        Ok(Self { config, registry })
    }

    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub(super) fn compile(&self, place: &str, source: &SchemaSource) -> Result<Schema, ValidateError> {
        let schema = read(self.config, place, source)?;
        let options = jsonschema::options()
            .offline()
            .should_validate_formats(self.config.assert_formats)
            .should_ignore_unknown_formats(!self.config.assert_formats)
            .with_registry(&self.registry)
            .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(STEPS_BACK));
        options.build(&schema).map(Schema).map_err(|error| ValidateError::Schema {
            place: place.to_owned(),
            file: match source {
                SchemaSource::File(file) => format!(" in `{}`", self.config.folder.join(file).display()),
                SchemaSource::Inline(_) => String::new(),
            },
            pointer: error.instance_path().to_string(),
            message: error.to_string(),
        })
    }
}

/// Nothing is fetched.
struct Nothing;

impl jsonschema::Retrieve for Nothing {
    fn retrieve(
        &self,
        uri: &jsonschema::Uri<String>,
    ) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("`{uri}` is not among `validate.references`, and nothing is fetched").into())
    }
}

fn read(config: &Validate, place: &str, source: &SchemaSource) -> Result<Value, ValidateError> {
    let file = match source {
        SchemaSource::Inline(members) => return Ok(Value::Object(members.clone())),
        SchemaSource::File(file) => config.folder.join(file),
    };
    let place = || place.to_owned();
    match std::fs::read_to_string(&file) {
        Ok(text) => serde_json::from_str(&text).map_err(|source| ValidateError::NoJson {
            place: place(),
            file,
            source,
        }),
        Err(source) => Err(ValidateError::Unreadable { place: place(), file, source }),
    }
}
