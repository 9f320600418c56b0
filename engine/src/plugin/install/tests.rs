//! Plugins in folders, as an operator puts them there.

use std::fs;
use std::path::Path;

use super::*;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::plugin::signature::{self, SigningKey};
use crate::plugin::surroundings::NoKeys;
use crate::plugin::tests::{NOTHING, request, surroundings, validator};
use crate::plugin::trust::Trust;
use crate::plugin::{FailureKind, Hook, Mode, Output};
use crate::protect::{Purpose, RootKey};
use crate::random::SystemRng;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.folder()).unwrap();
        place
    }

    fn folder(&self) -> std::path::PathBuf {
        self.0.path().join("plugins")
    }

    /// A plugin `rule`, with more lines in its manifest.
    fn put(&self, more: &str, component: &[u8]) {
        let own = self.folder().join("rule");
        fs::create_dir_all(&own).unwrap();
        let manifest = format!("name = \"rule\"\nversion = \"1.0.0\"\nhook = \"validate\"\n{more}");
        fs::write(own.join(folder::MANIFEST), manifest).unwrap();
        fs::write(own.join(folder::COMPONENT), component).unwrap();
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder().join("rule").join(name)
    }

    fn sign(&self, seed: u8) {
        let read = |name| fs::read(self.file(name)).unwrap();
        let key = SigningKey::from_seed(&[seed; 32]).unwrap();
        let signature = key.sign(&read(folder::COMPONENT), &read(folder::MANIFEST)).unwrap();
        fs::write(self.file(signature::FILE), signature.to_text()).unwrap();
    }

    /// What loads plugins by this configuration of `[plugins]` and below.
    fn installer(&self, text: &str) -> Installer {
        let file = self.0.path().join("portcullis.toml");
        fs::write(&file, format!("[plugins]\ninstances = 4\n{text}")).unwrap();
        let mut settings = Config::read(Some(&file)).unwrap().plugins;
        settings.folder = self.folder();
        let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
        let root = RootKey::read_or_create(&self.0.path().join("root.key"), &*rng).unwrap();
        let services = Services { clock: Arc::new(SystemClock::new()), state: None, keys: Arc::new(NoKeys) };
        let cache = Cache::new(self.0.path().join("cache"), root.derive(Purpose::PluginCache));
        Installer::new(&settings, services, (cache, Archive::of(self.0.path())), rng).unwrap()
    }
}

const LAX: &str = "allow_unsigned = true\n[plugins.rule]\n";

#[track_caller]
fn fails(loading: &Loading, expected: &str) {
    let message = loading.failures.get("rule").expect("it is loaded").to_string();
    assert!(message.contains(expected), "{expected}: {message}");
}

#[track_caller]
fn loads(loading: &Loading) -> &Arc<super::super::set::Installed> {
    assert!(loading.failures.is_empty(), "{:?}", loading.failures);
    loading.set.find("rule").unwrap()
}

fn load(installer: &Installer) -> Loading {
    installer.load(&Set::default())
}

fn plain() -> Vec<u8> {
    validator("", NOTHING)
}

/// A build that differs from every other number's.
fn numbered(number: u32) -> Vec<u8> {
    validator(&format!("(global i32 (i32.const {number}))"), NOTHING)
}

#[tokio::test]
async fn a_plugin_that_has_a_section_is_loaded_and_called() {
    let place = Place::new();
    place.put("routes = [\"GET /orders/*\"]\n", &plain());
    let loading = load(&place.installer(&format!("{LAX}mode = \"shadow\"\non_failure = \"allow\"\n")));
    let installed = loads(&loading);
    assert_eq!((installed.name(), installed.trust()), ("rule", Trust::Unsigned));
    assert_eq!(installed.mode("acme", "GET /orders/1"), Mode::Shadow);
    assert!(installed.wants("GET", "/orders/1") && !installed.wants("POST", "/orders/1"));
    assert!(!installed.wants("GET", "/other") && installed.wants("GET", "/a/../orders/1"));
    assert!(installed.wants("GET", "/Orders/1") && installed.wants("get", "/orders./1"));
    assert_eq!(loading.set.of(Hook::Validate).len(), 1);
    assert!(loading.set.of(Hook::Mask).is_empty() && loading.set.hash() != 0);
    let called = installed.call(&surroundings(), &request()).await;
    assert!(matches!(called.output, Ok(Output::Validate(_))), "{called:?}");
    assert_eq!(installed.stats().enforced().calls(), 1);
}

