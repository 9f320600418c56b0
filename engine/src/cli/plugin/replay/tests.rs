//! Records that somebody with the root key changed: the seal holds, and what the component answers does not.

use super::*;
use crate::plugin::sealed::Outcome;
use crate::plugin::tests::{NOTHING, manifest, request, surroundings, validator};
use crate::plugin::{Budget, Grant, Output, Source};
use crate::protect::RootKey;
use crate::random::SystemRng;

const ID: &str = "dec_0197aaaabbbb7cccddddeeeeffff0001";

struct Place {
    _folder: tempfile::TempDir,
    replaying: Replaying,
    call: KeptCall,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = RootKey::create(&folder.path().join("root.key"), &SystemRng::new()).unwrap();
        let (clock, rng) = system();
        let keys = Arc::new(KeyRing::open(&Keys::new(), &root, rng).unwrap());
        let runtime =
            Runtime::new(RuntimeSettings::default(), Services { clock, state: None, keys }).unwrap();
        let (component, manifest) = (validator("", NOTHING), manifest(&[]));
        let archive = Archive::of(folder.path());
        archive.keep(&component, &manifest).unwrap();
        let source = Source {
            component: &component,
            manifest: &manifest,
            grant: Grant::new([], [], []),
            budget: Budget::default(),
            config: "{}",
            cache: None,
        };
        let plugin = runtime.compile(&source).unwrap();
        let around = crate::plugin::Surroundings { record: true, ..surroundings() };
        let called = plugin.call(&around, &request()).await;
        let call = KeptCall::of(&plugin, &request(), &called).unwrap();
        let replaying = Replaying {
            replayer: Replayer::new(runtime, archive),
            key: root.derive(Purpose::PluginCalls),
            quiet: true,
            json: false,
            counts: Counts::default(),
        };
        Self { _folder: folder, replaying, call }
    }

    fn counts_of(&mut self, calls: &[KeptCall], damage: fn(String) -> String) -> Counts {
        let sealed = KeptCalls::seal(calls, ID, &self.replaying.key, &SystemRng::new()).unwrap().unwrap();
        let event = serde_json::json!({"unmapped": {"plugin_calls": damage(sealed)}});
        let record = Record {
            seq: 1,
            id: RecordId::parse(ID).unwrap(),
            kind: "decision".into(),
            time: Timestamp(0),
            event: event.to_string().into_bytes(),
        };
        assert!(keeps_calls(&record.event));
        self.replaying.counts = Counts::default();
        self.replaying.record(&record).unwrap();
        self.replaying.counts
    }
}

#[tokio::test]
async fn an_output_that_was_altered_differs_and_is_a_failure() {
    let mut place = Place::new().await;
    let call = place.call.clone();
    let one = Counts { records: 1, ..Counts::default() };
    let counts = place.counts_of(&[call.clone(), call.clone()], |sealed| sealed);
    assert_eq!(counts, Counts { same: 2, ..one });
    assert!(counts.is_good());
    let mut altered = call.clone();
    let Outcome::Answer(Output::Validate(answer)) = &mut altered.outcome else { panic!("{altered:?}") };
    answer.rejection = Some("made-up".into());
    let mut cheaper = call.clone();
    cheaper.fuel -= 1;
    let counts = place.counts_of(&[call, altered, cheaper], |sealed| sealed);
    assert_eq!(counts, Counts { same: 1, differing: 2, ..one });
    assert!(!counts.is_good());
}

#[tokio::test]
async fn a_record_that_does_not_open_is_a_failure_and_ends_nothing() {
    let mut place = Place::new().await;
    let call = place.call.clone();
    let counts = place.counts_of(&[call], |sealed| sealed.chars().rev().collect());
    assert_eq!(counts, Counts { records: 1, unreadable: 1, ..Counts::default() });
    assert!(!counts.is_good());
}
