//! Does the harm that the header `x-do` names. Without it, it does none.

use std::cell::RefCell;
use std::hint::black_box;

use portcullis_sdk::prelude::*;

thread_local! {
    /// What the last caller's request had: no later call may see it.
    static LAST: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Hostile;

impl Validate for Hostile {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        Ok(Self)
    }

    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
        match request.header("x-do").unwrap_or_default() {
            "loop" => loop {
                black_box(0);
            },
            "recurse" => drop(recurse(1)),
            "grow" => grow(),
            "panic" => panic!("it wants to"),
            "million-findings" => return Ok(vec![finding("a-finding", 1, ""); 1_000_000]),
            "findings" => return Ok(vec![finding("a-finding", 1, ""); 1_001]),
            // More than its memory may be; and what its memory holds.
            "huge-text" => return Ok(vec![finding("a-finding", 1, &"x".repeat(100_000_000))]),
            "long-text" => return Ok(vec![finding("a-finding", 1, &"x".repeat(20_000_000))]),
            "large-answer" => return Ok(vec![finding("a-finding", 1, &"x".repeat(500)); 900]),
            "log-flood" => (0..10_000).for_each(|_| host::log::info(&"x".repeat(100))),
            "score" => return Ok(vec![finding("a-finding", 255, "")]),
            "rule" => return Ok(vec![finding("<script>", 1, "")]),
            "reason" => return Err(Rejection::new("a reason\nthat is none")),
            "remember" => return Ok(remember(request)),
            _ => {}
        }
        Ok(Vec::new())
    }
}

fn finding(rule: &str, score: u8, detail: &str) -> Finding {
    Finding::new(rule, score, Location::Whole, detail)
}

fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    // Its stack ends long before.
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + room[0] }
}

/// Up to the 4 GiB that 32 bits can address.
fn grow() {
    let mut held: Vec<Vec<u8>> = Vec::new();
    loop {
        held.push(black_box(vec![1; 1 << 20]));
    }
}

/// Tells what the last call left.
fn remember(request: &Request) -> Vec<Finding> {
    LAST.with_borrow_mut(|last| {
        let seen = last.iter().map(|value| finding("seen", 100, value)).collect();
        last.extend(request.headers().iter().map(|header| header.value.clone()));
        seen
    })
}

portcullis_sdk::export_validate!(Hostile);
