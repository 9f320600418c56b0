//! What becomes a plugin, and what each call of it begins with.

use super::*;

#[tokio::test]
async fn a_plugin_answers() {
    let runtime = runtime();
    let plugin = compile(&runtime, &validator("", NOTHING), &[]).unwrap();
    assert_eq!(plugin.imports(), ["portcullis:plugin/types@1.0.0"], "nothing is imported that nothing uses");
    let called = call(&plugin).await;
    is_fine(&called);
    assert!(called.fuel > 0 && called.memory_bytes == 2 << 16, "{called:?}");
}

#[tokio::test]
async fn fuel_is_the_same_for_the_same_input() {
    let runtime = runtime();
    let headers = r#"(import "portcullis:plugin/types@1.0.0" "[method]request.headers" (func $headers (param i32 i32)))"#;
    let counting = "(call $headers (local.get $request) (i32.const 32))
        (local.set $i (i32.const 1000))
        (loop $again
            (local.set $i (i32.sub (local.get $i) (i32.const 1)))
            (br_if $again (local.get $i)))
        (i32.const 64)";
    let body = format!("(local $i i32) {counting}");
    let plugin = compile(&runtime, &validator(headers, &body), &[]).unwrap();
    let first = call(&plugin).await;
    is_fine(&first);
    for _ in 0..100 {
        assert_eq!(call(&plugin).await.fuel, first.fuel);
    }
    let again = compile(&runtime, &validator(headers, &body), &[]).unwrap();
    assert_eq!(call(&again).await.fuel, first.fuel);
}

#[tokio::test]
async fn a_call_sees_nothing_of_the_one_before() {
    let runtime = runtime();
    let plugin = compile(&runtime, &guest("remember"), &[]).unwrap();
    for _ in 0..20 {
        is_fine(&call(&plugin).await);
    }
}

#[tokio::test]
async fn calls_at_once_each_have_their_own() {
    let runtime = runtime();
    let body = "(i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 1)))
        (if (i32.ne (i32.load (i32.const 512)) (i32.const 1)) (then (unreachable)))
        (i32.const 64)";
    let plugin = compile(&runtime, &validator("", body), &[]).unwrap();
    let (around, input) = (surroundings(), request());
    let calls = (0..4).map(|_| plugin.call(&around, &input));
    for called in futures_util::future::join_all(calls).await {
        is_fine(&called);
    }
}

#[test]
fn what_the_manifest_does_not_declare_is_refused() {
    let runtime = runtime();
    let clock = r#"(import "portcullis:plugin/clock@1.0.0" "now" (func $now (result i64)))"#;
    let body = "(drop (call $now)) (i32.const 64)";
    let component = validator(clock, body);
    let refused = compile(&runtime, &component, &[Capability::Log]).unwrap_err();
    assert!(matches!(refused, CompileError::Undeclared { capability: "clock", .. }), "{refused}");
    assert!(compile(&runtime, &component, &[Capability::Clock]).is_ok());
}

#[tokio::test]
async fn a_withheld_capability_ends_the_call_that_uses_it() {
    let runtime = runtime();
    let clock = r#"(import "portcullis:plugin/clock@1.0.0" "now" (func $now (result i64)))"#;
    let component = validator(clock, "(drop (call $now)) (i32.const 64)");
    let plugin = compile_with(&runtime, &component, &[Capability::Clock], &[], Budget::default()).unwrap();
    fails_of(&call(&plugin).await, FailureKind::Capability);
}

#[test]
fn what_is_no_component_is_refused() {
    let runtime = runtime();
    for broken in [&b""[..], b"\0asm", &guest("module"), &guest("harmless")[..100]] {
        let refused = compile(&runtime, broken, &[]).unwrap_err();
        assert!(!refused.to_string().is_empty());
    }
    let mut flipped = guest("harmless");
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x55;
    // It is refused, or is another component that is held to its own budget: it never harms.
    drop(compile(&runtime, &flipped, &[]));
    let refused = compile(&runtime, &guest("wasi"), &[]).unwrap_err();
    assert!(matches!(&refused, CompileError::ForeignImport(name) if name.starts_with("wasi:")), "{refused}");
    for declaring in ["table-declared", "memory-declared"] {
        assert!(compile(&runtime, &guest(declaring), &[]).is_err(), "{declaring}");
    }
    let large = RuntimeSettings { instances: 1, component_bytes: 100, ..RuntimeSettings::default() };
    let services = Services { clock: Arc::new(SystemClock::new()), state: None, keys: Arc::new(NoKeys) };
    let small = Runtime::new(large, services).unwrap();
    let refused = compile(&small, &validator("", NOTHING), &[]).unwrap_err();
    assert!(matches!(refused, CompileError::TooLarge { most: 100, .. }), "{refused}");
}

#[test]
fn another_hook_than_the_manifests_is_refused() {
    let runtime = runtime();
    let mut manifest = manifest(&[]);
    manifest.hook = Hook::Mask;
    let component = validator("", NOTHING);
    let source = Source {
        component: &component,
        manifest: &manifest,
        grant: Grant::default(),
        budget: Budget::default(),
        config: "{}",
        cache: None,
    };
    let refused = runtime.compile(&source).unwrap_err();
    assert!(matches!(refused, CompileError::HookMissing { hook: "mask", .. }), "{refused}");
}
