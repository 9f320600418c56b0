//! Plugins that would hurt: each ends, within its budget, with what it failed of.

use super::*;

async fn outcome(more: &str, body: &str) -> Called {
    let runtime = runtime();
    let plugin = compile(&runtime, &validator(more, body), &[Capability::Log]).unwrap();
    let called = call(&plugin).await;
    // It did no harm: the next one has all that it needs.
    let fine = compile(&runtime, &validator("", NOTHING), &[]).unwrap();
    is_fine(&call(&fine).await);
    called
}

#[tokio::test]
async fn an_endless_loop_ends_of_fuel() {
    let runtime = runtime();
    let budget = Budget { fuel: 100_000, deadline_milliseconds: 10_000, ..Budget::default() };
    let component = validator("", "(loop $again (br $again)) (unreachable)");
    let plugin = compile_with(&runtime, &component, &[], &[], budget).unwrap();
    let called = call(&plugin).await;
    fails_of(&called, FailureKind::Fuel);
    assert_eq!(called.fuel, budget.fuel);
}

#[tokio::test]
async fn an_endless_loop_with_fuel_left_ends_of_time() {
    let runtime = runtime();
    let budget = Budget { fuel: Budget::MOST.fuel, deadline_milliseconds: 10, ..Budget::default() };
    let component = validator("", "(loop $again (br $again)) (unreachable)");
    let plugin = compile_with(&runtime, &component, &[], &[], budget).unwrap();
    fails_of(&call(&plugin).await, FailureKind::Deadline);
}

#[tokio::test]
async fn a_deep_recursion_is_a_trap() {
    let called = outcome("(func $deep (call $deep))", "(call $deep) (i32.const 64)").await;
    fails_of(&called, FailureKind::Trap);
}

#[tokio::test]
async fn memory_beyond_the_budget_is_refused() {
    let called = outcome("", "(drop (memory.grow (i32.const 65000))) (i32.const 64)").await;
    fails_of(&called, FailureKind::Memory);
    assert!(called.memory_bytes <= Budget::default().memory_bytes);
}

#[tokio::test]
async fn memory_is_a_page_at_a_time_no_less_bounded() {
    let body = "(loop $again (drop (memory.grow (i32.const 1))) (br $again)) (unreachable)";
    fails_of(&outcome("", body).await, FailureKind::Memory);
}

#[tokio::test]
async fn a_table_that_grows_is_refused() {
    let table = "(table $t 1 funcref)";
    let body = "(drop (table.grow $t (ref.null func) (i32.const 21000))) (i32.const 64)";
    fails_of(&outcome(table, body).await, FailureKind::Memory);
}

#[tokio::test]
async fn a_trap_is_a_trap() {
    fails_of(&outcome("", "(unreachable)").await, FailureKind::Trap);
}

#[tokio::test]
async fn an_answer_outside_of_the_memory_is_a_bad_one() {
    fails_of(&outcome("", "(i32.const -16)").await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn an_answer_of_no_kind_is_a_bad_one() {
    let body = "(i32.store8 (i32.const 64) (i32.const 7)) (i32.const 64)";
    fails_of(&outcome("", body).await, FailureKind::BadAnswer);
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
    let good = outcome("", &finding("a-rule", 100, (400, 0))).await;
    let Ok(Output::Validate(said)) = &good.output else { panic!("{good:?}") };
    assert_eq!((said.findings[0].rule.as_str(), said.findings[0].score), ("a-rule", 100));
    fails_of(&outcome("", &finding("a-rule", 101, (400, 0))).await, FailureKind::BadAnswer);
    fails_of(&outcome("", &finding("A Rule", 100, (400, 0))).await, FailureKind::BadAnswer);
    fails_of(&outcome("", &finding("a-rule", 100, (400, 513))).await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn text_that_is_no_utf_8_is_a_bad_answer() {
    let body = format!("(i32.store8 (i32.const 400) (i32.const 255)) {}", finding("a-rule", 1, (400, 1)));
    fails_of(&outcome("", &body).await, FailureKind::BadAnswer);
}

#[tokio::test]
async fn a_million_findings_are_no_answer() {
    let findings = |count: u32| {
        format!(
            "(drop (memory.grow (i32.const 190)))
            (i32.store (i32.const 68) (i32.const 128)) (i32.store (i32.const 72) (i32.const {count})) (i32.const 64)"
        )
    };
    // They are no part of its memory; they pass the boundary in more bytes than may pass; there are more than may be.
    fails_of(&outcome("", &findings(1_000_000)).await, FailureKind::BadAnswer);
    fails_of(&outcome("", &findings(300_000)).await, FailureKind::HostBytes);
    fails_of(&outcome("", &findings(1_001)).await, FailureKind::BadAnswer);
}

const LOG: &str = r#"(import "portcullis:plugin/log@1.0.0" "write" (func $write (param i32 i32 i32)))"#;

#[tokio::test]
async fn a_flood_of_lines_is_capped_and_counted() {
    let body = "(local $i i32) (local.set $i (i32.const 1000))
        (loop $again
            (call $write (i32.const 1) (i32.const 1024) (i32.const 100))
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if $again (local.get $i)))
        (i32.const 64)";
    let called = outcome(LOG, body).await;
    is_fine(&called);
    let kept: usize = called.logs.iter().map(|line| line.message.len()).sum();
    assert!(kept as u64 <= Budget::default().log_bytes && called.logs_dropped > 800, "{called:?}");
}

#[tokio::test]
async fn a_huge_line_is_refused() {
    let body = "(drop (memory.grow (i32.const 200)))
        (call $write (i32.const 1) (i32.const 1024) (i32.const 12000000)) (i32.const 64)";
    fails_of(&outcome(LOG, body).await, FailureKind::HostBytes);
}

#[tokio::test]
async fn text_to_the_host_that_is_no_utf_8_is_a_bad_answer() {
    let body = "(i32.store8 (i32.const 1024) (i32.const 255))
        (call $write (i32.const 1) (i32.const 1024) (i32.const 1)) (i32.const 64)";
    fails_of(&outcome(LOG, body).await, FailureKind::BadAnswer);
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
