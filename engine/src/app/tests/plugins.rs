//! Plugins of a server: swapped while they are called, and counting as much as some node was told.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::{Actor, App, write};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::plugin::tests::{NOTHING, request, surroundings, validator};
use crate::plugin::{Digest, Hook, Mode};
use crate::protect::RootKey;
use crate::random::{Rng, SystemRng};
use crate::store::plugin_modes::PluginModeRow;
use crate::store::tests::postgres_schema;

fn put(folder: &Path, name: &str, component: &[u8]) {
    let own = folder.join("plugins").join(name);
    write(&own, "plugin.toml", &format!("name = \"{name}\"\nversion = \"1.0.0\"\nhook = \"validate\"\n"));
    fs::write(own.join("plugin.new"), component).unwrap();
    fs::rename(own.join("plugin.new"), own.join("plugin.wasm")).unwrap();
}

fn numbered(number: u32) -> Vec<u8> {
    validator(&format!("(global i32 (i32.const {number}))"), NOTHING)
}

fn config(folder: &Path, data: &str, text: &str) -> Config {
    write(folder, "portcullis.toml", &format!("[plugins]\nallow_unsigned = true\ninstances = 16\n{text}"));
    let mut config = Config::read(Some(&folder.join("portcullis.toml"))).unwrap();
    config.data.folder = folder.join(data);
    config.policies.folder = folder.join("policies");
    config.plugins.folder = folder.join("plugins");
    config
}

async fn start(folder: &Path, config: Config) -> Result<Arc<App>, super::super::StartError> {
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
    let root = RootKey::read_or_create(&folder.join("root.key"), &*rng).unwrap();
    App::start(config, &root, Arc::new(SystemClock::new()), rng).await
}

