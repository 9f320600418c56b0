//! `<folder>/<name>/`: a plugin's files, read once and whole.
//!
//! Promises: what was read is what is checked, trusted and run, and is of one moment: a replacement in between is read again;
//! nothing outside of the folder is read, whatever a link says; no file is larger than it may be. Must never: wait for a
//! pipe's other end, or take a folder that is there and can't be read for one that is not there.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use super::manifest::is_plugin_name;
use super::signature;

/// The name of the manifest's file.
pub const MANIFEST: &str = "plugin.toml";
/// The name of the component's file.
pub const COMPONENT: &str = "plugin.wasm";
/// The name of the folder with a plugin's own cases.
pub const CASES: &str = "cases";

const MANIFEST_BYTES: usize = 256 << 10;
const SIGNATURE_BYTES: usize = 4 << 10;
const CASES_MOST: usize = 256;
const CASES_BYTES: usize = 4 << 20;
/// Files that are being replaced are read again, so often and so far apart.
const TRIES: u32 = 5;
const APART: Duration = Duration::from_millis(20);

/// A plugin's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// `plugin.toml`.
    pub manifest: String,
    /// `plugin.wasm`.
    pub component: Vec<u8>,
    /// `plugin.sig`, if it is there.
    pub signature: Option<String>,
    /// Where they are; none when they are embedded in this binary, or in a bundle.
    pub folder: Option<PathBuf>,
    /// Name and text of its files of cases, when they are in no folder.
    pub kept_cases: Vec<(String, String)>,
    /// Whether they are in a bundle.
    pub in_bundle: bool,
}

/// Why a plugin's files can't be read.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The system refuses.
    #[error("can't read `{}`: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It leads elsewhere.
    #[error("`{}` leads out of the plugins folder: a plugin's files are within it", .0.display())]
    Outside(PathBuf),
    /// It is no file.
    #[error("`{}` is no regular file", .0.display())]
    NoFile(PathBuf),
    /// It is larger than it may be.
    #[error("`{}` has more than {most} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        most: usize,
    },
    /// It is no text.
    #[error("`{}` is not UTF-8", .0.display())]
    NoText(PathBuf),
    /// It is being replaced.
    #[error("the files in `{}` change while they are read: put a new build there as a whole", .0.display())]
    Changing(PathBuf),
    /// It holds too many.
    #[error("`{}` has more than {CASES_MOST} files of cases, or more than {CASES_BYTES} bytes of them", .0.display())]
    TooManyCases(PathBuf),
}