#[test]
fn a_section_without_a_plugin_fails_and_a_plugin_without_a_section_is_told_of() {
    let place = Place::new();
    fails(&load(&place.installer(LAX)), "plugin.toml`, and this binary has no such plugin");
    place.put("", &plain());
    fs::create_dir(place.folder().join("other")).unwrap();
    fs::copy(place.file(folder::MANIFEST), place.folder().join("other").join(folder::MANIFEST)).unwrap();
    let loading = load(&place.installer(LAX));
    loads(&loading);
    assert_eq!(loading.unconfigured, ["other".to_owned()].into());
    let renamed = place.installer("allow_unsigned = true\n[plugins.other]\n");
    fs::copy(place.file(folder::COMPONENT), place.folder().join("other").join(folder::COMPONENT)).unwrap();
    let loading = load(&renamed);
    assert!(matches!(loading.failures.get("other"), Some(InstallError::OtherName(name)) if name == "rule"));
}

#[test]
fn what_is_asked_for_is_granted_or_withheld_or_refused_by_name() {
    let place = Place::new();
    place.put("capabilities = [\"clock\", \"kv\", \"random\"]\n", &plain());
    let loading = load(&place.installer(&format!("{LAX}capabilities = [\"clock\"]\n")));
    fails(&loading, "it asks for `kv`, `random`, which `[plugins.rule]` neither grants nor withholds");
    fails(&loading, "`capabilities = [\"clock\", \"kv\", \"random\"]`");
    let answered = format!("{LAX}capabilities = [\"clock\", \"log\"]\nwithhold = [\"kv\", \"random\"]\n");
    let loading = load(&place.installer(&answered));
    let effective: Vec<_> = loads(&loading).plugin().grant().effective().collect();
    assert_eq!(effective, [Capability::Clock]);
}

#[test]
fn nobody_is_trusted_who_is_not_named() {
    let place = Place::new();
    place.put("", &plain());
    fails(&load(&place.installer("[plugins.rule]\n")), "it is not signed");
    place.sign(1);
    fails(&load(&place.installer("[plugins.rule]\n")), "is not in `plugins.trusted_keys`");
    let key = SigningKey::from_seed(&[1; 32]).unwrap().verifying_key().unwrap();
    let trusting = format!("trusted_keys = [\"{key}\"]\n[plugins.rule]\n");
    assert_eq!(loads(&load(&place.installer(&trusting))).trust(), Trust::Signed(key));
    place.put("description = \"changed\"\n", &plain());
    fails(&load(&place.installer(&trusting)), "is not of this component with this manifest");
    fails(&load(&place.installer(LAX)), "is not of this component with this manifest");
}

