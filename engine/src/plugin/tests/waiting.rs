//! Plugins that ask the shared state: they wait, and are still bounded, recorded and apart from each other.

use super::*;
use crate::plugin::surroundings::Transcript;
use crate::random::{Rng, SystemRng};
use crate::state::{Settings, State};
use crate::store::Store;

async fn state(folder: &Path) -> State {
    let store = Store::open(folder).await.unwrap();
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
    let settings = Settings { redis_url: None, key_prefix: "test" };
    State::open(&settings, &store, Arc::new(SystemClock::new()), rng).await.unwrap()
}

fn runtime_over(state: Option<State>) -> Arc<Runtime> {
    let settings = RuntimeSettings { instances: 4, ..RuntimeSettings::default() };
    let services = Services { clock: Arc::new(SystemClock::new()), state, keys: Arc::new(NoKeys) };
    Runtime::new(settings, services).unwrap()
}

const COUNTER: &str = r#"(import "portcullis:plugin/counter@1.0.0" "add" (func $add (param i32 i32 i32 i32 i32)))
    (data (i32.const 1024) "key")"#;

/// A validator that adds one, and traps unless the sum is this.
fn counting(expected: u32) -> Vec<u8> {
    let body = format!(
        "(call $add (i32.const 1024) (i32.const 3) (i32.const 1) (i32.const 60) (i32.const 32))
        (if (i32.load8_u (i32.const 32)) (then (unreachable)))
        (if (i64.ne (i64.load (i32.const 40)) (i64.const {expected})) (then (unreachable)))
        (i32.const 64)"
    );
    validator(COUNTER, &body)
}

fn of(tenant: &str) -> Surroundings {
    Surroundings { tenant: tenant.into(), record: true, ..surroundings() }
}

#[tokio::test]
async fn what_is_counted_is_the_tenants_own_and_is_kept_between_calls() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime_over(Some(state(folder.path()).await));
    let first = compile(&runtime, &counting(1), &[Capability::Counter]).unwrap();
    let second = compile(&runtime, &counting(2), &[Capability::Counter]).unwrap();
    is_fine(&first.call(&of("a"), &request()).await);
    is_fine(&second.call(&of("a"), &request()).await);
    is_fine(&first.call(&of("b"), &request()).await);
}

#[tokio::test]
async fn a_call_is_played_again_from_what_it_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = runtime_over(Some(state(folder.path()).await));
    let plugin = compile(&runtime, &counting(1), &[Capability::Counter]).unwrap();
    let called = plugin.call(&of("a"), &request()).await;
    is_fine(&called);
    let transcript = called.transcript.clone().unwrap();
    // Now the count is another: only the transcript says what it was.
    for _ in 0..3 {
        let again = plugin.replay(&request(), &transcript);
        assert_eq!((&again.output, again.fuel), (&called.output, called.fuel));
    }
    let empty = Transcript { answers: Vec::new(), ..transcript.clone() };
    fails_of(&plugin.replay(&request(), &empty), FailureKind::BadAnswer);
    let mut other = transcript;
    other.answers[0].asked = "00".into();
    fails_of(&plugin.replay(&request(), &other), FailureKind::BadAnswer);
}

#[tokio::test]
async fn a_state_that_is_not_there_is_told_to_the_plugin() {
    let runtime = runtime_over(None);
    let plugin = compile(&runtime, &counting(1), &[Capability::Counter]).unwrap();
    fails_of(&plugin.call(&of("a"), &request()).await, FailureKind::Trap);
}