/// Which file was read, and as of when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp([i128; 5]);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let instant =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Self([
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.len().into(),
            instant(metadata.mtime(), metadata.mtime_nsec()),
            instant(metadata.ctime(), metadata.ctime_nsec()),
        ])
    }

    /// As the path leads now; none when it leads nowhere.
    fn at(path: &Path) -> Result<Option<Self>, FolderError> {
        match path.metadata() {
            Ok(metadata) => Ok(Some(Self::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(unreadable(path, source)),
        }
    }
}

impl Files {
    /// Reads `<folder>/<name>/`; none when nothing has that name.
    ///
    /// # Errors
    /// When a file is missing or can't be read, is too large, is not within the folder, or does not stop changing.
    pub fn read(folder: &Path, name: &str, component_bytes: usize) -> Result<Option<Self>, FolderError> {
        let own = folder.join(name);
        // A link that leads nowhere is there, and is an error; so is a folder that lacks a file.
        match own.symlink_metadata() {
            Ok(_) => Self::read_settled(folder, &own, component_bytes, &|| {}).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(unreadable(&own, source)),
        }
    }

    /// Reads the plugin of a folder that stands for itself.
    ///
    /// # Errors
    /// As [`Files::read`].
    pub fn read_alone(own: &Path, component_bytes: usize) -> Result<Self, FolderError> {
        Self::read_settled(own, own, component_bytes, &|| {})
    }

    /// Files of one moment; `between` is done when all are read, and before it is looked whether they are still there.
    fn read_settled(
        root: &Path,
        own: &Path,
        component_bytes: usize,
        between: &dyn Fn(),
    ) -> Result<Self, FolderError> {
        for _ in 0..TRIES {
            let (files, stamps) = Self::read_once(root, own, component_bytes)?;
            between();
            let mut now = [None; 3];
            for (stamp, name) in now.iter_mut().zip([MANIFEST, COMPONENT, signature::FILE]) {
                *stamp = Stamp::at(&own.join(name))?;
            }
            if now == stamps {
                return Ok(files);
            }
            std::thread::sleep(APART);
        }
        Err(FolderError::Changing(own.to_owned()))
    }

    fn read_once(
        root: &Path,
        own: &Path,
        component_bytes: usize,
    ) -> Result<(Self, [Option<Stamp>; 3]), FolderError> {
        let root = root.canonicalize().map_err(|source| unreadable(root, source))?;
        let read = |name: &str, most| read(&root, &own.join(name), most);
        let text =
            |name: &str, bytes| String::from_utf8(bytes).map_err(|_| FolderError::NoText(own.join(name)));
        let (signature, signed) = match read(signature::FILE, SIGNATURE_BYTES) {
            Ok((bytes, stamp)) => (Some(text(signature::FILE, bytes)?), Some(stamp)),
            Err(FolderError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                (None, None)
            }
            Err(error) => return Err(error),
        };
        let (manifest, manifested) = read(MANIFEST, MANIFEST_BYTES)?;
        let (component, compiled) = read(COMPONENT, component_bytes)?;
        let manifest = text(MANIFEST, manifest)?;
        let files = Self { manifest, component, signature, folder: Some(own.to_owned()), ..Self::default() };
        Ok((files, [Some(manifested), Some(compiled), signed]))
    }

    /// The texts of its cases by their paths, in order. They are not signed: what they say can only keep a build from
    /// being loaded.
    ///
    /// # Errors
    /// When one can't be read, is no regular file or leads elsewhere, or there are too many.
    pub fn cases(&self) -> Result<Vec<(PathBuf, String)>, FolderError> {
        let Some(own) = &self.folder else {
            let shown = |(name, text): &(String, String)| (Path::new(self.origin()).join(name), text.clone());
            return Ok(self.kept_cases.iter().map(shown).collect());
        };
        let cases = own.join(CASES);
        let entries = match std::fs::read_dir(&cases) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(unreadable(&cases, source)),
        };
        let root = own.canonicalize().map_err(|source| unreadable(own, source))?;
        let is_yaml = |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_case);
        let mut paths = Vec::new();
        for entry in entries {
            paths.extend(Some(entry.map_err(|source| unreadable(&cases, source))?.path()).filter(is_yaml));
            if paths.len() > CASES_MOST {
                return Err(FolderError::TooManyCases(cases));
            }
        }
        paths.sort();
        let mut left = CASES_BYTES;
        let mut texts = Vec::new();
        for path in paths {
            let (bytes, _) = read(&root, &path, left).map_err(|error| match error {
                FolderError::TooLarge { .. } => FolderError::TooManyCases(cases.clone()),
                error => error,
            })?;
            left = left.saturating_sub(bytes.len());
            let text = String::from_utf8(bytes).map_err(|_| FolderError::NoText(path.clone()))?;
            texts.push((path, text));
        }
        Ok(texts)
    }

    /// The manifest's name for people.
    pub fn shown(&self, name: &str) -> String {
        match &self.folder {
            Some(folder) => folder.join(MANIFEST).display().to_string(),
            None => format!("{}/{name}/{MANIFEST}", self.origin()),
        }
    }

    /// Files that a bundle is to fill.
    pub fn of_bundle() -> Self {
        Self { in_bundle: true, ..Self::default() }
    }

    fn origin(&self) -> &'static str {
        if self.in_bundle { "(bundle)" } else { "(embedded)" }
    }
}

