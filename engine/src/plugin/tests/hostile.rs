//! Plugins that would hurt: each ends, within its budget, with what it failed of.

use super::*;

async fn outcome(component: &[u8]) -> Called {
    let runtime = runtime();
    let plugin = compile(&runtime, component, &[Capability::Log]).unwrap();
    let called = call(&plugin).await;
    // It did no harm: the next one has all that it needs.
    let fine = compile(&runtime, &guest("harmless"), &[]).unwrap();
    is_fine(&call(&fine).await);
    called
}

#[tokio::test]
async fn an_endless_loop_ends_of_fuel() {
    let runtime = runtime();
    let budget = Budget { fuel: 100_000, deadline_milliseconds: 10_000, ..Budget::default() };
    let plugin = compile_with(&runtime, &guest("loop"), &[], &[], budget).unwrap();
    let called = call(&plugin).await;
    fails_of(&called, FailureKind::Fuel);
    assert_eq!(called.fuel, budget.fuel);
}

#[tokio::test]
async fn an_endless_loop_with_fuel_left_ends_of_time() {
    let runtime = runtime();
    let budget = Budget { fuel: Budget::MOST.fuel, deadline_milliseconds: 10, ..Budget::default() };
    let plugin = compile_with(&runtime, &guest("loop"), &[], &[], budget).unwrap();
    fails_of(&call(&plugin).await, FailureKind::Deadline);
}

#[tokio::test]
async fn a_guest_fails_of_the_harm_that_it_does() {
    for (name, kind) in [
        ("recursion", FailureKind::Trap),
        ("memory-at-once", FailureKind::Memory),
        ("memory-by-pages", FailureKind::Memory),
        ("table-bomb", FailureKind::Memory),
        ("trap", FailureKind::Trap),
        ("answer-outside", FailureKind::BadAnswer),
        ("answer-of-no-kind", FailureKind::BadAnswer),
        ("utf8-in-answer", FailureKind::BadAnswer),
        ("utf8-to-host", FailureKind::BadAnswer),
        // They are no part of its memory; they pass the boundary in more bytes than may pass.
        ("million-findings", FailureKind::BadAnswer),
        ("findings-of-memory", FailureKind::HostBytes),
        ("huge-text", FailureKind::BadAnswer),
        ("shared-text", FailureKind::HostBytes),
        ("huge-line", FailureKind::HostBytes),
    ] {
        let called = outcome(&guest(name)).await;
        assert_eq!(called.output.as_ref().map_err(|failure| failure.kind), Err(kind), "{name}: {called:?}");
        assert!(called.memory_bytes <= Budget::default().memory_bytes, "{name}: {called:?}");
    }
}

/// One finding at 128: rule at 300, detail at 400 of these lengths, with this score.
fn finding(rule: &str, score: u32, detail: (u32, u32)) -> String {
    let bytes: String =
        rule.bytes().enumerate().map(|(at, byte)| store8(300 + at, u32::from(byte))).collect();
    let length = rule.len();
    let (at, detail) = detail;
    format!(
        "{bytes}
        (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1))
        (i32.store (i32.const 128) (i32.const 300)) (i32.store (i32.const 132) (i32.const {length}))
        (i32.store8 (i32.const 136) (i32.const {score}))
        (i32.store (i32.const 152) (i32.const {at})) (i32.store (i32.const 156) (i32.const {detail}))
        (i32.const 64)"
    )
}

fn store8(at: usize, byte: u32) -> String {
    format!("(i32.store8 (i32.const {at}) (i32.const {byte}))")
}

#[tokio::test]
async fn a_finding_is_held_to_its_form() {
    let good = outcome(&validator("", &finding("a-rule", 100, (400, 0)))).await;
    let Ok(Output::Validate(said)) = &good.output else { panic!("{good:?}") };
    assert_eq!((said.findings[0].rule.as_str(), said.findings[0].score), ("a-rule", 100));
    fails_of(&outcome(&validator("", &finding("a-rule", 101, (400, 0)))).await, FailureKind::BadAnswer);
    fails_of(&outcome(&validator("", &finding("A Rule", 100, (400, 0)))).await, FailureKind::BadAnswer);
    fails_of(&outcome(&validator("", &finding("a-rule", 100, (400, 513)))).await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn more_findings_than_may_be_are_no_answer() {
    let body = "(i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const 1001)) (i32.const 64)";
    fails_of(&outcome(&validator("", body)).await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn a_flood_of_lines_is_capped_and_counted() {
    let called = outcome(&guest("log-flood")).await;
    is_fine(&called);
    let kept: usize = called.logs.iter().map(|line| line.message.len()).sum();
    assert!(kept as u64 <= Budget::default().log_bytes && called.logs_dropped > 800, "{called:?}");
}

#[tokio::test]
async fn what_passes_in_all_calls_of_the_host_is_counted() {
    let body_of =
        r#"(import "portcullis:plugin/types@1.0.0" "[method]request.raw-body" (func $raw (param i32 i32)))"#;
    let body = "(loop $again
            (global.set $free (i32.const 65536))
            (call $raw (local.get $request) (i32.const 32)) (br $again))
        (unreachable)";
    let runtime = runtime();
    let budget = Budget { host_bytes: 1_000, ..Budget::default() };
    let plugin = compile_with(&runtime, &validator(body_of, body), &[], &[], budget).unwrap();
    fails_of(&call(&plugin).await, FailureKind::HostBytes);
}

#[tokio::test]
async fn no_call_waits_for_more_instances_than_there_are() {
    let runtime = runtime();
    let plugin = compile(&runtime, &validator("", NOTHING), &[]).unwrap();
    for _ in 0..200 {
        is_fine(&call(&plugin).await);
    }
}
