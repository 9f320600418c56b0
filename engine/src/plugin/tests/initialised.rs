//! Initialisers: they run once, and every call begins where they ended.

use super::*;

/// A validator with an initialiser, whose answer stands at this place: 0 is success, 1 a failure.
fn with_initialiser(more: &str, initialise: &str, validate: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            (import "portcullis:plugin/types@1.0.0" "[resource-drop]request" (func $drop (param i32)))
            {more}
            (memory (export "memory") 2)
            (global $free (mut i32) (i32.const 65536))
            (global $made (mut i32) (i32.const 0))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
                (global.set $free (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
            (func (export "portcullis:plugin/initialiser@1.0.0#initialise") (result i32)
                {initialise})
            (func (export "portcullis:plugin/validator@1.0.0#validate") (param $request i32) (result i32)
                {validate}
                (call $drop (local.get $request))))"#
    );
    component("validate-initialised", &module)
}

const DONE: &str = "(i32.const 96)";

#[tokio::test]
async fn what_an_initialiser_made_is_there_in_every_call_and_is_made_once() {
    let runtime = runtime();
    let initialise = "(i32.store (i32.const 512) (i32.add (i32.load (i32.const 512)) (i32.const 41)))
        (global.set $made (i32.const 7))
        (drop (memory.grow (i32.const 3)))
        (i32.store (i32.const 200000) (i32.const 5))
        (i32.const 96)";
    // It traps unless all is as the initialiser left it, and leaves it otherwise.
    let validate = "(if (i32.ne (i32.load (i32.const 512)) (i32.const 41)) (then (unreachable)))
        (if (i32.ne (global.get $made) (i32.const 7)) (then (unreachable)))
        (if (i32.ne (i32.load (i32.const 200000)) (i32.const 5)) (then (unreachable)))
        (i32.store (i32.const 512) (i32.const 0))
        (global.set $made (i32.const 0))
        (i32.store (i32.const 200000) (i32.const 0))
        (i32.const 64)";
    let plugin = compile(&runtime, &with_initialiser("", initialise, validate), &[]).unwrap();
    for _ in 0..20 {
        is_fine(&call(&plugin).await);
    }
}

#[test]
fn a_trap_in_the_initialiser_is_refused() {
    let refused = compile(&runtime(), &guest("init-trap"), &[]).unwrap_err();
    assert!(matches!(&refused, CompileError::Initialiser(why) if why.starts_with("trap")), "{refused}");
}

#[test]
fn an_initialiser_that_never_ends_is_refused() {
    let refused = compile(&runtime(), &guest("init-loop"), &[]).unwrap_err();
    assert!(matches!(&refused, CompileError::Initialiser(_)), "{refused}");
}

#[test]
fn an_initialiser_that_takes_too_much_memory_is_refused() {
    let refused = compile(&runtime(), &guest("init-memory"), &[]).unwrap_err();
    assert!(matches!(&refused, CompileError::Initialiser(why) if why.starts_with("memory")), "{refused}");
}

#[test]
fn an_initialiser_says_that_its_configuration_is_no_use() {
    let failing =
        "(i32.store8 (i32.const 96) (i32.const 1)) (i32.store8 (i32.const 97) (i32.const 3)) (i32.const 96)";
    let refused = compile(&runtime(), &with_initialiser("", failing, NOTHING), &[]).unwrap_err();
    assert!(refused.to_string().contains("misconfigured"), "{refused}");
}

#[test]
fn an_initialiser_has_the_configuration_and_nothing_else() {
    let clock = r#"(import "portcullis:plugin/clock@1.0.0" "now" (func $now (result i64)))"#;
    let component = with_initialiser(clock, "(drop (call $now)) (i32.const 96)", NOTHING);
    let refused = compile(&runtime(), &component, &[Capability::Clock]).unwrap_err();
    assert!(matches!(&refused, CompileError::Initialiser(why) if why.starts_with("capability")), "{refused}");
    let config = r#"(import "portcullis:plugin/config@1.0.0" "get" (func $get (param i32)))"#;
    let component = with_initialiser(config, &format!("(call $get (i32.const 32)) {DONE}"), NOTHING);
    assert!(compile(&runtime(), &component, &[Capability::Config]).is_ok());
}
