//! Plugins that ask the shared state: they wait, and are still bounded, recorded and apart from each other.

use std::time::Duration;

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

/// A state that takes connections and says nothing on them, for as long as the listener lives.
async fn silent_state(folder: &Path) -> (State, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap()).into();
    let store = Store::open(folder).await.unwrap();
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::new());
    let settings = Settings { redis_url: Some(&url), key_prefix: "test" };
    let state = State::open(&settings, &store, Arc::new(SystemClock::new()), rng).await.unwrap();
    (state, listener)
}

const KV: &str = r#"(import "portcullis:plugin/kv@1.0.0" "get" (func $get (param i32 i32 i32)))
    (import "portcullis:plugin/kv@1.0.0" "put" (func $put (param i32 i32 i32 i32 i32 i32)))
    (import "portcullis:plugin/kv@1.0.0" "delete" (func $delete (param i32 i32 i32)))
    (data (i32.const 1024) "key")"#;

#[tokio::test]
async fn a_state_that_says_nothing_is_waited_for_until_the_deadline_and_no_longer() {
    const DEADLINE: Duration = Duration::from_millis(50);
    let folder = tempfile::tempdir().unwrap();
    let (state, listener) = silent_state(folder.path()).await;
    let runtime = runtime_over(Some(state));
    let calling = |call: &str| validator(KV, &format!("({call}) (i32.const 64)"));
    let budget = Budget { deadline_milliseconds: 50, ..Budget::default() };
    for (component, capability) in [
        (counting(1), Capability::Counter),
        (calling("call $get (i32.const 1024) (i32.const 3) (i32.const 32)"), Capability::Kv),
        (
            calling(
                "call $put (i32.const 1024) (i32.const 3) (i32.const 1024) (i32.const 3) (i32.const 60) (i32.const 32)",
            ),
            Capability::Kv,
        ),
        (calling("call $delete (i32.const 1024) (i32.const 3) (i32.const 32)"), Capability::Kv),
    ] {
        let plugin = compile_with(&runtime, &component, &[capability], &[capability], budget).unwrap();
        // More at once and in turn than there are instances: each gives its own back.
        for _ in 0..3 {
            let (around, input) = (of("a"), request());
            let calls = (0..4).map(|_| plugin.call(&around, &input));
            for called in futures_util::future::join_all(calls).await {
                fails_of(&called, FailureKind::Deadline);
                assert!(called.took >= DEADLINE && called.took < 10 * DEADLINE, "{called:?}");
            }
        }
    }
    drop(listener);
    let fine = compile(&runtime, &guest("harmless"), &[]).unwrap();
    is_fine(&call(&fine).await);
}
