//! What the columns of a table are: a TOML file beside it.
//!
//! ```toml
//! type = "user"                # the API's name, or Cedar's
//! id = "login"                 # the column with the ids
//! delimiter = ","
//!
//! [attributes]
//! email = {}                   # a string, in the column of that name
//! clearance = { column = "Level", type = "long" }
//! manager = { type = "entity", entity = "user" }
//! skills = { separator = "|" } # a set
//!
//! [[parents]]
//! column = "team"
//! type = "group"
//! separator = "|"
//! ```
//!
//! An empty cell says nothing: no attribute, no parent.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::policy::problem::Problem;
use crate::policy::settings::from_toml;

/// A mapping.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The type of every row.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The column with the ids.
    pub id: String,
    /// What stands between cells.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Attributes by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
    /// Columns that name parents.
    #[serde(default)]
    pub parents: Vec<Parents>,
}

/// One attribute.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    /// Its column; by default the attribute's name.
    pub column: Option<String>,
    /// What its values are.
    #[serde(rename = "type", default)]
    pub kind: ValueKind,
    /// The type of the entities that it names.
    pub entity: Option<String>,
    /// What stands between the values of a set; without it, the cell is one value.
    pub separator: Option<String>,
}

/// What a cell is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ValueKind {
    /// Text.
    #[default]
    String,
    /// A whole number.
    Long,
    /// `true` or `false`.
    Bool,
    /// As `12.50`.
    Decimal,
    /// An IP address or a range of them.
    Ip,
    /// As `2026-01-31T08:00:00Z`.
    Datetime,
    /// As `1d2h`.
    Duration,
    /// The id of an entity.
    Entity,
}

/// A column that names parents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parents {
    /// The column.
    pub column: String,
    /// The type of the parents.
    #[serde(rename = "type")]
    pub type_name: String,
    /// What stands between them; without it, there is one.
    pub separator: Option<String>,
}

fn comma() -> char {
    ','
}

impl Mapping {
    /// Reads a mapping.
    ///
    /// # Errors
    /// When it is no TOML, or what it says can't be.
    pub fn parse(file: &Arc<str>, text: &str) -> Result<Self, Problem> {
        let mapping: Self = toml::from_str(text).map_err(|error| from_toml(file, text, &error))?;
        mapping.check().map_err(|message| Problem::of_file(file, message))?;
        Ok(mapping)
    }

    fn check(&self) -> Result<(), String> {
        if !self.delimiter.is_ascii() || matches!(self.delimiter, '"' | '\n' | '\r' | '\0') {
            return Err("`delimiter` must be one ASCII character, and no quote or line break".into());
        }
        for (name, attribute) in &self.attributes {
            match (attribute.kind, &attribute.entity) {
                (ValueKind::Entity, None) => {
                    return Err(format!("`attributes.{name}`: say which `entity` its values are"));
                }
                (kind, Some(_)) if kind != ValueKind::Entity => {
                    return Err(format!("`attributes.{name}`: `entity` goes with `type = \"entity\"`"));
                }
                _ => {}
            }
        }
        let separators = self.attributes.values().filter_map(|attribute| attribute.separator.as_ref());
        let separators =
            separators.chain(self.parents.iter().filter_map(|parents| parents.separator.as_ref()));
        if separators.into_iter().any(String::is_empty) {
            return Err("a `separator` must not be empty".into());
        }
        Ok(())
    }

    /// The columns that must be there: the ids', the attributes' and the parents', in this order.
    pub fn columns(&self) -> Vec<&str> {
        let attributes = self.attributes.iter().map(|(name, attribute)| attribute.column(name));
        let parents = self.parents.iter().map(|parents| parents.column.as_str());
        std::iter::once(self.id.as_str()).chain(attributes).chain(parents).collect()
    }

    /// The byte between cells.
    pub fn delimiter_byte(&self) -> u8 {
        u8::try_from(self.delimiter).unwrap_or(b',')
    }
}

impl Attribute {
    /// Its column.
    pub fn column<'a>(&'a self, name: &'a str) -> &'a str {
        self.column.as_deref().unwrap_or(name)
    }

    /// What a cell says, as JSON in Cedar's form of entities; `entity` is the Cedar type of what it names. None for an
    /// empty cell.
    ///
    /// # Errors
    /// When it is no value of the attribute's type.
    pub fn read(&self, cell: &str, entity: &str) -> Result<Option<Value>, String> {
        if cell.is_empty() {
            return Ok(None);
        }
        let one = |text: &str| self.kind.read(text, entity);
        match &self.separator {
            None => one(cell).map(Some),
            Some(separator) => {
                let values: Result<Vec<Value>, String> = cell.split(separator.as_str()).map(one).collect();
                values.map(|values| Some(Value::Array(values)))
            }
        }
    }

    /// The cell for a stored value; none when a cell can't say it, so that it would be read as this value again.
    pub fn write(&self, value: &Value, entity: &str) -> Option<String> {
        let cell = match (&self.separator, value) {
            (None, value) => self.kind.write(value)?,
            (Some(separator), Value::Array(values)) => {
                let cells: Option<Vec<String>> = values.iter().map(|value| self.kind.write(value)).collect();
                cells?.join(separator)
            }
            (Some(_), _) => return None,
        };
        let again = self.read(&cell, entity).ok().flatten();
        (again.as_ref() == Some(value)).then_some(cell)
    }
}

