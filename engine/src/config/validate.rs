//! `[validate]`: which routes an application has, and what each takes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

/// `[validate]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Validate {
    /// What becomes of a request whose route is not among `routes`; without any, nothing is validated.
    pub unknown_routes: UnknownRoutes,
    /// Whether `format` is checked, or is a remark.
    pub assert_formats: bool,
    /// The application's routes.
    pub routes: Vec<Route>,
    /// Documents that schemas may name in `$ref`, by their URIs. Nothing else is ever fetched.
    pub references: BTreeMap<String, SchemaSource>,
    /// The folder that files are relative to: the configuration file's own.
    #[serde(skip)]
    pub folder: PathBuf,
}

impl Default for Validate {
    fn default() -> Self {
        Self {
            unknown_routes: UnknownRoutes::default(),
            assert_formats: true,
            routes: Vec::new(),
            references: BTreeMap::new(),
            folder: PathBuf::new(),
        }
    }
}

/// What becomes of a request whose route is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownRoutes {
    /// It is denied.
    #[default]
    Reject,
    /// It goes on, unless it looks like a known one.
    Pass,
}

/// `[[validate.routes]]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// As `POST`; `*` is any that no other route of the path names.
    pub method: String,
    /// As `/orders/{id}`, `/files/{*rest}`.
    pub path: String,
    /// What the body must be.
    pub body_schema: Option<SchemaSource>,
    /// What the query must be: an object of text, and lists of text where a name stands more than once.
    pub query_schema: Option<SchemaSource>,
    /// What the headers must be: likewise, names in lower case.
    pub header_schema: Option<SchemaSource>,
}

/// A JSON Schema.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a JSON Schema: the path of its file, or a table")]
pub enum SchemaSource {
    /// In a file of its own.
    File(PathBuf),
    /// In place.
    Inline(serde_json::Map<String, serde_json::Value>),
}
