//! Conditions on a row in two-valued logic.
//!
//! Promises: a condition is true or false for every row, whatever of it is absent: who compares an attribute says beside it
//! that it is present. What is made of others is as simple as what is known allows, and its size is known.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;
use smol_str::SmolStr;

/// How many bytes of text count as one more value.
const TEXT: usize = 256;

/// A value of a row, or one to compare it with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// The resource's id.
    Id,
    /// An attribute of the resource, by its path.
    Attribute(SmolStr),
    /// A value.
    Value(Scalar),
}

/// A value that a column can hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Scalar {
    /// Text.
    Text(SmolStr),
    /// A number.
    Long(i64),
    /// True or false.
    Bool(bool),
    /// An entity. A column holds its id.
    Entity {
        /// Its type, as Cedar names it.
        #[serde(rename = "type")]
        type_name: SmolStr,
        /// Its id.
        id: SmolStr,
    },
}

/// Several conditions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Many {
    of: Arc<[Formula]>,
    size: usize,
}

/// A condition on a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Formula {
    /// Of every row.
    Always,
    /// Of none.
    Never,
    /// All hold.
    And {
        /// Which.
        of: Many,
    },
    /// One holds.
    Or {
        /// Which.
        of: Many,
    },
    /// It does not hold.
    Not {
        /// Which.
        of: Arc<Formula>,
    },
    /// The attribute is there.
    Present {
        /// Which.
        left: Operand,
    },
    /// Both are the same.
    Equal {
        /// The one.
        left: Operand,
        /// The other.
        right: Operand,
    },
    /// The one is one of these.
    In {
        /// Which.
        left: Operand,
        /// The others.
        right: Arc<[Scalar]>,
    },
    /// The one is less than the other.
    Less {
        /// The one.
        left: Operand,
        /// The other.
        right: Operand,
    },
    /// The one is at most the other.
    LessOrEqual {
        /// The one.
        left: Operand,
        /// The other.
        right: Operand,
    },
    /// The text is these parts, with any text between one and the next.
    Like {
        /// Which.
        left: Operand,
        /// The parts; the first is where the text begins, and the last where it ends.
        parts: Arc<[SmolStr]>,
    },
    /// The set has one of these.
    Holds {
        /// Which set.
        left: Operand,
        /// Of which it has one.
        right: Arc<[Scalar]>,
    },
    /// The set has nothing.
    Empty {
        /// Which set.
        left: Operand,
    },
}

impl Serialize for Many {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.of.iter())
    }
}

impl Many {
    fn new(of: Vec<Formula>) -> Self {
        let size = of.iter().map(Formula::size).fold(1, usize::saturating_add);
        Self { of: of.into(), size }
    }

    /// Each of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Formula> {
        self.of.iter()
    }
}

impl Formula {
    /// How many conditions and values it is made of. A long text counts as several.
    pub fn size(&self) -> usize {
        match self {
            Self::And { of } | Self::Or { of } => of.size,
            Self::Not { of } => of.size().saturating_add(1),
            Self::In { right, .. } | Self::Holds { right, .. } => {
                right.iter().map(|value| 1 + value.weight()).fold(1, usize::saturating_add)
            }
            Self::Like { parts, .. } => 1 + parts.iter().map(|part| weight(part)).sum::<usize>(),
            Self::Equal { left, right } | Self::Less { left, right } | Self::LessOrEqual { left, right } => {
                1 + left.weight() + right.weight()
            }
            Self::Always | Self::Never | Self::Present { .. } | Self::Empty { .. } => 1,
        }
    }

    /// All of them.
    pub fn and(all: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for one in all {
            match one {
                Self::Always => {}
                Self::Never => return Self::Never,
                Self::And { of } => flat.extend(of.of.iter().cloned()),
                other => flat.push(other),
            }
        }
        once(&mut flat);
        match (flat.pop(), flat.is_empty()) {
            (None, _) => Self::Always,
            (Some(only), true) => only,
            (Some(last), false) => {
                flat.push(last);
                Self::And { of: Many::new(flat) }
            }
        }
    }

    /// One of them.
    pub fn or(all: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for one in all {
            match one {
                Self::Never => {}
                Self::Always => return Self::Always,
                Self::Or { of } => flat.extend(of.of.iter().cloned()),
                other => flat.push(other),
            }
        }
        let mut flat = joined(flat);
        once(&mut flat);
        match (flat.pop(), flat.is_empty()) {
            (None, _) => Self::Never,
            (Some(only), true) => only,
            (Some(last), false) => {
                flat.push(last);
                Self::Or { of: Many::new(flat) }
            }
        }
    }

    /// Not this.
    #[expect(clippy::should_implement_trait, reason = "it simplifies, and is named as its siblings are")]
    pub fn not(self) -> Self {
        match self {
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            Self::Not { of } => of.as_ref().clone(),
            other => Self::Not { of: Arc::new(other) },
        }
    }

    /// Whether it is one of these.
    pub fn one_of(left: Operand, right: impl IntoIterator<Item = Scalar>) -> Self {
        let mut seen = HashSet::new();
        let right: Vec<_> = right.into_iter().filter(|scalar| seen.insert(scalar.clone())).collect();
        match right.as_slice() {
            [] => Self::Never,
            [only] => Self::Equal { left, right: Operand::Value(only.clone()) },
            _ => Self::In { left, right: right.into() },
        }
    }
}

impl Scalar {
    fn weight(&self) -> usize {
        match self {
            Self::Text(text) | Self::Entity { id: text, .. } => weight(text),
            Self::Long(_) | Self::Bool(_) => 0,
        }
    }
}

impl Operand {
    fn weight(&self) -> usize {
        if let Self::Value(value) = self { value.weight() } else { 0 }
    }
}

/// What a text adds to a size: a caller's one long value may stand in thousands of conditions.
fn weight(text: &str) -> usize {
    text.len() / TEXT
}

/// Each once, where it first stood.
fn once(all: &mut Vec<Formula>) {
    let mut seen = HashSet::new();
    let first: Vec<bool> = all.iter().map(|one| seen.insert(one)).collect();
    let mut first = first.into_iter();
    all.retain(|_| first.next().unwrap_or(true));
}

/// Tests of one operand for values, as one test for any of them: thousands of policies may name a resource each.
fn joined(all: Vec<Formula>) -> Vec<Formula> {
    let mut values: HashMap<Operand, Vec<Scalar>> = HashMap::new();
    let mut order = Vec::new();
    let mut rest = Vec::new();
    for one in all {
        let (left, found) = match one {
            Formula::Equal { left, right: Operand::Value(value) } if !is_value(&left) => (left, vec![value]),
            Formula::In { left, right } => (left, right.to_vec()),
            other => {
                rest.push(other);
                continue;
            }
        };
        let known = values.entry(left.clone()).or_default();
        if known.is_empty() {
            order.push(left);
        }
        known.extend(found);
    }
    let tests = order.into_iter().filter_map(|left| {
        let found = values.remove(&left)?;
        Some(Formula::one_of(left, found))
    });
    tests.chain(rest).collect()
}

fn is_value(operand: &Operand) -> bool {
    matches!(operand, Operand::Value(_))
}