impl ValueKind {
    fn read(self, text: &str, entity: &str) -> Result<Value, String> {
        let call = |function: &str| json!({"__extn": {"fn": function, "arg": text}});
        Ok(match self {
            Self::String => text.into(),
            Self::Long => {
                let number: Result<i64, _> = text.parse();
                number.map_err(|_| format!("`{text}` is no whole number of 64 bits"))?.into()
            }
            Self::Bool => match text {
                "true" => true.into(),
                "false" => false.into(),
                _ => return Err(format!("`{text}` is neither `true` nor `false`")),
            },
            Self::Decimal => call("decimal"),
            Self::Ip => call("ip"),
            Self::Datetime => call("datetime"),
            Self::Duration => call("duration"),
            Self::Entity => json!({"__entity": {"type": entity, "id": text}}),
        })
    }

    fn write(self, value: &Value) -> Option<String> {
        let text = match self {
            Self::String => value.as_str()?,
            Self::Long | Self::Bool => return Some(value.to_string()),
            Self::Decimal | Self::Ip | Self::Datetime | Self::Duration => {
                value.pointer("/__extn/arg")?.as_str()?
            }
            Self::Entity => value.pointer("/__entity/id")?.as_str()?,
        };
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Mapping, Problem> {
        Mapping::parse(&"people.toml".into(), text)
    }

    #[test]
    fn cells_are_values_of_their_types_and_the_other_way_round() {
        let extn = |function: &str, arg: &str| json!({"__extn": {"fn": function, "arg": arg}});
        for (kind, cell, value) in [
            (ValueKind::String, "a, b", json!("a, b")),
            (ValueKind::Long, "-7", json!(-7)),
            (ValueKind::Bool, "false", json!(false)),
            (ValueKind::Decimal, "1.50", extn("decimal", "1.50")),
            (ValueKind::Ip, "10.0.0.0/8", extn("ip", "10.0.0.0/8")),
            (ValueKind::Datetime, "2026-01-31", extn("datetime", "2026-01-31")),
            (ValueKind::Duration, "1d", extn("duration", "1d")),
            (ValueKind::Entity, "alice", json!({"__entity": {"type": "App::User", "id": "alice"}})),
        ] {
            let attribute = Attribute { kind, ..Attribute::default() };
            assert_eq!(attribute.read(cell, "App::User").unwrap(), Some(value.clone()), "{cell}");
            assert_eq!(attribute.write(&value, "App::User").as_deref(), Some(cell));
            let set = Attribute { kind, separator: Some("|".into()), ..Attribute::default() };
            let two = Value::Array(vec![value.clone(), value]);
            assert_eq!(set.read(&format!("{cell}|{cell}"), "App::User").unwrap(), Some(two.clone()));
            assert_eq!(set.write(&two, "App::User"), Some(format!("{cell}|{cell}")));
        }
    }

    #[test]
    fn what_a_cell_can_not_say_is_not_written() {
        let text = Attribute::default();
        let set = Attribute { separator: Some("|".into()), ..Attribute::default() };
        let entity = Attribute { kind: ValueKind::Entity, ..Attribute::default() };
        assert_eq!(text.write(&json!(""), ""), None, "an empty cell is no attribute");
        assert_eq!(text.write(&json!({"a": 1}), ""), None);
        assert_eq!(text.write(&json!(1), ""), None);
        assert_eq!(set.write(&json!([]), ""), None);
        assert_eq!(set.write(&json!(["a|b"]), ""), None);
        assert_eq!(entity.write(&json!({"__entity": {"type": "Other", "id": "a"}}), "User"), None);
        assert_eq!(entity.write(&json!({"__extn": {"fn": "ip", "arg": "::1"}}), "User"), None);
    }

    #[test]
    fn bad_cells_and_bad_mappings_are_refused() {
        for (kind, cell) in [(ValueKind::Long, "1.5"), (ValueKind::Long, "x"), (ValueKind::Bool, "yes")] {
            assert!(Attribute { kind, ..Attribute::default() }.read(cell, "").is_err(), "{cell}");
        }
        for (text, said) in [
            ("type = \"user\"", "id"),
            ("type = \"user\"\nid = \"a\"\nextra = 1", "extra"),
            ("type = \"user\"\nid = \"a\"\ndelimiter = \"é\"", "delimiter"),
            ("type = \"user\"\nid = \"a\"\ndelimiter = \"\\\"\"", "delimiter"),
            ("type = \"user\"\nid = \"a\"\n[attributes]\nm = { type = \"entity\" }", "attributes.m"),
            ("type = \"user\"\nid = \"a\"\n[attributes]\nm = { entity = \"user\" }", "attributes.m"),
            ("type = \"user\"\nid = \"a\"\n[attributes]\nm = { type = \"float\" }", "float"),
            ("type = \"user\"\nid = \"a\"\n[attributes]\nm = { separator = \"\" }", "separator"),
            ("type = \"user\"\nid = \"a\"\n[[parents]]\ncolumn = \"c\"", "type"),
        ] {
            let problem = parse(text).unwrap_err().to_string();
            assert!(problem.contains(said), "{text}: {problem}");
        }
    }
}
