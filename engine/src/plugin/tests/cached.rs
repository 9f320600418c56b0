//! Compiled code on disk: what this node did not make is never run.

use std::fs;

use super::*;
use crate::protect::{Purpose, RootKey};
use crate::random::SystemRng;

fn cache(folder: &Path, root: &Path) -> Cache {
    let root = RootKey::read_or_create(&root.join("root.key"), &SystemRng::new()).unwrap();
    Cache::new(folder.join("cache"), root.derive(Purpose::PluginCache))
}

fn compile_cached(runtime: &Arc<Runtime>, component: &[u8], cache: &Cache) -> Plugin {
    let manifest = manifest(&[]);
    let source = Source {
        component,
        manifest: &manifest,
        grant: Grant::default(),
        budget: Budget::default(),
        config: "{}",
        cache: Some(cache),
    };
    runtime.compile(&source).unwrap()
}

fn only_file(folder: &Path) -> std::path::PathBuf {
    let mut files = fs::read_dir(folder.join("cache")).unwrap();
    let file = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    file
}

#[tokio::test]
async fn what_is_kept_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path(), folder.path());
    let component = guest("harmless");
    let runtime = runtime();
    is_fine(&call(&compile_cached(&runtime, &component, &cache)).await);
    let kept = fs::read(only_file(folder.path())).unwrap();
    is_fine(&call(&compile_cached(&runtime, &component, &cache)).await);
    assert_eq!(fs::read(only_file(folder.path())).unwrap(), kept, "it was made again");
}

#[tokio::test]
async fn what_is_damaged_or_foreign_is_compiled_again() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let own = cache(folder.path(), folder.path());
    let component = guest("harmless");
    let runtime = runtime();
    drop(compile_cached(&runtime, &component, &own));
    let file = only_file(folder.path());
    let good = fs::read(&file).unwrap();
    let foreign = {
        let foreign = cache(other.path(), other.path());
        drop(compile_cached(&runtime, &component, &foreign));
        fs::read(only_file(other.path())).unwrap()
    };
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    for bad in [Vec::new(), good[..good.len() / 2].to_vec(), flipped, foreign, b"cwasm".to_vec()] {
        fs::write(&file, &bad).unwrap();
        is_fine(&call(&compile_cached(&runtime, &component, &own)).await);
        assert_ne!(fs::read(&file).unwrap(), bad, "it was taken as it was");
    }
}

#[tokio::test]
async fn code_under_another_name_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path(), folder.path());
    let runtime = runtime();
    let trap = guest("trap");
    drop(compile_cached(&runtime, &trap, &cache));
    let trapping = only_file(folder.path());
    let kept = fs::read(&trapping).unwrap();
    fs::remove_file(&trapping).unwrap();
    let fine = guest("harmless");
    drop(compile_cached(&runtime, &fine, &cache));
    fs::write(only_file(folder.path()), kept).unwrap();
    is_fine(&call(&compile_cached(&runtime, &fine, &cache)).await);
}
