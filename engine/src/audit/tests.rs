//! The decision log from outside, over real folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::protect::RootKey;
use crate::random::SystemRng;

mod crash;
mod modes;
mod read;
mod tamper;

/// A data folder with a clock that the test moves.
struct Place {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: Store,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        Self { folder, clock: ManualClock::at(Timestamp(1_700_000_000_000_000)), store }
    }

    fn root(&self) -> RootKey {
        RootKey::read_or_create(&self.folder.path().join("root.key"), &SystemRng::new()).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    async fn try_open(&self, set: impl FnOnce(&mut Options)) -> Result<DecisionLog, AuditError> {
        let mut options = Options::new(self.folder.path());
        set(&mut options);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let keys = LogKeys::derive(&self.root()).unwrap();
        DecisionLog::open(options, keys, clock, &SystemRng::new(), self.store.clone()).await
    }

    async fn open(&self) -> DecisionLog {
        self.try_open(|_| ()).await.unwrap()
    }

    async fn open_small(&self) -> DecisionLog {
        self.try_open(|options| options.segment_bytes = 2_000).await.unwrap()
    }

    fn try_verify(&self) -> Result<Report, AuditError> {
        verify(self.folder.path(), &self.root(), None)
    }

    fn verify(&self) -> Report {
        verify(self.folder.path(), &self.root(), None).unwrap()
    }

    fn verify_against(&self, checkpoint: &Checkpoint) -> Report {
        verify(self.folder.path(), &self.root(), Some(checkpoint)).unwrap()
    }

    /// The segment files, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.log())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
            .filter(|path| path.file_name().unwrap() != "checkpoints.jsonl")
            .collect();
        files.sort();
        files
    }

    fn last_segment(&self) -> PathBuf {
        self.segments().pop().unwrap()
    }
}

fn id(number: u64) -> String {
    format!("dec_{number:032x}")
}

fn push(batch: &mut Batch, number: u64, time: Timestamp) {
    let event = serde_json::json!({"n": number, "text": "x".repeat(usize::try_from(number % 90).unwrap())});
    batch.push(&id(number), Kind::Decision, time, |buffer| serde_json::to_writer(buffer, &event)).unwrap();
}

/// Appends one record for each number, each in a batch of its own.
async fn append(log: &DecisionLog, numbers: std::ops::Range<u64>) {
    let mut batch = Batch::new();
    for number in numbers {
        push(&mut batch, number, Timestamp(i64::try_from(number).unwrap()));
        log.append(&mut batch).await.unwrap();
        assert!(batch.is_empty());
    }
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

fn kinds(path: &Path) -> Vec<String> {
    lines(path)
        .iter()
        .map(|line| {
            serde_json::from_slice::<serde_json::Value>(line).unwrap()["chain"]["kind"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}
