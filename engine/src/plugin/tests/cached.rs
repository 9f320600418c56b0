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

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("cache")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_nothing_used_for_a_day_goes_and_of_the_rest_the_oldest_that_are_too_many() {
    const HOUR: i64 = 60 * 60 * 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    let cache = cache(folder.path(), folder.path());
    let own = folder.path().join("cache");
    fs::create_dir(&own).unwrap();
    let put = |name: &str, at: i64| {
        let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(at.unsigned_abs());
        let file = fs::File::create(own.join(name)).unwrap();
        file.set_modified(at).unwrap();
    };
    put("used.cwasm", 0);
    put("old.cwasm", 10 * HOUR);
    put("young.cwasm", 12 * HOUR);
    put(".tmpold", 10 * HOUR);
    put(".tmpyoung", 12 * HOUR);
    put("another-file", 0);
    let now = 35 * HOUR;
    cache.sweep(&["used"].into(), Timestamp(now));
    let kept = [".tmpyoung", "another-file", "used.cwasm", "young.cwasm"];
    assert_eq!(names(folder.path()), kept);
    // What was used is as young as its use: the next load of another set keeps it for a day more.
    cache.sweep(&["another"].into(), Timestamp(now + 23 * HOUR));
    assert_eq!(names(folder.path()), ["another-file", "used.cwasm"]);
    cache.sweep(&["another"].into(), Timestamp(now + 25 * HOUR));
    assert_eq!(names(folder.path()), ["another-file"]);
    for number in 0..40 {
        put(&format!("{number:02}.cwasm"), now + number);
    }
    cache.sweep(&["00"].into(), Timestamp(now + HOUR));
    let kept: Vec<String> = [0].into_iter().chain(8..40).map(|number| format!("{number:02}.cwasm")).collect();
    assert_eq!(names(folder.path())[..33], kept);
}