#[test]
fn a_configuration_fits_the_plugins_own_schema() {
    let place = Place::new();
    let schema = "[config_schema]\ntype = \"object\"\nadditionalProperties = false\n\
        properties.limits.properties.most = {type = \"integer\", maximum = 9}\nproperties.mail = {format = \"email\"}\n";
    place.put(schema, &plain());
    let with = |config: &str| load(&place.installer(&format!("{LAX}config = {config}\n")));
    let loading = with("{limits = {most = 9}, mail = \"a@example.org\"}");
    assert_eq!(loads(&loading).plugin().config(), r#"{"limits":{"most":9},"mail":"a@example.org"}"#);
    fails(&with("{limits = {most = 10}}"), "`config.limits.most`: ");
    fails(&with("{mail = \"nobody\"}"), "`config.mail`: ");
    fails(&with("{other = 1}"), "`config`: ");
    place.put("", &plain());
    fails(&with("{other = 1}"), "the plugin takes no configuration");
    place.put("config_schema = {\"$ref\" = \"https://example.org/schema\"}\n", &plain());
    fails(&with("{}"), "`config_schema` is no JSON Schema");
}

#[test]
fn a_build_that_fails_leaves_the_one_before() {
    let place = Place::new();
    place.put("", &numbered(1));
    let installer = place.installer(LAX);
    let first = load(&installer);
    let same = installer.load(&first.set);
    assert!(loads(&same).is_build_of(loads(&first)), "nothing has changed");
    for broken in [b"no component".as_slice(), &plain()[..100]] {
        place.put("", broken);
        let loading = installer.load(&first.set);
        fails(&loading, "that is no component");
        assert!(loading.set.find("rule").unwrap().is_build_of(loads(&first)));
        assert_eq!(loading.set.hash(), first.set.hash());
    }
    place.put("version = \"2\"", &numbered(2));
    fails(&installer.load(&first.set), "plugin.toml:4");
    fs::remove_dir_all(place.folder().join("rule")).unwrap();
    let loading = installer.load(&first.set);
    assert!(matches!(loading.failures.get("rule"), Some(InstallError::Missing(_))));
    assert!(loading.set.find("rule").unwrap().is_build_of(loads(&first)));
    place.put("", &numbered(2));
    let loading = installer.load(&first.set);
    assert!(!loads(&loading).is_build_of(loads(&first)));
    assert_ne!(loading.set.hash(), first.set.hash());
}

#[test]
fn a_new_build_passes_its_own_cases_first() {
    let place = Place::new();
    place.put("", &numbered(1));
    let installer = place.installer(LAX);
    let first = load(&installer);
    let cases = place.file(folder::CASES);
    fs::create_dir(&cases).unwrap();
    let case = |expect: &str| {
        let text =
            format!("cases:\n  - name: nothing is found\n    request: {{path: /}}\n    expect: {expect}\n");
        fs::write(cases.join("a.yaml"), text).unwrap();
    };
    case("{findings: [{rule: something}]}");
    place.put("", &numbered(2));
    fails(&installer.load(&first.set), "1 of its own cases fail, the first: `nothing is found`");
    case("{findings: []}");
    assert!(!loads(&installer.load(&first.set)).is_build_of(loads(&first)));
    fs::remove_file(cases.join("a.yaml")).unwrap();
    fs::write(place.0.path().join("outside.yaml"), "cases: []").unwrap();
    std::os::unix::fs::symlink(place.0.path().join("outside.yaml"), cases.join("a.yaml")).unwrap();
    place.put("", &numbered(3));
    fails(&installer.load(&first.set), "leads out of the plugins folder");
}

#[test]
fn at_the_start_cases_are_run_if_the_operator_wants_that() {
    let place = Place::new();
    place.put("", &plain());
    fs::create_dir(place.file(folder::CASES)).unwrap();
    let text = "cases:\n  - {name: it finds, request: {path: /}, expect: {findings: [{rule: something}]}}\n";
    fs::write(place.file(folder::CASES).join("a.yaml"), text).unwrap();
    loads(&load(&place.installer(LAX)));
    let wanting = format!("cases_at_start = true\n{LAX}");
    fails(&load(&place.installer(&wanting)), "1 of its own cases fail, the first: `it finds`");
    fs::write(place.file(folder::CASES).join("a.yaml"), text.replace("[{rule: something}]", "[]")).unwrap();
    loads(&load(&place.installer(&wanting)));
}

#[test]
fn code_of_builds_that_went_goes_and_that_of_this_one_stays() {
    let place = Place::new();
    let installer = place.installer(LAX);
    let mut set = Arc::<Set>::default();
    for number in 0..40 {
        place.put("", &numbered(number));
        set = installer.load(&set).set;
    }
    let kept = || fs::read_dir(place.0.path().join("cache")).unwrap().count();
    assert_eq!(kept(), 33, "this build's, and the 32 that were used last");
    let own = set.find("rule").unwrap().plugin().cached_as().unwrap().to_owned();
    assert!(place.0.path().join("cache").join(own + ".cwasm").is_file());
    // A load that fails removes nothing.
    let long_ago = std::time::UNIX_EPOCH;
    for entry in fs::read_dir(place.0.path().join("cache")).unwrap() {
        fs::File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(long_ago).unwrap();
    }
    place.put("", b"no component");
    fails(&installer.load(&set), "no component");
    assert_eq!(kept(), 33);
    place.put("", &numbered(39));
    loads(&installer.load(&set));
    assert_eq!(kept(), 1);
}

#[test]
fn a_busy_node_refuses_no_build_and_one_that_never_ends_is_refused() {
    let place = Place::new();
    place.put("", &numbered(1));
    let installer = place.installer(LAX);
    let first = load(&installer);
    fs::create_dir(place.file(folder::CASES)).unwrap();
    let text = "cases:\n  - {name: it answers, request: {}, expect: {findings: []}}\n  \
        - {name: it is late, request: {}, expect: {failure: deadline}}\n";
    fs::write(place.file(folder::CASES).join("a.yaml"), text).unwrap();
    // Some tens of milliseconds, which is more than a call may take.
    let slow = "(loop $l (global.set $i (i32.add (global.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (global.get $i) (i32.const 20000000)))) (i32.const 64)";
    let budget = "[budget]\ndeadline_milliseconds = 1\nfuel = 1_000_000_000\n";
    place.put(budget, &validator("(global $i (mut i32) (i32.const 0))", slow));
    assert!(!loads(&installer.load(&first.set)).is_build_of(loads(&first)));
    place.put("", &validator("", &format!("(loop (br 0)) {NOTHING}")));
    fails(&installer.load(&first.set), "`it answers`");
}

#[test]
fn what_is_no_regular_file_among_the_cases_is_not_waited_for() {
    let place = Place::new();
    place.put("", &numbered(1));
    let installer = place.installer(LAX);
    let first = load(&installer);
    fs::create_dir(place.file(folder::CASES)).unwrap();
    let pipe = place.file(folder::CASES).join("a.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    place.put("", &numbered(2));
    fails(&installer.load(&first.set), "is no regular file");
}

#[test]
fn a_folder_that_lacks_a_file_is_not_taken_for_none() {
    let place = Place::new();
    // Were it a bundled plugin's, what this binary holds would run in its place.
    fs::create_dir(place.folder().join("rule")).unwrap();
    fails(&load(&place.installer(LAX)), "can't read `");
    place.put("", &plain());
    fs::remove_file(place.file(folder::COMPONENT)).unwrap();
    fails(&load(&place.installer(LAX)), "plugin.wasm`: ");
}

#[tokio::test]
async fn a_plugin_that_fails_again_and_again_is_not_called_for_that_tenant() {
    let place = Place::new();
    place.put("", &validator("", "unreachable"));
    let loading = load(
        &place
            .installer(&format!("{LAX}breaker = {{failures = 3, window_seconds = 60, open_seconds = 60}}\n")),
    );
    let installed = loads(&loading);
    let kind = async |tenant: &str| {
        let surroundings = super::super::Surroundings { tenant: tenant.into(), ..surroundings() };
        installed.call(&surroundings, &request()).await.output.unwrap_err().kind
    };
    for _ in 0..3 {
        assert_eq!(kind("acme").await, FailureKind::Trap);
    }
    assert_eq!(kind("acme").await, FailureKind::CircuitOpen);
    assert_eq!(kind("other").await, FailureKind::Trap);
    assert_eq!((installed.open_circuits(), installed.stats().circuit_openings()), (1, 1));
    // What fails in shadow mode says nothing about calls that count, nor the other way.
    let shadow = super::super::Surroundings { tenant: "acme".into(), ..surroundings() };
    let called = installed.call_in_shadow(&shadow, &request()).await;
    assert_eq!(called.output.unwrap_err().kind, FailureKind::Trap);
    let counted: Vec<_> = installed.stats().enforced().failures().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted, [(FailureKind::Trap, 4), (FailureKind::CircuitOpen, 1)]);
    assert_eq!(installed.stats().last_error().unwrap().failure.kind, FailureKind::Trap);
}

#[tokio::test]
async fn what_finds_no_room_in_the_shadow_queue_is_dropped_and_counted() {
    let place = Place::new();
    place.put("", &plain());
    let loading = load(&place.installer(LAX));
    let installed = loads(&loading);
    let queue = super::super::set::ShadowQueue::new(2);
    let offer = |input| queue.offer(Arc::clone(installed), surroundings(), input, "dec_1".into());
    for _ in 0..3 {
        offer(request());
    }
    assert_eq!(installed.stats().dropped(), 1);
    let mut calls = queue.calls().unwrap();
    assert!(queue.calls().is_none(), "there is one worker");
    for _ in 0..2 {
        let waiting = calls.recv().await.unwrap();
        assert!(waiting.call().await.output.is_ok());
    }
    assert_eq!((installed.stats().shadow().calls(), installed.stats().enforced().calls()), (2, 0));
    let large = crate::plugin::Request {
        body: crate::plugin::input::Body::Bytes(vec![0; 65 << 20]),
        ..crate::plugin::Request::default()
    };
    offer(super::super::Input::Validate { request: Arc::new(large) });
    assert_eq!(installed.stats().dropped(), 2, "it holds more bytes than may wait");
    offer(request());
    assert_eq!(installed.stats().dropped(), 2);
}

#[test]
fn what_decides_is_in_the_hash() {
    let place = Place::new();
    place.put("capabilities = [\"clock\"]\n", &plain());
    let hash = |section: &str| load(&place.installer(&format!("{LAX}{section}\n"))).set.hash();
    let granted = "capabilities = [\"clock\"]\n";
    let all = [
        hash(granted),
        hash("withhold = [\"clock\"]"),
        hash(&format!("{granted}budget = {{fuel = 7}}")),
        hash(&format!("{granted}mode = \"off\"")),
        hash(&format!("{granted}on_failure = \"allow\"")),
        hash(&format!("{granted}modes = [{{tenant = \"acme\", mode = \"off\"}}]")),
    ];
    assert_eq!(all[0], hash(granted));
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
    assert!(Path::new(&place.folder()).exists());
}
