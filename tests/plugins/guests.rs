//! Servers with plugins: guests of the tests, and bundled ones.

use std::path::Path;

use portcullis_tests::{Pack, Server, repository};
use tempfile::TempDir;

/// A server with plugins, and the folder that they are in.
pub(crate) struct Guests {
    server: Server,
    _plugins: TempDir,
}

impl std::ops::Deref for Guests {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// A server with these plugins of the folder `tests/guests` or `plugins`, and their sections.
pub(crate) fn with(pack: Pack, names: &[&str], sections: &str) -> Guests {
    let plugins = tempfile::tempdir().unwrap();
    for name in names {
        let bundled = repository().join("plugins").join(name);
        let from = if bundled.is_dir() { bundled } else { repository().join("tests/guests").join(name) };
        copy(&from, &plugins.path().join(name));
    }
    let folder = plugins.path().display().to_string();
    let config = format!("[plugins]\nfolder = {folder:?}\nallow_unsigned = true\n{sections}");
    Guests { server: Server::builder().pack(pack).config(&config).start(), _plugins: plugins }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for file in ["plugin.toml", "plugin.wasm"] {
        std::fs::copy(from.join(file), to.join(file))
            .unwrap_or_else(|error| panic!("{}/{file}: {error}: run `cargo xtask plugins`", from.display()));
    }
}