/// Whether a file of this name, in the folder of cases, has cases.
pub fn is_case(name: &str) -> bool {
    let kind = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, kind)| kind);
    !name.contains('/') && matches!(kind, Some("yaml" | "yml"))
}

/// The names of the folders that look like plugins. A folder that is not there has none.
///
/// # Errors
/// When it can't be read.
pub fn present(folder: &Path) -> Result<BTreeSet<String>, FolderError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(unreadable(folder, source)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        if let Ok(name) = entry.file_name().into_string()
            && is_plugin_name(&name)
            && entry.path().join(MANIFEST).exists()
        {
            names.insert(name);
        }
    }
    Ok(names)
}

fn read(root: &Path, path: &Path, most: usize) -> Result<(Vec<u8>, Stamp), FolderError> {
    let failed = |source| unreadable(path, source);
    let real = path.canonicalize().map_err(failed)?;
    if !real.starts_with(root) {
        return Err(FolderError::Outside(path.to_owned()));
    }
    // Looked at before it is opened, since that alone can have an effect on a device; and opened so that what has taken
    // its place since is not waited for.
    let is_file = |metadata: &Metadata| metadata.is_file().then_some(());
    let no_file = || FolderError::NoFile(path.to_owned());
    is_file(&real.symlink_metadata().map_err(failed)?).ok_or_else(no_file)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(&real).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    is_file(&metadata).ok_or_else(no_file)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return Err(FolderError::TooLarge { path: path.to_owned(), most });
    }
    Ok((bytes, Stamp::of(&metadata)))
}

