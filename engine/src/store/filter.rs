//! A condition on rows as the `WHERE` of an application's own query.
//!
//! Promises: values are parameters, names are quoted and were checked when the pack was loaded. What is selected is what the
//! condition says, or less. Must never: be run here.

use serde_json::Value;

use crate::decision::residual::{Formula, Kind, Operand, Scalar};
use crate::policy::mapping::{Column, Identifier, Mapping, SET};

#[cfg(test)]
pub(crate) mod tests;

/// Whose SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// `PostgreSQL`: parameters are `$1`, `$2`.
    Postgresql,
    /// `SQLite`: parameters are `?1`, `?2`.
    Sqlite,
}

/// A `WHERE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    /// The condition, without the word.
    pub sql: String,
    /// Its parameters, in their order.
    pub parameters: Vec<Value>,
}

/// Why there is no `WHERE`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhereError {
    /// `PostgreSQL` has no such text, and `SQLite` does not compare it whole.
    #[error("a value has a NUL character, which SQL can't compare")]
    Nul,
    /// The database takes no more.
    #[error("the filter needs more than {0} parameters")]
    TooManyParameters(usize),
    /// A pattern that the database would refuse.
    #[error("a pattern of `like` is longer than {PATTERN_BYTES} bytes")]
    PatternTooLong,
    /// A column that is none, which is a defect.
    #[error("the attribute `{0}` has no column")]
    NoColumn(String),
}

const PATTERN_BYTES: usize = 10_000;
/// How many stand in one row. `SQLite` takes a thousand levels, and reads `a AND b AND c` as nested.
const WIDE: usize = 100;

/// The `WHERE` of a condition.
///
/// # Errors
/// When the database could not be asked that.
pub fn render(formula: &Formula, mapping: &Mapping, dialect: Dialect) -> Result<Where, WhereError> {
    let mut writer = Writer { mapping, dialect, parameters: Vec::new(), matched: Vec::new() };
    let mut sql = writer.formula(formula)?;
    writer.matched.sort_unstable();
    writer.matched.dedup();
    for column in &writer.matched {
        // `GLOB` reads a text up to its first NUL: what goes on behind it is never selected.
        sql = format!("({sql} AND ({column} IS NULL OR instr({column}, char(0)) = 0))");
    }
    Ok(Where { sql, parameters: writer.parameters })
}

struct Writer<'a> {
    mapping: &'a Mapping,
    dialect: Dialect,
    parameters: Vec<Value>,
    /// The columns that patterns are matched with.
    matched: Vec<String>,
}

type Made = Result<String, WhereError>;