#[tokio::test]
async fn a_server_that_lacks_a_configured_plugin_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "one", &numbered(1));
    let both = "[plugins.one]\n[plugins.other]\n";
    let error = start(folder.path(), config(folder.path(), "data", both)).await.unwrap_err().to_string();
    assert!(error.contains("`[plugins.other]`: there is no") && !error.contains("plugins.one"), "{error}");
    let app = start(folder.path(), config(folder.path(), "data", "")).await.unwrap();
    assert!(app.snapshot().plugins().is_empty());
    assert_eq!(app.plugin_status().unconfigured, ["one".to_owned()].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_are_swapped_under_load_and_no_call_fails_or_sees_two_sets() {
    const SWAPS: usize = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let builds = [numbered(1), numbered(2), numbered(3)];
    for name in ["one", "two"] {
        put(folder.path(), name, &builds[0]);
    }
    // Time enough on a machine that is kept busy.
    let text =
        ["one", "two"].map(|name| format!("[plugins.{name}]\nbudget = {{deadline_milliseconds = 5000}}\n"));
    let text = text.concat();
    let app = start(folder.path(), config(folder.path(), "data", &text)).await.unwrap();
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let load = |app: Arc<App>| {
        let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
        tokio::spawn(async move {
            let mut seen: HashMap<u64, Vec<Digest>> = HashMap::new();
            while !stop.load(Ordering::Relaxed) {
                let snapshot = app.snapshot();
                let mut digests = Vec::new();
                for installed in snapshot.plugins().of(Hook::Validate) {
                    let called = installed.call(&surroundings(), &request()).await;
                    assert!(called.output.is_ok(), "{called:?}");
                    digests.push(*installed.plugin().digest());
                }
                calls.fetch_add(1, Ordering::Relaxed);
                let known = seen.entry(snapshot.revision.hash).or_insert_with(|| digests.clone());
                assert_eq!(*known, digests, "one revision is one set");
                tokio::task::yield_now().await;
            }
            seen.len()
        })
    };
    let loads = [load(Arc::clone(&app)), load(Arc::clone(&app))];
    for swap in 1..=SWAPS {
        let before = app.snapshot();
        for (place, name) in ["one", "two"].into_iter().enumerate() {
            put(folder.path(), name, &builds[(swap + place) % builds.len()]);
        }
        app.reload_plugins().await;
        assert!(app.plugin_status().failures.is_empty(), "{:?}", app.plugin_status());
        assert_ne!(before.revision.hash, app.snapshot().revision.hash, "a swap is a new revision");
        assert_eq!(before.revision.sequence, app.snapshot().revision.sequence);
    }
    stop.store(true, Ordering::Relaxed);
    for load in loads {
        assert!(load.await.unwrap() > 0);
    }
    assert!(calls.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn a_build_that_fails_is_told_of_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "one", &numbered(1));
    let app = start(folder.path(), config(folder.path(), "data", "[plugins.one]\n")).await.unwrap();
    let before = app.snapshot();
    put(folder.path(), "one", b"no component");
    app.reload_plugins().await;
    let (since, message) = app.plugin_status().failures["one"].clone();
    assert!(message.contains("no component"), "{message}");
    app.reload_plugins().await;
    assert_eq!(app.plugin_status().failures["one"].0, since);
    assert_eq!(app.snapshot().revision_text, before.revision_text);
    let mut text = String::new();
    app.render_plugins(&mut text);
    assert!(text.contains("portcullis_plugin_load_failures_total{plugin=\"one\"} 2"), "{text}");
    put(folder.path(), "one", &numbered(2));
    app.reload_plugins().await;
    assert!(app.plugin_status().failures.is_empty());
    assert_ne!(app.snapshot().revision_text, before.revision_text);
}

async fn set_mode(app: &App, (tenant, route): (&str, &str), mode: Option<Mode>) {
    let actor = Actor { tenant: "default".into(), caller_id: None };
    let mut changing = app.begin_change(actor).await.unwrap();
    let row = PluginModeRow {
        tenant_id: tenant.into(),
        plugin: "one".into(),
        route: route.into(),
        mode: mode.map(|mode| mode.name().to_owned()),
        updated_at: changing.now(),
        version: 0,
    };
    changing.put_plugin_mode(row).await.unwrap();
    changing.commit("plugin_mode_set", "one", "{}".into()).await.unwrap();
}

fn mode(app: &App, tenant: &str, route: &str) -> Mode {
    app.snapshot().plugins().find("one").unwrap().mode(tenant, route)
}

/// What one node was told, `other` honours once it has looked; and so does one that starts then.
async fn modes_are_honoured(folder: &Path, node: impl AsyncFn(&str) -> Arc<App>) {
    let app = node("data").await;
    assert_eq!(mode(&app, "acme", "GET /a"), Mode::Enforce);
    set_mode(&app, ("", ""), Some(Mode::Shadow)).await;
    set_mode(&app, ("acme", "GET /a"), Some(Mode::Off)).await;
    set_mode(&app, ("acme", ""), Some(Mode::Enforce)).await;
    let expected = |app: &App| {
        assert_eq!(mode(app, "other", "GET /a"), Mode::Shadow);
        assert_eq!(mode(app, "acme", "GET /a"), Mode::Off);
        assert_eq!(mode(app, "acme", "GET /b"), Mode::Enforce);
    };
    expected(&app);
    put(folder, "one", &numbered(7));
    app.reload_plugins().await;
    expected(&app);
    let later = node("data-of-another").await;
    expected(&later);
    set_mode(&app, ("acme", ""), None).await;
    set_mode(&later, ("", ""), None).await;
    app.refresh().await.unwrap();
    for app in [&app, &later] {
        assert_eq!(mode(app, "acme", "GET /b"), Mode::Enforce);
        assert_eq!(mode(app, "acme", "GET /a"), Mode::Off);
        let snapshot = app.snapshot();
        let stored = |tenant| snapshot.plugins().find("one").unwrap().stored_modes().of(tenant).count();
        assert_eq!((stored("acme"), stored("other")), (1, 0));
    }
}

#[tokio::test]
async fn on_postgres_every_node_honours_a_mode() {
    let Some(url) = postgres_schema().await else { return };
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "one", &numbered(1));
    let node = async |data: &str| {
        let mut config = config(folder.path(), data, "[plugins.one]\n");
        config.data.database_url = Some(url.clone());
        start(folder.path(), config).await.unwrap()
    };
    modes_are_honoured(folder.path(), node).await;
}

#[tokio::test]
async fn a_mode_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "one", &numbered(1));
    let node = async || start(folder.path(), config(folder.path(), "data", "[plugins.one]\n")).await.unwrap();
    let app = node().await;
    set_mode(&app, ("acme", ""), Some(Mode::Off)).await;
    app.store.close().await;
    drop(app);
    assert_eq!(mode(&*node().await, "acme", ""), Mode::Off);
}
