//! `[filter.TYPE]` of `pack.toml`: where the resources of a type are rows of an application's own database.
//!
//! Promises: an identifier is letters, digits and `_`, and nothing else gets into SQL as text. What is in the file and
//! means nothing is an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use cedar_policy::Schema;
use cedar_policy_core::ast::EntityType;
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::{EntityKind, Type};
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
    schema: Option<&Schema>,
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
        if let Some(schema) = schema {
            mapping.fits(schema, &entity_type).map_err(problem)?;
        }
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

impl Mapping {
    /// Whether columns hold what the schema says of the attributes. What compares values of two types is never equal, and a
    /// condition with `!=` would let every row in.
    fn fits(&self, schema: &Schema, entity_type: &EntityType) -> Result<(), String> {
        let schema: &ValidatorSchema = schema.as_ref();
        let Some(known) = schema.get_entity_type(entity_type) else {
            return Err(format!("the schema has no entity type `{entity_type}`"));
        };
        for (path, attribute) in &self.attributes {
            let mut steps = path.split('.');
            let mut found = steps.next().and_then(|name| known.attr(name)).map(|found| &found.attr_type);
            for name in steps {
                found = match found.map(AsRef::as_ref) {
                    Some(Type::Record { attrs, .. }) => attrs.get_attr(name).map(|found| &found.attr_type),
                    _ => None,
                };
            }
            let Some(found) = found else {
                return Err(format!("`{path}`: the schema has no such attribute of `{entity_type}`"));
            };
            if !is_held_by(found, attribute) {
                return Err(format!(
                    "`{path}` is `{found}` by the schema, and the column holds something else"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a column holds values of a type.
fn is_held_by(found: &Type, attribute: &Attribute) -> bool {
    let one = match found {
        Type::Set { element_type: Some(element) } if attribute.set => element,
        _ if attribute.set => return false,
        other => other,
    };
    match (&attribute.kind, one) {
        (Kind::Text, Type::String) | (Kind::Long, Type::Long) | (Kind::Bool, Type::Bool(_)) => true,
        (Kind::Entity(held), Type::Entity(EntityKind::Entity(types))) => {
            types.get_single_entity() == Some(held)
        }
        _ => false,
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

#[cfg(test)]
mod tests {
    use crate::policy::Pack;
    use crate::policy::files::{PackFiles, SourceFile};

    const SCHEMA: &str = "
        entity User;
        entity Doc = { owner: User, title: String, pages?: Long, open: Bool, tags: Set<String>, readers: Set<User>, meta: { kind: String } };
        action read appliesTo { principal: User, resource: Doc };
    ";

    fn loaded(columns: &str) -> Result<Pack, String> {
        let file = |text: String| SourceFile { shown: "generated".into(), text };
        let manifest = format!(
            "name = \"rows\"\nversion = \"1.0.0\"\n[filter.Doc]\nid = \"id\"\n[filter.Doc.columns]\n{columns}\n"
        );
        let files = [
            ("pack.toml".to_owned(), file(manifest)),
            ("x.cedar".to_owned(), file("permit(principal, action, resource);".into())),
            ("schema.cedarschema".to_owned(), file(SCHEMA.into())),
        ];
        Pack::load(&PackFiles { files: files.into() })
            .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn columns_hold_what_the_schema_says() {
        let right = "
            owner = { column = \"owner_id\", entity = \"User\" }
            title = \"title\"
            pages = { column = \"pages\", type = \"long\" }
            open = { column = \"open\", type = \"bool\" }
            tags = { column = \"tags\", set = true }
            readers = { column = \"readers\", set = true, entity = \"User\" }
            \"meta.kind\" = \"kind\"
        ";
        let _ = loaded(right).unwrap();
        for wrong in [
            "owner = \"owner_id\"",
            "owner = { column = \"owner_id\", entity = \"Doc\" }",
            "title = { column = \"title\", type = \"long\" }",
            "title = { column = \"title\", set = true }",
            "tags = \"tags\"",
            "readers = { column = \"readers\", set = true }",
            "meta = \"meta\"",
            "\"meta.none\" = \"none\"",
            "\"title.x\" = \"x\"",
            "none = \"none\"",
        ] {
            let said = loaded(wrong).unwrap_err();
            assert!(said.contains("schema") && said.contains("filter.Doc"), "{wrong}: {said}");
        }
    }
}
