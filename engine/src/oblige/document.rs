//! A JSON document as it is written, with the places of its values.
//!
//! Promises: values that are not touched stay as they were written, byte for byte: numbers keep their digits, members
//! their order. It takes time and memory in proportion to the text. Must never: guess at text that is no JSON.

use std::ops::Range;

/// Deeper documents are refused before they come here; this keeps the stack in any case.
pub const MOST_LEVELS: usize = 128;

/// A parsed document.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    root: Node,
}

/// A value, and where it stands in the text.
#[derive(Debug)]
pub struct Node {
    /// From its first to behind its last byte.
    pub span: Range<usize>,
    /// What is inside.
    pub parts: Parts,
}

/// What is inside a value.
#[derive(Debug)]
pub enum Parts {
    /// Nothing: it is text, a number, a boolean or null.
    None,
    /// Elements.
    Array(Vec<Node>),
    /// Members, in the text's order.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its name as it is written, quotes included.
    pub written: Range<usize>,
    /// Its value.
    pub value: Node,
}

impl<'t> Document<'t> {
    /// Reads text. It must be JSON in which no object has a name twice: who calls has checked that. `None` when it
    /// shows that it is not, or when it is too deep.
    pub fn read(text: &'t str) -> Option<Self> {
        let mut scan = Scan { text, at: 0 };
        let root = scan.value(MOST_LEVELS)?;
        scan.skip_space();
        (scan.at == text.len()).then_some(Self { text, root })
    }

    /// The value that is the document.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The text of a part.
    pub fn text(&self, span: &Range<usize>) -> &'t str {
        self.text.get(span.clone()).unwrap_or_default()
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, levels: usize) -> Option<Node> {
        self.skip_space();
        let start = self.at;
        let parts = match self.peek()? {
            b'{' => Parts::Object(self.members(levels.checked_sub(1)?)?),
            b'[' => Parts::Array(self.elements(levels.checked_sub(1)?)?),
            b'"' => {
                self.string()?;
                Parts::None
            }
            _ => {
                while self.peek().is_some_and(|byte| !b",]} \t\n\r".contains(&byte)) {
                    self.at += 1;
                }
                (self.at > start).then_some(Parts::None)?
            }
        };
        Some(Node { span: start..self.at, parts })
    }

    fn elements(&mut self, levels: usize) -> Option<Vec<Node>> {
        self.at += 1;
        let mut elements = Vec::new();
        if self.take(b']') {
            return Some(elements);
        }
        loop {
            elements.push(self.value(levels)?);
            if self.take(b']') {
                return Some(elements);
            }
            self.take(b',').then_some(())?;
        }
    }

    fn members(&mut self, levels: usize) -> Option<Vec<Member>> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Some(members);
        }
        loop {
            self.skip_space();
            let written = self.string()?;
            let name = serde_json::from_str(self.text.get(written.clone())?).ok()?;
            self.take(b':').then_some(())?;
            members.push(Member { name, written, value: self.value(levels)? });
            if self.take(b'}') {
                return Some(members);
            }
            self.take(b',').then_some(())?;
        }
    }

    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        (self.peek()? == b'"').then_some(())?;
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The value by way of the places, each leaf from its own text.
    fn value(document: &Document<'_>, node: &Node) -> Value {
        match &node.parts {
            Parts::None => serde_json::from_str(document.text(&node.span)).unwrap(),
            Parts::Array(elements) => elements.iter().map(|node| value(document, node)).collect(),
            Parts::Object(members) => {
                members.iter().map(|member| (member.name.clone(), value(document, &member.value))).collect()
            }
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_found_where_it_stands(json in json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
            let text = format!(" {}\n", text.unwrap());
            let document = Document::read(&text).unwrap();
            prop_assert_eq!(value(&document, document.root()), json);
        }

        #[test]
        fn text_that_is_no_json_ends(text in "[\\[\\]{},:\"\\\\a1 ]{0,40}") {
            let read = Document::read(&text).is_some();
            prop_assert!(read || serde_json::from_str::<Value>(&text).is_err());
        }
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Document::read(&nested(MOST_LEVELS)).is_some());
        assert!(Document::read(&nested(MOST_LEVELS + 1)).is_none());
        assert!(Document::read(&"[".repeat(1_000_000)).is_none());
    }
}
