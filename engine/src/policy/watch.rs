//! Watches the policy folders and says when they are worth loading again.
//!
//! Many changes close together are one: the signal comes when the files have been quiet for a
//! moment. What the system's notifications miss (some network file systems) a slow look at
//! names, sizes and times finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

mod writing;

use writing::Writing;

/// No change for this long ends a burst, while a file is being written.
const QUIET: Duration = Duration::from_millis(200);
/// It is enough when all that was written was closed.
const QUIET_WHEN_CLOSED: Duration = Duration::from_millis(20);
/// Files that were quiet by the notifications are looked at twice, so far apart.
const STILL: Duration = Duration::from_millis(15);
/// And so often, at most.
const LOOKS: usize = 30;
/// A burst is cut here, so that a file that is written all the time can't hold a reload back.
const LONGEST_BURST: Duration = Duration::from_secs(5);
/// How often files are looked at without a notification.
const LOOK: Duration = Duration::from_secs(2);

/// Watches folders.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<()>,
    writing: Arc<Mutex<Writing>>,
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
    watched: BTreeMap<PathBuf, Identity>,
    seen: Marks,
    /// Whether the system still notifies.
    notifies: bool,
}

/// Which folder a path leads to: its device and number, and when it was made, for numbers are used again.
type Identity = (u64, u64, Option<SystemTime>);

/// Name, size and time of every file.
type Marks = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Watch {
    /// Starts to watch `folders`; they may come and go.
    pub fn start(folders: Vec<PathBuf>) -> Self {
        // One waiting event says all: something changed.
        let (sender, events) = mpsc::channel(1);
        // Whole paths, so that what is notified of can be told from its neighbours.
        let folders: Vec<PathBuf> =
            folders.into_iter().map(|folder| std::path::absolute(&folder).unwrap_or(folder)).collect();
        let meant = folders.clone();
        let writing = Arc::new(Mutex::new(Writing::default()));
        let noted = Arc::clone(&writing);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let matters = event.as_ref().map_or(true, |event| {
                let within = |path: &PathBuf| meant.iter().any(|folder| path.starts_with(folder));
                let is_meant = event.paths.is_empty() || event.paths.iter().any(within);
                if is_meant {
                    noted.lock().unwrap_or_else(PoisonError::into_inner).note(event);
                }
                is_meant && (!event.kind.is_access() || is_closing(event))
            });
            if matters {
                sender.try_send(()).ok();
            }
        });
        let watcher = match watcher {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                tracing::warn!(%error, "the system can't notify of changes: files are looked at every 2 seconds");
                None
            }
        };
        let seen = marks(&folders);
        let mut watch =
            Self { events, writing, watcher, folders, watched: BTreeMap::new(), seen, notifies: true };
        watch.attach();
        watch
    }

    /// Waits until files may have changed and are quiet again.
    ///
    /// A notification always counts, though what it tells of may be undone: whoever loads compares contents. The
    /// marks serve the slow look alone.
    pub async fn changed(&mut self) {
        while !self.look().await {}
    }

    async fn look(&mut self) -> bool {
        let notified = tokio::select! {
            event = self.events.recv(), if self.notifies => {
                self.notifies = event.is_some();
                event.is_some()
            }
            () = tokio::time::sleep(LOOK) => false,
        };
        if notified {
            self.settle().await;
        }
        self.attach();
        let (mut now, mut worth_it) = (self.marks().await, notified);
        // The slow look may fall into the middle of a burst, and a notification may be late on a busy machine.
        for _ in 0..LOOKS {
            if now == self.seen {
                break;
            }
            worth_it = true;
            self.seen = now;
            tokio::time::sleep(if notified { STILL } else { QUIET }).await;
            now = self.marks().await;
        }
        worth_it
    }

    async fn marks(&self) -> Marks {
        let folders = self.folders.clone();
        tokio::task::spawn_blocking(move || marks(&folders)).await.unwrap_or_default()
    }

    async fn settle(&mut self) {
        let writing = &self.writing;
        let quiet = || {
            let is_writing = writing.lock().unwrap_or_else(PoisonError::into_inner).is_any();
            if is_writing { QUIET } else { QUIET_WHEN_CLOSED }
        };
        let burst =
            async { while let Ok(Some(())) = tokio::time::timeout(quiet(), self.events.recv()).await {} };
        tokio::time::timeout(LONGEST_BURST, burst).await.ok();
        writing.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Watches folders that are not watched yet, or were made anew, and what holds them: a folder may be replaced whole.
    fn attach(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders = self.folders.iter().map(|folder| (folder.clone(), RecursiveMode::Recursive));
        let parents = self.folders.iter().filter_map(|folder| folder.parent());
        let parents = parents.map(|parent| (parent.to_owned(), RecursiveMode::NonRecursive));
        for (path, mode) in folders.chain(parents) {
            let found = identity(&path);
            if found.as_ref() == self.watched.get(&path) {
                continue;
            }
            if self.watched.remove(&path).is_some() {
                // It may have ended with the folder that was watched.
                watcher.unwatch(&path).ok();
            }
            let Some(found) = found else { continue };
            match watcher.watch(&path, mode) {
                Ok(()) => drop(self.watched.insert(path, found)),
                Err(error) => tracing::warn!(folder = %path.display(), %error, "can't watch the folder"),
            }
        }
    }
}

