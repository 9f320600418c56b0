//! Entities written down, so that an import of the same gives the same.
//!
//! Promises: what a format can't say is an error that names the entity, never left out.

use std::io::{self, Write};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::import::Format;
use super::import::mapping::Mapping;
use super::{AdminError, type_of, value};
use crate::policy::Pack;
use crate::store::entities::EntityRow;

/// Why entities can't be written down.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A table needs a mapping.
    #[error("a table needs a mapping that says what its columns are")]
    NoMapping,
    /// Two attributes or parents share a column.
    #[error("the mapping names the column `{0}` twice, so that a table can't be written by it")]
    ColumnTwice(String),
    /// The mapping names a type that the pack does not have.
    #[error(transparent)]
    Type(#[from] AdminError),
    /// A table has no place for it.
    #[error("`{entity}`: `{field}` can't be said in the table: {why}")]
    Unsayable {
        /// Which entity.
        entity: String,
        /// Which attribute, or `parents`, `tags`.
        field: String,
        /// Why not.
        why: &'static str,
    },
    /// It can't be written.
    #[error("can't write: {0}")]
    Io(#[from] io::Error),
    /// The table can't be written.
    #[error("can't write: {0}")]
    Csv(#[from] csv::Error),
}

/// Writes entities.
#[derive(Debug)]
pub enum Exporter<W: Write> {
    /// A JSON list.
    CedarJson {
        /// Where to.
        out: W,
        /// Whether nothing was written yet.
        is_first: bool,
    },
    /// A line each.
    Ndjson(W),
    /// A table.
    Csv(Box<Table<W>>),
}

/// A table that is being written.
#[derive(Debug)]
pub struct Table<W: Write> {
    out: csv::Writer<W>,
    mapping: Mapping,
    /// The Cedar types of the entities that attributes name, in the mapping's order.
    named: Vec<String>,
    /// The Cedar types of parents.
    parents: Vec<String>,
}

impl<W: Write> Exporter<W> {
    /// Begins.
    ///
    /// # Errors
    /// When a table has no mapping, or one that can't be written by.
    pub fn new(
        out: W,
        format: Format,
        mapping: Option<Mapping>,
        pack: &Arc<Pack>,
    ) -> Result<Self, ExportError> {
        match format {
            Format::CedarJson => Ok(Self::CedarJson { out, is_first: true }),
            Format::Ndjson => Ok(Self::Ndjson(out)),
            Format::Csv => {
                let mapping = mapping.ok_or(ExportError::NoMapping)?;
                Table::new(out, mapping, pack).map(|table| Self::Csv(Box::new(table)))
            }
        }
    }

    /// Writes one.
    ///
    /// # Errors
    /// When the format can't say it, or it can't be written.
    pub fn add(&mut self, row: &EntityRow) -> Result<(), ExportError> {
        match self {
            Self::CedarJson { out, is_first } => {
                out.write_all(if *is_first { b"[\n" } else { b",\n" })?;
                *is_first = false;
                serde_json::to_writer(out, &cedar(row)).map_err(io::Error::from)?;
            }
            Self::Ndjson(out) => {
                serde_json::to_writer(&mut *out, &own(row)).map_err(io::Error::from)?;
                out.write_all(b"\n")?;
            }
            Self::Csv(table) => table.add(row)?,
        }
        Ok(())
    }

    /// Ends.
    ///
    /// # Errors
    /// When the last can't be written.
    pub fn finish(self) -> Result<(), ExportError> {
        match self {
            Self::CedarJson { mut out, is_first } => {
                out.write_all(if is_first { b"[]\n" } else { b"\n]\n" })?;
                out.flush()?;
            }
            Self::Ndjson(mut out) => out.flush()?,
            Self::Csv(mut table) => table.out.flush()?,
        }
        Ok(())
    }
}

/// A type and an id.
fn named(type_name: &str, id: &str) -> Value {
    json!({"type": type_name, "id": id})
}

fn parents(row: &EntityRow) -> Value {
    value::parents(&row.parents).iter().map(|(type_name, id)| named(type_name, id)).collect()
}

fn cedar(row: &EntityRow) -> Value {
    let mut entity = json!({
        "uid": named(&row.type_name, &row.id), "attrs": value::shown(&row.attributes), "parents": parents(row),
    });
    add_tags(&mut entity, row);
    entity
}

fn own(row: &EntityRow) -> Value {
    let mut entity = json!({
        "type": row.type_name, "id": row.id, "attributes": value::shown(&row.attributes), "parents": parents(row),
    });
    add_tags(&mut entity, row);
    entity
}

fn add_tags(entity: &mut Value, row: &EntityRow) {
    let tags = value::shown(&row.tags);
    if let (Some(entity), true) =
        (entity.as_object_mut(), tags.as_object().is_some_and(|tags| !tags.is_empty()))
    {
        entity.insert("tags".into(), tags);
    }
}

impl<W: Write> Table<W> {
    fn new(out: W, mapping: Mapping, pack: &Arc<Pack>) -> Result<Self, ExportError> {
        let mut columns = mapping.columns();
        let mut out = csv::WriterBuilder::new().delimiter(mapping.delimiter_byte()).from_writer(out);
        out.write_record(&columns)?;
        columns.sort_unstable();
        if let Some(twice) =
            columns.windows(2).find(|pair| pair.first() == pair.last()).and_then(<[_]>::first)
        {
            return Err(ExportError::ColumnTwice((*twice).to_owned()));
        }
        let entity =
            |name: &Option<String>| name.as_ref().map_or(Ok(String::new()), |name| type_of(pack, name));
        let named = mapping.attributes.values().map(|attribute| entity(&attribute.entity));
        let named = named.collect::<Result<_, _>>()?;
        let parents = mapping.parents.iter().map(|parents| type_of(pack, &parents.type_name));
        let parents = parents.collect::<Result<_, _>>()?;
        Ok(Self { out, mapping, named, parents })
    }

    fn add(&mut self, row: &EntityRow) -> Result<(), ExportError> {
        let unsayable = |field: &str, why| ExportError::Unsayable {
            entity: format!("{}::{:?}", row.type_name, row.id),
            field: field.to_owned(),
            why,
        };
        if row.tags != "{}" {
            return Err(unsayable("tags", "it has no columns for them"));
        }
        let mut attributes: Map<String, Value> = match value::shown(&row.attributes) {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        let mut cells = vec![row.id.clone()];
        for ((name, attribute), entity) in self.mapping.attributes.iter().zip(&self.named) {
            cells.push(match attributes.remove(name) {
                None => String::new(),
                Some(value) => {
                    let cell = attribute.write(&value, entity);
                    cell.ok_or_else(|| unsayable(name, "its cell would be read otherwise"))?
                }
            });
        }
        if let Some(name) = attributes.keys().next() {
            return Err(unsayable(name, "the mapping has no column for it"));
        }
        cells.extend(self.parent_cells(row).map_err(|why| unsayable("parents", why))?);
        self.out.write_record(&cells)?;
        Ok(())
    }

    fn parent_cells(&self, row: &EntityRow) -> Result<Vec<String>, &'static str> {
        let mut left = value::parents(&row.parents);
        let mut cells = Vec::new();
        for (column, type_name) in self.mapping.parents.iter().zip(&self.parents) {
            let own = left.extract_if(.., |(parent_type, _)| parent_type == type_name);
            let ids: Vec<String> = own.map(|(_, id)| id).collect();
            let separator = column.separator.as_deref();
            if separator.is_none() && ids.len() > 1 {
                return Err("the column has no `separator`, and there are several");
            }
            if separator.is_some_and(|separator| ids.iter().any(|id| id.contains(separator))) {
                return Err("an id holds the separator");
            }
            cells.push(ids.join(separator.unwrap_or_default()));
        }
        if left.is_empty() { Ok(cells) } else { Err("the mapping has no column for parents of that type") }
    }
}
