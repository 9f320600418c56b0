//! A pack as the test writes it: a name and its files.

use std::path::Path;

use crate::files::write;

/// A pack's files, to be written under a policies folder.
#[derive(Clone, Debug)]
pub struct Pack {
    name: String,
    manifest: String,
    files: Vec<(String, String)>,
}

impl Pack {
    /// A pack with a manifest of name and version, and nothing else.
    pub fn new(name: &str) -> Self {
        let manifest = format!("name = \"{name}\"\nversion = \"1.0.0\"\n");
        Self { name: name.to_owned(), manifest, files: Vec::new() }
    }

    /// The same with further lines of `pack.toml`.
    #[must_use]
    pub fn manifest(mut self, lines: &str) -> Self {
        self.manifest.push_str(lines);
        self.manifest.push('\n');
        self
    }

    /// The same with one more file.
    #[must_use]
    pub fn file(mut self, path: &str, content: &str) -> Self {
        self.files.push((path.to_owned(), content.to_owned()));
        self
    }

    /// The same with Cedar's text in `policies.cedar`.
    #[must_use]
    pub fn cedar(self, text: &str) -> Self {
        self.file("policies.cedar", text)
    }

    /// The same with entities in Cedar's JSON form.
    #[must_use]
    pub fn entities(self, entities: &serde_json::Value) -> Self {
        self.file("entities.json", &entities.to_string())
    }

    /// The pack's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes the pack into a folder of its name below `policies`.
    ///
    /// # Panics
    /// When a file can't be written.
    pub fn write(&self, policies: &Path) {
        let folder = policies.join(&self.name);
        write(&folder.join("pack.toml"), &self.manifest);
        for (path, content) in &self.files {
            write(&folder.join(path), content);
        }
    }
}
