//! Documents: what is asked for is copied, and nothing else.

use std::sync::Arc;

use serde_json::Value;
use wasmtime::component::Resource;

use super::{Document, Ended, Sandbox};
use crate::plugin::FailureKind;
use crate::plugin::bindings::portcullis::plugin::types;

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
        let node = self.document(&document)?.pointer(&pointer).map(node_of);
        self.count(pointer.len() + node.as_ref().map_or(0, size_of_node))?;
        Ok(node)
    }

    fn members(
        &mut self,
        document: Resource<Document>,
        pointer: String,
    ) -> wasmtime::Result<Option<Vec<String>>> {
        let root = self.document(&document)?;
        let Some(Value::Object(members)) = root.pointer(&pointer) else { return Ok(None) };
        self.count(pointer.len() + members.keys().map(|name| name.len() + 8).sum::<usize>())?;
        Ok(Some(members.keys().cloned().collect()))
    }

    fn leaves(&mut self, document: Resource<Document>) -> wasmtime::Result<Vec<types::Leaf>> {
        let root = self.document(&document)?;
        let mut walk = Walk { sandbox: self, leaves: Vec::new(), pointer: String::new() };
        walk.visit(&root)?;
        Ok(walk.leaves)
    }

    fn json(&mut self, document: Resource<Document>, pointer: String) -> wasmtime::Result<Option<String>> {
        let root = self.document(&document)?;
        let Some(found) = root.pointer(&pointer) else { return Ok(None) };
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

/// Every value without parts, with its pointer.
struct Walk<'a> {
    sandbox: &'a mut Sandbox,
    leaves: Vec<types::Leaf>,
    pointer: String,
}

impl Walk<'_> {
    fn visit(&mut self, value: &Value) -> Result<(), Ended> {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    self.step(|pointer| escape(name, pointer), value)?;
                }
            }
            Value::Array(elements) => {
                for (place, value) in elements.iter().enumerate() {
                    let step = |pointer: &mut String| {
                        pointer.push_str(itoa::Buffer::new().format(place));
                    };
                    self.step(step, value)?;
                }
            }
            leaf => {
                let value = node_of(leaf);
                self.sandbox.count(self.pointer.len() + size_of_node(&value))?;
                self.leaves.push(types::Leaf { pointer: self.pointer.clone(), value });
            }
        }
        Ok(())
    }

    fn step(&mut self, name: impl FnOnce(&mut String), value: &Value) -> Result<(), Ended> {
        let before = self.pointer.len();
        self.pointer.push('/');
        name(&mut self.pointer);
        let done = self.visit(value);
        self.pointer.truncate(before);
        done
    }
}

/// RFC 6901 §3.
fn escape(name: &str, pointer: &mut String) {
    if !name.contains(['~', '/']) {
        return pointer.push_str(name);
    }
    for letter in name.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
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
