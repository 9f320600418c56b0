//! A parsed JSON document. It stays with the host: only what is asked for is copied into the plugin.
//!
//! Promises: pointers are JSON pointers (RFC 6901), and the empty one is the whole document; numbers in their one
//! spelling. Must never: parse a document a second time.

use serde::de::DeserializeOwned;

use crate::ground;

/// A JSON document.
#[derive(Debug)]
pub struct Document<'a>(pub(crate) ground::Document<'a>);

/// A value of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// Its digits: an integer of 64 bits as it is written, another as the shortest text of the same double.
    Number(String),
    /// A string.
    Text(String),
    /// How many elements it has.
    Array(u32),
    /// How many members it has.
    Object(u32),
}

impl Node {
    /// The text, when it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number, when it is one and fits.
    pub fn as_number<N: std::str::FromStr>(&self) -> Option<N> {
        if let Self::Number(digits) = self { digits.parse().ok() } else { None }
    }

    /// The boolean, when it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(value) = self { Some(*value) } else { None }
    }
}

/// A value that has no parts, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// A JSON pointer.
    pub pointer: String,
    /// What stands there: an array or object only when it is empty.
    pub value: Node,
}

/// All leaves of a document in one text, which takes far less time than a text for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafTable {
    pub(crate) text: String,
    pub(crate) rows: Vec<Row>,
}

/// How much of the text is a leaf's: its pointer, and right behind it its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) pointer_bytes: usize,
    pub(crate) value_bytes: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

/// A value that has no parts, and where it stands, in a [`LeafTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafRef<'a> {
    /// A JSON pointer.
    pub pointer: &'a str,
    /// What stands there.
    pub value: ValueRef<'a>,
}

/// What stands in a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// Its digits.
    Number(&'a str),
    /// A string.
    Text(&'a str),
    /// An array without elements.
    Array,
    /// An object without members.
    Object,
}

impl LeafTable {
    /// The leaves, in the document's order.
    pub fn iter(&self) -> impl Iterator<Item = LeafRef<'_>> {
        let mut rest = self.text.as_str();
        self.rows.iter().map(move |row| {
            let mut take = |bytes| {
                let (taken, behind) = rest.split_at_checked(bytes).unwrap_or((rest, ""));
                rest = behind;
                taken
            };
            let (pointer, value) = (take(row.pointer_bytes), take(row.value_bytes));
            let value = match row.kind {
                Kind::Null => ValueRef::Null,
                Kind::Boolean => ValueRef::Boolean(value == "true"),
                Kind::Number => ValueRef::Number(value),
                Kind::Text => ValueRef::Text(value),
                Kind::Array => ValueRef::Array,
                Kind::Object => ValueRef::Object,
            };
            LeafRef { pointer, value }
        })
    }
}

impl From<LeafRef<'_>> for Leaf {
    fn from(leaf: LeafRef<'_>) -> Self {
        let value = match leaf.value {
            ValueRef::Null => Node::Null,
            ValueRef::Boolean(value) => Node::Boolean(value),
            ValueRef::Number(digits) => Node::Number(digits.to_owned()),
            ValueRef::Text(text) => Node::Text(text.to_owned()),
            ValueRef::Array => Node::Array(0),
            ValueRef::Object => Node::Object(0),
        };
        Self { pointer: leaf.pointer.to_owned(), value }
    }
}

impl Document<'_> {
    /// The value at a pointer; none when nothing stands there.
    pub fn get(&self, pointer: &str) -> Option<Node> {
        self.0.get(pointer)
    }

    /// The text at a pointer; none when something else stands there, or nothing.
    pub fn text(&self, pointer: &str) -> Option<String> {
        if let Some(Node::Text(text)) = self.get(pointer) { Some(text) } else { None }
    }

    /// The number at a pointer; none when something else stands there, or it does not fit.
    pub fn number<N: std::str::FromStr>(&self, pointer: &str) -> Option<N> {
        self.get(pointer).and_then(|node| node.as_number())
    }

    /// Whether something stands at a pointer.
    pub fn has(&self, pointer: &str) -> bool {
        self.get(pointer).is_some()
    }

    /// The names of an object's members, in the document's order; none when no object stands there.
    pub fn members(&self, pointer: &str) -> Option<Vec<String>> {
        self.0.members(pointer)
    }

    /// Every value without parts, in the document's order.
    pub fn leaves(&self) -> Vec<Leaf> {
        self.leaf_table().iter().map(Leaf::from).collect()
    }

    /// The same in one piece, where every microsecond counts.
    pub fn leaf_table(&self) -> LeafTable {
        self.0.leaf_table()
    }

    /// The JSON text of what stands at a pointer; none when nothing does.
    pub fn json(&self, pointer: &str) -> Option<String> {
        self.0.json(pointer)
    }

    /// What stands at a pointer, as a type of yours; none when nothing stands there, or something else.
    pub fn read<T: DeserializeOwned>(&self, pointer: &str) -> Option<T> {
        serde_json::from_str(&self.json(pointer)?).ok()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Document<'static> {
    /// Parses JSON text, for tests.
    ///
    /// # Errors
    /// When it is no JSON, or names a member twice.
    pub fn parse(json: &str) -> Result<Self, String> {
        ground::Document::parse(json).map(Self)
    }
}
