//! `[filter.TYPE]` of `pack.toml`: where the resources of a type are rows of an application's own database.
//!
//! Promises: an identifier is letters, digits and `_`, and nothing else gets into SQL as text. What is in the file and
//! means nothing is an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy_core::ast::EntityType;
use serde::Deserialize;
use smol_str::SmolStr;

use super::files::SourceFile;
use super::problem::Problem;
use super::settings::Settings;
use crate::decision::residual::{Attribute, Attributes, Kind};

/// `[filter.TYPE]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rows {
    /// The table, as the application's query names it.
    table: Option<String>,
    /// The column with the resource's id.
    id: String,
    /// The columns of attributes, by the attribute's path.
    #[serde(default)]
    columns: BTreeMap<String, ColumnSettings>,
}

/// One attribute: a column with text, or all that can be said.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum ColumnSettings {
    Text(String),
    Other(Detailed),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Detailed {
    column: Option<String>,
    #[serde(rename = "type")]
    kind: Option<Plain>,
    entity: Option<String>,
    #[serde(default)]
    set: bool,
    table: Option<String>,
    key: Option<String>,
    value: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Plain {
    String,
    Long,
    Bool,
}

/// A name that may stand in SQL, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier(Vec<String>);

impl Identifier {
    fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        if parts.len() <= 2 && parts.iter().all(|part| is_name(part)) {
            Ok(Self(parts))
        } else {
            Err(format!(
                "`{text}` is no name of a column: a letter or `_`, then letters, digits and `_`, 63 at most, with at \
                 most one table's name and a dot before"
            ))
        }
    }

    /// Its parts.
    pub fn parts(&self) -> &[String] {
        &self.0
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts
        && text.len() <= 63
        && text != SET
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What a filter calls a set's table.
pub const SET: &str = "portcullis_set";

/// Where an attribute's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    /// In a column.
    Plain(Identifier),
    /// In a column, as a JSON array.
    Array(Identifier),
    /// In another table, a row for each of a set.
    Joined {
        /// Which table.
        table: Identifier,
        /// Its column with the resource's id.
        key: Identifier,
        /// Its column with the value.
        value: Identifier,
    },
}

/// Where the resources of a type are rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The column with the resource's id.
    pub id: Identifier,
    /// The columns of attributes, by their paths.
    pub columns: BTreeMap<SmolStr, Column>,
    /// What they hold.
    pub attributes: Attributes,
}

/// All mappings of a pack.
pub(super) fn of(
    settings: &Settings,
    manifest: &SourceFile,
) -> Result<HashMap<EntityType, Arc<Mapping>>, Problem> {
    let mut all = HashMap::new();
    for (name, rows) in &settings.filter {
        let problem = |message: String| {
            let quoted = format!("filter.{name}");
            let at = manifest.text.find(&quoted).unwrap_or(0);
            Problem::at(&manifest.shown, &manifest.text, at, at + quoted.len(), message)
        };
        let entity_type = type_of(settings, name).map_err(problem)?;
        let mapping = Mapping::of(settings, rows).map_err(problem)?;
        if all.insert(entity_type, Arc::new(mapping)).is_some() {
            return Err(problem(format!("the type `{name}` is mapped twice")));
        }
    }
    Ok(all)
}

fn type_of(settings: &Settings, name: &str) -> Result<EntityType, String> {
    let cedar = settings.types.get(name).map_or(name, String::as_str);
    EntityType::from_normalized_str(cedar).map_err(|_| format!("`{cedar}` is not a Cedar type name"))
}

impl Mapping {
    fn of(settings: &Settings, rows: &Rows) -> Result<Self, String> {
        let table = rows.table.as_deref().map(Identifier::parse).transpose()?;
        let qualified = |text: &str| -> Result<Identifier, String> {
            let name = Identifier::parse(text)?;
            match &table {
                Some(Identifier(parts)) if name.0.len() == 1 => {
                    Ok(Identifier(parts.iter().rev().take(1).chain(&name.0).cloned().collect()))
                }
                _ => Ok(name),
            }
        };
        let mut mapping =
            Self { id: qualified(&rows.id)?, columns: BTreeMap::new(), attributes: Attributes::new() };
        for (path, column) in &rows.columns {
            if path.split('.').any(str::is_empty) {
                return Err(format!("`{path}` is no path of an attribute"));
            }
            let (column, attribute) = match column {
                ColumnSettings::Text(name) => (
                    Column::Plain(qualified(name)?),
                    Attribute { kind: Kind::Text, set: false, always: false },
                ),
                ColumnSettings::Other(told) => {
                    told.read(settings, &qualified).map_err(|why| format!("`{path}`: {why}"))?
                }
            };
            if matches!(column, Column::Joined { .. }) && mapping.id.0.len() == 1 {
                return Err(format!("`{path}` is in a table of its own: `table` must name the resource's"));
            }
            mapping.columns.insert(SmolStr::new(path), column);
            mapping.attributes.insert(SmolStr::new(path), attribute);
        }
        let paths: Vec<_> = rows.columns.keys().collect();
        let above = |one: &String| paths.iter().any(|other| other.starts_with(&format!("{one}.")));
        match paths.iter().find(|path| above(path)) {
            Some(path) => Err(format!("`{path}` is a column and has others below it")),
            None => Ok(mapping),
        }
    }
}

impl Detailed {
    fn read(
        &self,
        settings: &Settings,
        qualified: &dyn Fn(&str) -> Result<Identifier, String>,
    ) -> Result<(Column, Attribute), String> {
        let kind = match (&self.entity, self.kind) {
            (Some(_), Some(_)) => return Err("`entity` and `type` exclude each other".into()),
            (Some(entity), None) => Kind::Entity(type_of(settings, entity)?),
            (None, Some(Plain::Long)) => Kind::Long,
            (None, Some(Plain::Bool)) => Kind::Bool,
            (None, Some(Plain::String) | None) => Kind::Text,
        };
        match (&self.column, &self.table, &self.key, &self.value) {
            (Some(column), None, None, None) => {
                let name = qualified(column)?;
                let column = if self.set { Column::Array(name) } else { Column::Plain(name) };
                Ok((column, Attribute { kind, set: self.set, always: false }))
            }
            (None, Some(table), Some(key), Some(value)) => {
                let one = |text: &str| match Identifier::parse(text) {
                    Ok(name) if name.0.len() == 1 => Ok(name),
                    _ => Err(format!("`{text}` is no name of a column of `{table}`")),
                };
                let column =
                    Column::Joined { table: Identifier::parse(table)?, key: one(key)?, value: one(value)? };
                Ok((column, Attribute { kind, set: true, always: true }))
            }
            _ => Err("say `column`, or `table`, `key` and `value`".into()),
        }
    }
}
