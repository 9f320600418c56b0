//! What a plugin can read of a request, and what it can't.

use super::*;
use crate::plugin::input::Body;

const READ: &str = r#"
    (import "portcullis:plugin/types@1.0.0" "[resource-drop]document" (func $drop-document (param i32)))
    (import "portcullis:plugin/types@1.0.0" "[method]request.headers" (func $headers (param i32 i32)))
    (import "portcullis:plugin/types@1.0.0" "[method]request.body" (func $body (param i32 i32)))
    (import "portcullis:plugin/types@1.0.0" "[method]document.leaf-table" (func $table (param i32 i32)))
    (import "portcullis:plugin/types@1.0.0" "[method]document.leaves" (func $leaves (param i32 i32)))
    (func $expect (param $is i32) (param $must-be i32)
        (if (i32.ne (local.get $is) (local.get $must-be)) (then (unreachable))))"#;

fn with_headers(count: u32) -> Vec<u8> {
    let body = format!(
        "(call $headers (local.get $request) (i32.const 32))
        (call $expect (i32.load (i32.const 36)) (i32.const {count})) (i32.const 64)"
    );
    validator(READ, &body)
}

#[tokio::test]
async fn headers_with_credentials_are_absent_unless_they_are_granted() {
    let runtime = runtime();
    let both = &[Capability::Credentials][..];
    let granted = compile(&runtime, &with_headers(2), both).unwrap();
    is_fine(&call(&granted).await);
    let without = compile(&runtime, &with_headers(1), &[]).unwrap();
    is_fine(&call(&without).await);
    let withheld = compile_with(&runtime, &with_headers(1), both, &[], Budget::default()).unwrap();
    is_fine(&call(&withheld).await);
}

#[test]
fn names_that_carry_credentials_are_known_in_every_case() {
    use crate::plugin::input::carries_credentials;
    for name in ["authorization", "Cookie", "X-Api-Key", "x-csrf-token", "PROXY-AUTHORIZATION", "x-my-jwt"] {
        assert!(carries_credentials(name), "{name}");
    }
    for name in
        ["accept", "content-type", "x-request-id", "key", "tokens", "", "\u{e4}-to\u{e4}n", "user-agent"]
    {
        assert!(!carries_credentials(name), "{name}");
    }
}

/// A validator that traps unless the body's leaves are so many, their text has so many bytes, and its bytes this sum.
fn with_leaves(count: usize, text: &str) -> Vec<u8> {
    let sum: u32 = text.bytes().map(u32::from).sum();
    let body = format!(
        "(local $at i32) (local $end i32) (local $sum i32)
        (call $body (local.get $request) (i32.const 32))
        (call $expect (i32.load8_u (i32.const 32)) (i32.const 1))
        (call $table (i32.load (i32.const 36)) (i32.const 48))
        (call $expect (i32.load (i32.const 52)) (i32.const {}))
        (call $expect (i32.load (i32.const 60)) (i32.const {count}))
        (local.set $at (i32.load (i32.const 48)))
        (local.set $end (i32.add (local.get $at) (i32.load (i32.const 52))))
        (block $done (loop $next
            (br_if $done (i32.eq (local.get $at) (local.get $end)))
            (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (br $next)))
        (call $expect (local.get $sum) (i32.const {sum}))
        (call $leaves (i32.load (i32.const 36)) (i32.const 48))
        (call $expect (i32.load (i32.const 52)) (i32.const {count}))
        (call $drop-document (i32.load (i32.const 36)))
        (i32.const 64)",
        text.len()
    );
    validator(READ, &body)
}

fn with_body(media_type: &str, body: Body) -> Input {
    let headers = vec![("content-type".to_owned(), media_type.to_owned())];
    Input::Validate { request: Arc::new(Request::new("POST", "/", None, headers, body)) }
}

#[tokio::test]
async fn leaves_are_handed_out_whole() {
    let runtime = runtime();
    let json = r#"{"b": [1, -2.50, "x"], "a/~": {"c": null, "d": true}, "e": [], "f": {}}"#;
    let text = "/b/01/b/1-2.5/b/2x/a~1~0/c/a~1~0/dtrue/e/f";
    let plugin = compile(&runtime, &with_leaves(7, text), &[]).unwrap();
    let input = with_body("application/json", Body::Text(json.into()));
    is_fine(&plugin.call(&surroundings(), &input).await);
    let form = compile(&runtime, &with_leaves(3, "/q/0a b/q/1/x%"), &[]).unwrap();
    let input = with_body("application/x-www-form-urlencoded", Body::Bytes(b"q=a+b&q=&x=%25".to_vec()));
    is_fine(&form.call(&surroundings(), &input).await);
}

#[tokio::test]
async fn what_readers_differ_on_is_no_document() {
    let runtime = runtime();
    let body = "(call $body (local.get $request) (i32.const 32))
        (call $expect (i32.load8_u (i32.const 32)) (i32.const 0)) (i32.const 64)";
    let plugin = compile(&runtime, &validator(READ, body), &[]).unwrap();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for text in [r#"{"a": 1, "a": 2}"#, "{", "1e999", &deep] {
        for input in
            [with_body("", Body::Json(text.into())), with_body("text/json+json", Body::Text(text.into()))]
        {
            is_fine(&plugin.call(&surroundings(), &input).await);
        }
    }
    is_fine(&plugin.call(&surroundings(), &with_body("text/plain", Body::Text("{}".into()))).await);
    is_fine(&plugin.call(&surroundings(), &with_body("application/json", Body::Bytes(vec![0xff]))).await);
}

#[tokio::test]
async fn a_call_has_no_more_documents_than_it_may_hold() {
    let runtime = runtime();
    let body = "(loop $again (call $body (local.get $request) (i32.const 32)) (br $again)) (unreachable)";
    let plugin = compile(&runtime, &validator(READ, body), &[]).unwrap();
    let input = with_body("application/json", Body::Json("{}".into()));
    fails_of(&plugin.call(&surroundings(), &input).await, FailureKind::HostBytes);
}

#[test]
fn what_cannot_start_is_refused_when_it_is_loaded() {
    let runtime = runtime();
    let trapping = "(func $start unreachable) (start $start)";
    let refused = compile(&runtime, &validator(trapping, NOTHING), &[]).unwrap_err();
    assert!(matches!(&refused, CompileError::Start(why) if why.starts_with("trap")), "{refused}");
    let small = Budget { memory_bytes: 64 << 10, ..Budget::default() };
    let refused = compile_with(&runtime, &validator("", NOTHING), &[], &[], small).unwrap_err();
    assert!(matches!(&refused, CompileError::Start(why) if why.starts_with("memory")), "{refused}");
}

#[test]
fn a_feature_whose_results_differ_between_machines_is_refused() {
    let relaxed = "(func $relaxed (result v128)
        (f32x4.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)))";
    let refused = compile(&runtime(), &validator(relaxed, NOTHING), &[]).unwrap_err();
    assert!(matches!(refused, CompileError::Compiler(_)), "{refused}");
}