fn unreadable(path: &Path, source: io::Error) -> FolderError {
    FolderError::Unreadable { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn plugin(folder: &Path, name: &str) {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join(MANIFEST), "manifest").unwrap();
        fs::write(folder.join(name).join(COMPONENT), "component").unwrap();
    }

    #[test]
    fn links_may_lead_elsewhere_within_the_folder_and_not_out_of_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugins");
        plugin(&folder, "one");
        symlink("one", folder.join("two")).unwrap();
        let files = Files::read(&folder, "two", 100).unwrap().unwrap();
        assert_eq!((files.manifest.as_str(), &*files.component), ("manifest", &b"component"[..]));
        plugin(root.path(), "outside");
        symlink(root.path().join("outside"), folder.join("three")).unwrap();
        assert!(matches!(Files::read(&folder, "three", 100), Err(FolderError::Outside(_))));
        fs::remove_file(folder.join("one").join(COMPONENT)).unwrap();
        symlink(root.path().join("outside").join(COMPONENT), folder.join("one").join(COMPONENT)).unwrap();
        assert!(matches!(Files::read(&folder, "one", 100), Err(FolderError::Outside(_))));
        assert!(matches!(Files::read(&folder, "none", 100), Ok(None)));
    }

    #[test]
    fn what_is_there_and_is_no_whole_plugin_is_an_error_and_not_nothing() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("one");
        let is_missing = |file: &Path| {
            let error = Files::read(root.path(), "one", 100).unwrap_err();
            assert!(matches!(&error, FolderError::Unreadable { path, .. } if path == file), "{error}");
        };
        symlink("nowhere", &own).unwrap();
        is_missing(&own.join(MANIFEST));
        fs::remove_file(&own).unwrap();
        fs::create_dir(&own).unwrap();
        is_missing(&own.join(MANIFEST));
        fs::write(own.join(MANIFEST), "manifest").unwrap();
        is_missing(&own.join(COMPONENT));
        fs::write(own.join(COMPONENT), "component").unwrap();
        assert!(Files::read(root.path(), "one", 100).unwrap().is_some());
        // A folder of that name is not what is asked for: it can't be looked into.
        fs::write(root.path().join("file"), "").unwrap();
        assert!(Files::read(&root.path().join("file"), "one", 100).is_err());
    }

    #[test]
    fn files_that_are_replaced_while_they_are_read_are_read_again() {
        let root = tempfile::tempdir().unwrap();
        plugin(root.path(), "one");
        let own = root.path().join("one");
        let replacements = std::cell::Cell::new(0);
        let replace_until = |most: u32| {
            let (replacements, own) = (&replacements, &own);
            move || {
                if replacements.get() < most {
                    replacements.set(replacements.get() + 1);
                    let new = own.join("new");
                    fs::write(&new, format!("{:>9}", replacements.get())).unwrap();
                    fs::rename(&new, own.join(COMPONENT)).unwrap();
                    fs::write(own.join(signature::FILE), format!("of {}", replacements.get())).unwrap();
                }
            }
        };
        let files = Files::read_settled(root.path(), &own, 100, &replace_until(2)).unwrap();
        assert_eq!((&*files.component, files.signature.as_deref()), (&b"        2"[..], Some("of 2")));
        let endless = Files::read_settled(root.path(), &own, 100, &replace_until(u32::MAX));
        assert!(matches!(endless, Err(FolderError::Changing(_))), "{endless:?}");
        assert_eq!(replacements.get(), 2 + TRIES);
    }

    #[test]
    fn cases_are_regular_files_and_not_too_many() {
        let root = tempfile::tempdir().unwrap();
        plugin(root.path(), "one");
        let files = Files::read(root.path(), "one", 100).unwrap().unwrap();
        assert!(files.cases().unwrap().is_empty());
        let cases = root.path().join("one").join(CASES);
        fs::create_dir(&cases).unwrap();
        for name in ["b.yaml", "a.yml", "README.md"] {
            fs::write(cases.join(name), name).unwrap();
        }
        let texts: Vec<_> = files.cases().unwrap().into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["a.yml", "b.yaml"]);
        let pipe = cases.join("c.yaml");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert!(matches!(files.cases(), Err(FolderError::NoFile(path)) if path == pipe));
        fs::remove_file(&pipe).unwrap();
        fs::write(&pipe, vec![b'a'; CASES_BYTES]).unwrap();
        assert!(matches!(files.cases(), Err(FolderError::TooManyCases(_))));
        fs::remove_file(&pipe).unwrap();
        for number in 0..CASES_MOST {
            fs::write(cases.join(format!("{number}.yaml")), "").unwrap();
        }
        assert!(matches!(files.cases(), Err(FolderError::TooManyCases(_))));
    }

    #[test]
    fn what_is_too_large_or_no_file_is_not_read() {
        let root = tempfile::tempdir().unwrap();
        plugin(root.path(), "one");
        assert!(Files::read(root.path(), "one", 9).is_ok());
        assert!(matches!(Files::read(root.path(), "one", 8), Err(FolderError::TooLarge { most: 8, .. })));
        fs::write(root.path().join("one").join(signature::FILE), vec![b'a'; 5_000]).unwrap();
        assert!(matches!(Files::read(root.path(), "one", 9), Err(FolderError::TooLarge { .. })));
        fs::remove_file(root.path().join("one").join(signature::FILE)).unwrap();
        fs::create_dir(root.path().join("one").join(signature::FILE)).unwrap();
        assert!(matches!(Files::read(root.path(), "one", 9), Err(FolderError::NoFile(_))));
    }

    #[test]
    fn what_looks_like_a_plugin_is_found() {
        let root = tempfile::tempdir().unwrap();
        plugin(root.path(), "one");
        plugin(root.path(), "Not A Name");
        fs::create_dir(root.path().join("empty")).unwrap();
        assert_eq!(present(root.path()).unwrap(), ["one".to_owned()].into());
        assert!(present(&root.path().join("nowhere")).unwrap().is_empty());
    }
}