impl Writer<'_> {
    fn is_sqlite(&self) -> bool {
        self.dialect == Dialect::Sqlite
    }

    fn formula(&mut self, formula: &Formula) -> Made {
        match formula {
            Formula::Always => Ok(self.constant(true).into()),
            Formula::Never => Ok(self.constant(false).into()),
            Formula::And { of } => self.each(of.iter(), " AND "),
            Formula::Or { of } => self.each(of.iter(), " OR "),
            Formula::Not { of } => Ok(format!("NOT ({})", self.formula(of)?)),
            Formula::Present { left } => Ok(format!("{} IS NOT NULL", self.operand(left)?)),
            Formula::Equal { left, right } => self.compare(left, "=", right),
            Formula::Less { left, right } => self.compare(left, "<", right),
            Formula::LessOrEqual { left, right } => self.compare(left, "<=", right),
            Formula::In { left, right } => {
                let (left, list) = (self.operand(left)?, self.list(right)?);
                Ok(format!("{left}{} IN ({list})", self.binary()))
            }
            Formula::Like { left, parts } => self.like(left, parts),
            Formula::Holds { left, right } => self.holds(left, right),
            Formula::Empty { left } => self.empty(left),
        }
    }

    fn constant(&self, holds: bool) -> &'static str {
        match (self.dialect, holds) {
            (Dialect::Postgresql, true) => "TRUE",
            (Dialect::Postgresql, false) => "FALSE",
            (Dialect::Sqlite, true) => "1",
            (Dialect::Sqlite, false) => "0",
        }
    }

    /// Text is compared byte by byte, whatever the column says.
    fn binary(&self) -> &'static str {
        if self.is_sqlite() { " COLLATE BINARY" } else { "" }
    }

    fn each<'f>(&mut self, all: impl Iterator<Item = &'f Formula>, word: &str) -> Made {
        let mut parts = all.map(|one| self.formula(one)).collect::<Result<Vec<_>, _>>()?;
        while parts.len() > WIDE {
            parts = parts.chunks(WIDE).map(|some| format!("({})", some.join(word))).collect();
        }
        Ok(format!("({})", parts.join(word)))
    }

    fn compare(&mut self, left: &Operand, sign: &str, right: &Operand) -> Made {
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        Ok(format!("{left} {sign} {right}{}", self.binary()))
    }

    fn operand(&mut self, operand: &Operand) -> Made {
        match operand {
            Operand::Id => Ok(self.name(&self.mapping.id)),
            Operand::Attribute(path) => match self.mapping.columns.get(path) {
                Some(Column::Plain(name) | Column::Array(name)) => Ok(self.name(name)),
                _ => Err(WhereError::NoColumn(path.to_string())),
            },
            Operand::Value(value) => self.value(value),
        }
    }

    /// `SQLite` takes an unknown name between `"` for a text; between brackets it does not.
    fn name(&self, name: &Identifier) -> String {
        let quoted =
            |part: &String| if self.is_sqlite() { format!("[{part}]") } else { format!("\"{part}\"") };
        name.parts().iter().map(quoted).collect::<Vec<_>>().join(".")
    }

    fn value(&mut self, scalar: &Scalar) -> Made {
        match scalar {
            Scalar::Bool(holds) => Ok(self.constant(*holds).into()),
            Scalar::Long(number) => self.parameter(Value::from(*number)),
            Scalar::Text(text) | Scalar::Entity { id: text, .. } => self.text(text),
        }
    }

    fn text(&mut self, text: &str) -> Made {
        if text.contains('\0') { Err(WhereError::Nul) } else { self.parameter(Value::from(text)) }
    }

    fn parameter(&mut self, value: Value) -> Made {
        let (most, sign) = if self.is_sqlite() { (1_000, '?') } else { (30_000, '$') };
        if self.parameters.len() >= most {
            return Err(WhereError::TooManyParameters(most));
        }
        self.parameters.push(value);
        Ok(format!("{sign}{}", self.parameters.len()))
    }

    fn list(&mut self, values: &[Scalar]) -> Made {
        let all = values.iter().map(|value| self.value(value)).collect::<Result<Vec<_>, _>>()?;
        Ok(all.join(", "))
    }

    fn like(&mut self, left: &Operand, parts: &[smol_str::SmolStr]) -> Made {
        let left = self.operand(left)?;
        let special: &[char] = if self.is_sqlite() { &['*', '?', '['] } else { &['%', '_', '!'] };
        let mut pattern = String::new();
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                pattern.push(if self.is_sqlite() { '*' } else { '%' });
            }
            for character in part.chars() {
                if !special.contains(&character) {
                    pattern.push(character);
                } else if self.is_sqlite() {
                    pattern.extend(['[', character, ']']);
                } else {
                    pattern.extend(['!', character]);
                }
            }
        }
        if pattern.len() > PATTERN_BYTES {
            return Err(WhereError::PatternTooLong);
        }
        let pattern = self.text(&pattern)?;
        if self.is_sqlite() {
            self.matched.push(left.clone());
            return Ok(format!("{left} GLOB {pattern}"));
        }
        Ok(format!("{left} LIKE {pattern} ESCAPE '!'"))
    }

    fn set(&self, left: &Operand) -> Result<(&Column, &Kind), WhereError> {
        let Operand::Attribute(path) = left else { return Err(WhereError::NoColumn("id".into())) };
        let found = self.mapping.columns.get(path).zip(self.mapping.attributes.get(path));
        found.map(|(column, told)| (column, &told.kind)).ok_or_else(|| WhereError::NoColumn(path.to_string()))
    }

    fn holds(&mut self, left: &Operand, right: &[Scalar]) -> Made {
        let (column, kind) = self.set(left)?;
        let (column, kind) = (column.clone(), kind.clone());
        match column {
            Column::Joined { value, .. } => {
                let (from, value) = (self.joined(left)?, self.name(&value));
                let (list, binary) = (self.list(right)?, self.binary());
                let set = self.quoted_set();
                Ok(format!("EXISTS ({from} AND {set}.{value}{binary} IN ({list}))"))
            }
            Column::Array(name) if self.is_sqlite() => {
                let name = self.name(&name);
                let test = if kind == Kind::Bool {
                    let word =
                        |value: &Scalar| if *value == Scalar::Bool(true) { "'true'" } else { "'false'" };
                    format!("[{SET}].[type] IN ({})", right.iter().map(word).collect::<Vec<_>>().join(", "))
                } else {
                    let list = self.list(right)?;
                    let json = if kind == Kind::Long { "integer" } else { "text" };
                    format!("[{SET}].[type] = '{json}' AND [{SET}].[value] COLLATE BINARY IN ({list})")
                };
                Ok(format!("EXISTS (SELECT 1 FROM json_each({name}) AS [{SET}] WHERE {test})"))
            }
            Column::Array(name) => {
                let name = self.name(&name);
                let cast = match kind {
                    Kind::Long => "bigint",
                    Kind::Bool => "boolean",
                    Kind::Text | Kind::Entity(_) => "text",
                };
                let all = right.iter().map(|value| Ok(format!("to_jsonb({}::{cast})", self.value(value)?)));
                let list = all.collect::<Result<Vec<_>, WhereError>>()?.join(", ");
                let from = format!("SELECT 1 FROM jsonb_array_elements({name}) AS \"{SET}\"(\"value\")");
                Ok(format!("EXISTS ({from} WHERE \"{SET}\".\"value\" IN ({list}))"))
            }
            Column::Plain(_) => Err(WhereError::NoColumn("a set".into())),
        }
    }

    fn quoted_set(&self) -> String {
        if self.is_sqlite() { format!("[{SET}]") } else { format!("\"{SET}\"") }
    }

    /// The rows of a set's own table that are the resource's.
    fn joined(&self, left: &Operand) -> Made {
        let (Column::Joined { table, key, .. }, _) = self.set(left)? else {
            return Err(WhereError::NoColumn("a set".into()));
        };
        let (table, key, id) = (self.name(table), self.name(key), self.name(&self.mapping.id));
        let (set, binary) = (self.quoted_set(), self.binary());
        Ok(format!("SELECT 1 FROM {table} AS {set} WHERE {set}.{key} = {id}{binary}"))
    }

    fn empty(&mut self, left: &Operand) -> Made {
        match self.set(left)?.0 {
            Column::Joined { .. } => Ok(format!("NOT EXISTS ({})", self.joined(left)?)),
            Column::Array(name) if self.is_sqlite() => {
                Ok(format!("json_array_length({}) = 0", self.name(name)))
            }
            Column::Array(name) => Ok(format!("jsonb_array_length({}) = 0", self.name(name))),
            Column::Plain(_) => Err(WhereError::NoColumn("a set".into())),
        }
    }
}
