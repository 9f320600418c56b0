//! Watches the policy folders and says when they are worth loading again.
//!
//! Many changes close together are one: the signal comes when the files have been quiet for a
//! moment. What the system's notifications miss (some network file systems) a slow look at
//! names, sizes and times finds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// No change for this long ends a burst.
const QUIET: Duration = Duration::from_millis(100);
/// A burst is cut here, so that a file that is written all the time can't hold a reload back.
const LONGEST_BURST: Duration = Duration::from_millis(700);
/// How often files are looked at without a notification.
const LOOK: Duration = Duration::from_secs(2);

/// Watches folders.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    folders: Vec<PathBuf>,
    watched: Vec<PathBuf>,
    seen: Marks,
    /// Whether the system still notifies.
    notifies: bool,
}

/// Name, size and time of every file.
type Marks = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

impl Watch {
    /// Starts to watch `folders`; they may come and go.
    pub fn start(folders: Vec<PathBuf>) -> Self {
        // One waiting event says all: something changed.
        let (sender, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let reading = matches!(&event, Ok(event) if event.kind.is_access());
            if !reading {
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
        let mut watch = Self { events, watcher, folders, watched: Vec::new(), seen, notifies: true };
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
        let folders = self.folders.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || marks(&folders)).await else { return true };
        let differs = now != self.seen;
        self.seen = now;
        notified || differs
    }

    async fn settle(&mut self) {
        let burst =
            async { while let Ok(Some(())) = tokio::time::timeout(QUIET, self.events.recv()).await {} };
        tokio::time::timeout(LONGEST_BURST, burst).await.ok();
    }

    /// Watches folders that are not watched yet, or were made anew.
    fn attach(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        for folder in &self.folders {
            if !folder.is_dir() {
                self.watched.retain(|watched| watched != folder);
            } else if !self.watched.contains(folder) {
                match watcher.watch(folder, RecursiveMode::Recursive) {
                    Ok(()) => self.watched.push(folder.clone()),
                    Err(error) => {
                        tracing::warn!(folder = %folder.display(), %error, "can't watch the folder")
                    }
                }
            }
        }
    }
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
