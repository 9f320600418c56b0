//! Calls that are kept and made again.

use super::*;
use crate::plugin::archive::{Archive, ArchiveError};
use crate::plugin::replay::{Difference, ReplayError, Replayer, Verdict};
use crate::plugin::sealed::{KeptCall, Outcome};

const BOTH: &[Capability] = &[Capability::Random, Capability::Clock];

/// How long it takes is what `random` and `clock` say, and it ends in a trap when they say so.
fn depending() -> Vec<u8> {
    let imports = r#"
        (import "portcullis:plugin/clock@1.0.0" "now" (func $now (result i64)))
        (import "portcullis:plugin/random@1.0.0" "bytes" (func $bytes (param i32 i32)))"#;
    let body = "(local $i i32)
        (call $bytes (i32.const 32) (i32.const 128))
        (local.set $i (i32.load8_u (i32.load (i32.const 128))))
        (local.set $i (i32.add (local.get $i) (i32.wrap_i64 (call $now))))
        (if (i32.and (local.get $i) (i32.const 8)) (then (unreachable)))
        (loop $again
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if $again (i32.gt_s (local.get $i) (i32.const 0))))
        (i32.const 64)";
    validator(imports, body)
}

struct Kept {
    data: tempfile::TempDir,
    calls: Vec<KeptCall>,
}

impl Kept {
    async fn some() -> Self {
        let data = tempfile::tempdir().unwrap();
        let runtime = runtime();
        let component = depending();
        Archive::of(data.path()).keep(&component, &manifest(BOTH)).unwrap();
        let plugin = compile(&runtime, &component, BOTH).unwrap();
        let mut calls = Vec::new();
        for seed in 0..32 {
            let around = Surroundings { seed: [seed; 32], record: true, ..surroundings() };
            let input = request();
            let called = plugin.call(&around, &input).await;
            calls.push(KeptCall::of(&plugin, &input, &called).expect("its transcript was asked for"));
        }
        Self { data, calls }
    }

    fn replayer(&self) -> Replayer {
        Replayer::new(runtime(), Archive::of(self.data.path()))
    }
}

#[tokio::test]
async fn calls_come_out_the_same_whatever_they_ended_with() {
    let kept = Kept::some().await;
    let fuels: std::collections::HashSet<u64> = kept.calls.iter().map(|call| call.fuel).collect();
    assert!(fuels.len() > 8, "they differ among themselves: {fuels:?}");
    let traps = kept.calls.iter().filter(|call| call.outcome == Outcome::Failure(FailureKind::Trap)).count();
    assert!((1..32).contains(&traps), "{traps}");
    let mut replayer = kept.replayer();
    for call in &kept.calls {
        // As it comes out of a record.
        let call: KeptCall = serde_json::from_str(&serde_json::to_string(call).unwrap()).unwrap();
        assert_eq!(replayer.replay(&call).unwrap(), Verdict::Same);
    }
}

#[tokio::test]
async fn what_was_changed_differs() {
    let kept = Kept::some().await;
    let mut replayer = kept.replayer();
    let call = kept.calls.iter().find(|call| matches!(call.outcome, Outcome::Answer(_))).unwrap();
    let mut other = call.clone();
    other.fuel += 1;
    let expected = Difference { fuel: Some((call.fuel + 1, call.fuel)), answer: None };
    assert_eq!(replayer.replay(&other).unwrap(), Verdict::Differs(expected));
    let mut other = call.clone();
    other.outcome = Outcome::Failure(FailureKind::Trap);
    assert!(matches!(replayer.replay(&other).unwrap(), Verdict::Differs(Difference { answer: Some(_), .. })));
    let mut other = call.clone();
    other.transcript.now += 1;
    assert!(matches!(replayer.replay(&other).unwrap(), Verdict::Differs(_)));
    let mut other = call.clone();
    other.capabilities = vec![Capability::Random];
    assert!(matches!(replayer.replay(&other).unwrap(), Verdict::Differs(_)), "it was given less");
    let mut other = call.clone();
    other.budget.fuel = 10;
    assert!(matches!(replayer.replay(&other).unwrap(), Verdict::Differs(_)));
    assert_eq!(replayer.replay(call).unwrap(), Verdict::Same, "none of them counts for another");
    let mut slow = call.clone();
    slow.outcome = Outcome::Failure(FailureKind::Deadline);
    assert!(matches!(replayer.replay(&slow).unwrap(), Verdict::NotCompared(_)));
}

#[tokio::test]
async fn without_its_component_a_call_is_not_made_again() {
    let kept = Kept::some().await;
    let mut replayer = Replayer::new(runtime(), Archive::of(tempfile::tempdir().unwrap().path()));
    let refused = replayer.replay(&kept.calls[0]).unwrap_err();
    assert!(matches!(refused, ReplayError::Archive(ArchiveError::Missing { .. })), "{refused}");
}

#[tokio::test]
async fn headers_that_a_plugin_does_not_see_are_not_kept() {
    let runtime = runtime();
    let record = Surroundings { record: true, ..surroundings() };
    let kept = |capabilities: &'static [Capability]| {
        let plugin = compile(&runtime, &validator("", NOTHING), capabilities).unwrap();
        let record = record.clone();
        async move {
            let called = plugin.call(&record, &request()).await;
            serde_json::to_string(&KeptCall::of(&plugin, &request(), &called).unwrap()).unwrap()
        }
    };
    let (without, with) = (kept(&[]).await, kept(&[Capability::Credentials]).await);
    assert!(!without.contains("secret=1") && without.contains("*/*"), "{without}");
    assert!(with.contains("secret=1"));
    let plugin = compile(&runtime, &validator("", NOTHING), &[]).unwrap();
    let called = call(&plugin).await;
    assert_eq!(KeptCall::of(&plugin, &request(), &called), None, "it was not asked for");
}