/// Whether a file that was open for writing was closed.
fn is_closing(event: &notify::Event) -> bool {
    use notify::event::{AccessKind, AccessMode, EventKind};
    matches!(event.kind, EventKind::Access(AccessKind::Close(AccessMode::Write)))
}

fn identity(folder: &Path) -> Option<Identity> {
    let metadata = folder.metadata().ok().filter(std::fs::Metadata::is_dir)?;
    let (device, number) = {
        use std::os::unix::fs::MetadataExt;
        (metadata.dev(), metadata.ino())
    };
    Some((device, number, metadata.created().ok()))
}

fn marks(folders: &[PathBuf]) -> Marks {
    let mut marks = Marks::new();
    for folder in folders {
        mark(folder, 8, &mut marks);
    }
    marks
}

fn mark(folder: &Path, depth: usize, marks: &mut Marks) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = path.metadata() else { continue };
        if metadata.is_dir() {
            if depth > 0 {
                mark(&path, depth - 1, marks);
            }
        } else {
            marks.insert(path, (metadata.len(), metadata.modified().ok()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Less than the slow look takes: only a notification is so early.
    const SOON: Duration = Duration::from_millis(1_000);

    async fn is_noticed(watch: &mut Watch) -> bool {
        tokio::time::timeout(SOON, watch.changed()).await.is_ok()
    }

    async fn quiet(watch: &mut Watch) {
        while tokio::time::timeout(SOON, watch.changed()).await.is_ok() {}
    }

    #[tokio::test]
    async fn a_folder_that_was_replaced_whole_is_watched_on() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for name in ["policies", "new", "newest"] {
            std::fs::create_dir_all(at(name).join("pack")).unwrap();
        }
        let mut watch = Watch::start(vec![at("policies")]);
        std::fs::rename(at("policies"), at("old")).unwrap();
        std::fs::rename(at("new"), at("policies")).unwrap();
        assert!(is_noticed(&mut watch).await);
        quiet(&mut watch).await;
        std::fs::write(at("policies/pack/a.cedar"), "").unwrap();
        assert!(is_noticed(&mut watch).await);
        std::fs::remove_dir_all(at("policies")).unwrap();
        std::os::unix::fs::symlink(at("old"), at("policies")).unwrap();
        assert!(is_noticed(&mut watch).await);
        quiet(&mut watch).await;
        std::os::unix::fs::symlink(at("newest"), at("swap")).unwrap();
        std::fs::rename(at("swap"), at("policies")).unwrap();
        assert!(is_noticed(&mut watch).await);
        quiet(&mut watch).await;
        std::fs::write(at("policies/pack/a.cedar"), "").unwrap();
        assert!(is_noticed(&mut watch).await);
        std::fs::write(at("neighbour"), "").unwrap();
        assert!(!is_noticed(&mut watch).await);
    }
}
