//! Documents: what is asked for is copied, and nothing else.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::Resource;

use super::{Document, Ended, Sandbox};
use crate::plugin::bindings::portcullis::plugin::types;
use crate::plugin::{FailureKind, pointer};

impl Sandbox {
    fn document(&self, handle: &Resource<Document>) -> Result<Arc<Value>, Ended> {
        let found = usize::try_from(handle.rep()).ok().and_then(|place| self.documents.get(place));
        found.cloned().ok_or_else(|| Ended::new(FailureKind::BadAnswer, "there is no such document"))
    }
}

impl types::HostDocument for Sandbox {
    fn get(
        &mut self,
        document: Resource<Document>,
        pointer: String,
    ) -> wasmtime::Result<Option<types::Node>> {
        let node = pointer::find(&*self.document(&document)?, &pointer).map(node_of);
        self.count(pointer.len() + node.as_ref().map_or(0, size_of_node))?;
        Ok(node)
    }

    fn members(
        &mut self,
        document: Resource<Document>,
        pointer: String,
    ) -> wasmtime::Result<Option<Vec<String>>> {
        let root = self.document(&document)?;
        let Some(Value::Object(members)) = pointer::find(&root, &pointer) else { return Ok(None) };
        self.count(pointer.len() + members.keys().map(|name| name.len() + 8).sum::<usize>())?;
        Ok(Some(members.keys().cloned().collect()))
    }

    fn leaves(&mut self, document: Resource<Document>) -> wasmtime::Result<Vec<types::Leaf>> {
        let root = self.document(&document)?;
        let mut leaves = Vec::new();
        each_leaf(&root, &mut String::new(), &mut |pointer, value| {
            let value = node_of(value);
            self.count(pointer.len() + size_of_node(&value))?;
            leaves.push(types::Leaf { pointer: pointer.to_owned(), value });
            Ok(())
        })?;
        Ok(leaves)
    }

    fn leaf_table(&mut self, document: Resource<Document>) -> wasmtime::Result<types::LeafTable> {
        let root = self.document(&document)?;
        let (mut text, mut rows) = (String::new(), Vec::new());
        each_leaf(&root, &mut String::new(), &mut |pointer, value| {
            let start = text.len();
            text.push_str(pointer);
            let kind = push_value(&mut text, value);
            let (pointer, whole) = (pointer.len(), text.len() - start);
            self.count(whole + ROW_BYTES)?;
            let bytes = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            rows.push(types::LeafRow {
                pointer_bytes: bytes(pointer),
                value_bytes: bytes(whole - pointer),
                kind,
            });
            Ok(())
        })?;
        Ok(types::LeafTable { text, rows })
    }

    fn json(&mut self, document: Resource<Document>, pointer: String) -> wasmtime::Result<Option<String>> {
        let root = self.document(&document)?;
        let Some(found) = pointer::find(&root, &pointer) else { return Ok(None) };
        let text = found.to_string();
        self.count(pointer.len() + text.len())?;
        Ok(Some(text))
    }

    fn drop(&mut self, document: Resource<Document>) -> wasmtime::Result<()> {
        // The last one's place is free again; others keep their numbers.
        if usize::try_from(document.rep()).is_ok_and(|place| place + 1 == self.documents.len()) {
            self.documents.pop();
        }
        Ok(())
    }
}

/// What a row takes in the plugin's memory.
const ROW_BYTES: usize = 12;

/// Every value without parts, with its pointer.
fn each_leaf(
    value: &Value,
    pointer: &mut String,
    found: &mut impl FnMut(&str, &Value) -> Result<(), Ended>,
) -> Result<(), Ended> {
    let before = pointer.len();
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
                pointer::push(pointer, name);
                each_leaf(value, pointer, found)?;
                pointer.truncate(before);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (place, value) in elements.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(itoa::Buffer::new().format(place));
                each_leaf(value, pointer, found)?;
                pointer.truncate(before);
            }
        }
        leaf => found(pointer, leaf)?,
    }
    Ok(())
}

fn push_value(text: &mut String, value: &Value) -> types::LeafKind {
    match value {
        Value::Null => types::LeafKind::Null,
        Value::Bool(value) => {
            text.push_str(if *value { "true" } else { "false" });
            types::LeafKind::Boolean
        }
        Value::Number(number) => {
            match number.as_i64() {
                Some(number) => text.push_str(itoa::Buffer::new().format(number)),
                None => text.push_str(&number.to_string()),
            }
            types::LeafKind::Number
        }
        Value::String(value) => {
            text.push_str(value);
            types::LeafKind::Text
        }
        Value::Array(_) => types::LeafKind::Array,
        Value::Object(_) => types::LeafKind::Object,
    }
}

fn node_of(value: &Value) -> types::Node {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    match value {
        Value::Null => types::Node::Null,
        Value::Bool(value) => types::Node::Boolean(*value),
        Value::Number(number) => types::Node::Number(number.to_string()),
        Value::String(text) => types::Node::Text(text.clone()),
        Value::Array(elements) => types::Node::Array(length(elements.len())),
        Value::Object(members) => types::Node::Object(length(members.len())),
    }
}

/// About what it takes in the plugin's memory.
fn size_of_node(node: &types::Node) -> usize {
    16 + match node {
        types::Node::Number(text) | types::Node::Text(text) => text.len(),
        _ => 0,
    }
}
