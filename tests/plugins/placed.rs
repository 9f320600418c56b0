//! A server with guests of the tests in a plugins folder of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use portcullis_tests::{Builder, Server, eventually, repository};
use serde_json::Value;
use tempfile::TempDir;

use crate::fixtures::records;

/// The folder, and the server.
pub(crate) struct Placed {
    pub(crate) server: Server,
    folder: TempDir,
}

impl std::ops::Deref for Placed {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

/// Time enough on a machine that is kept busy.
pub(crate) const PATIENT: &str = "budget = { deadline_milliseconds = 5000 }\n";

impl Placed {
    /// A server with these guests, and with these lines after `[plugins]` and its folder.
    pub(crate) fn with(names: &[&str], lines: &str) -> Self {
        Self::on(Server::builder(), names, &format!("allow_unsigned = true\n{lines}"))
    }

    /// The same on a server that is started in some way.
    pub(crate) fn on(builder: Builder, names: &[&str], lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            place(name, folder.path());
        }
        let shown = folder.path().display().to_string();
        let config = format!("[plugins]\nfolder = {shown:?}\n{lines}");
        Self { server: builder.pack(records()).config(&config).start(), folder }
    }

    /// A file of a plugin.
    pub(crate) fn file(&self, name: &str, file: &str) -> PathBuf {
        self.folder.path().join(name).join(file)
    }

    /// Puts a file in its place at once.
    pub(crate) fn put(&self, name: &str, file: &str, content: &[u8]) {
        let beside = self.folder.path().join(format!("{name}.{file}.new"));
        std::fs::write(&beside, content).unwrap();
        std::fs::rename(beside, self.file(name, file)).unwrap();
    }

    /// What `/v1/plugins/{name}` shows, once it is so.
    #[track_caller]
    pub(crate) fn shows(&self, name: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let path = format!("/v1/plugins/{name}");
        let look = || Some(self.get(&path).expect_status(200).json()).filter(&is_so);
        let last = || self.get(&path).json();
        eventually(Duration::from_secs(60), look).unwrap_or_else(|| panic!("it shows {}", last())).0
    }
}

/// Copies a guest of the tests, or a bundled plugin, into a plugins folder.
pub(crate) fn place(name: &str, folder: &Path) {
    let homes = ["tests/guests", "plugins"].map(|home| repository().join(home).join(name));
    let from = homes.into_iter().find(|home| home.is_dir()).unwrap_or_else(|| panic!("there is no `{name}`"));
    let to = folder.join(name);
    std::fs::create_dir(&to).unwrap();
    for file in ["plugin.toml", "plugin.wasm"] {
        std::fs::copy(from.join(file), to.join(file))
            .unwrap_or_else(|error| panic!("{}/{file}: {error}: run `cargo xtask plugins`", from.display()));
    }
}

/// A build of the same component that differs from every other number's: with a custom section more.
pub(crate) fn rebuilt(component: &[u8], number: u32) -> Vec<u8> {
    let mut section = vec![0, 6, 1, b'n'];
    section.extend(number.to_le_bytes());
    [component, &section].concat()
}
