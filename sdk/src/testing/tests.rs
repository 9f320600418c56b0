//! Documents, requests and hosts in memory answer as the real ones do.

use super::Host;
use crate::host::crypto::Algorithm;
use crate::host::{clock, counter, crypto, kv, lookup, random};
use crate::{Document, Node, Refusal, Request, ValueRef};

#[test]
fn a_document_keeps_its_order_and_its_numbers() {
    let document = Document::parse(r#"{"b":1.50,"a":{"x/y":[true,null,"é"]},"c":{}}"#).unwrap();
    assert_eq!(document.members("").unwrap(), ["b", "a", "c"]);
    assert_eq!(document.get("/b"), Some(Node::Number("1.5".into())));
    assert_eq!(document.get("/a/x~1y/2"), Some(Node::Text("é".into())));
    assert_eq!(document.get("/a/x~1y/02"), None);
    let pointers: Vec<_> = document.leaves().into_iter().map(|leaf| leaf.pointer).collect();
    assert_eq!(pointers, ["/b", "/a/x~1y/0", "/a/x~1y/1", "/a/x~1y/2", "/c"]);
    assert_eq!(document.json("/a").as_deref(), Some(r#"{"x/y":[true,null,"é"]}"#));
}

#[test]
fn a_table_of_leaves_holds_what_the_leaves_are() {
    let document = Document::parse(r#"{"a~":[null,true,-7,"é/"],"":[],"c":{}}"#).unwrap();
    let table = document.leaf_table();
    let found: Vec<_> = table.iter().map(|leaf| (leaf.pointer, leaf.value)).collect();
    let expected = [
        ("/a~0/0", ValueRef::Null),
        ("/a~0/1", ValueRef::Boolean(true)),
        ("/a~0/2", ValueRef::Number("-7")),
        ("/a~0/3", ValueRef::Text("é/")),
        ("/", ValueRef::Array),
        ("/c", ValueRef::Object),
    ];
    assert_eq!(found, expected);
    assert_eq!(document.leaves()[3].value, Node::Text("é/".into()));
}

#[test]
fn a_member_that_is_there_twice_makes_no_document() {
    assert!(Document::parse(r#"{"a":1,"a":2}"#).unwrap_err().contains("twice"));
    assert!(Request::builder().json(r#"{"a":1,"a":2}"#).build().body().is_none());
}

#[test]
fn a_form_is_a_document_of_texts_and_lists() {
    let request = Request::builder().form("a=1&b=x+y&a=2").build();
    assert_eq!(request.body().unwrap().json("").as_deref(), Some(r#"{"a":["1","2"],"b":"x y"}"#));
    assert_eq!(request.raw_body(), b"a=1&b=x+y&a=2");
}

#[test]
fn a_host_answers_what_is_written_down_and_refuses_the_rest() {
    let host = Host::new().now_milliseconds(5_000).random([1, 2, 3]).value("k", *b"v");
    let host = host.key("h", Algorithm::HmacSha256, |message| [b"code of ", message].concat());
    let host = host.entity("User", "alice", r#"{"level":3}"#).unwrap();
    let ((), host) = host.run(|| {
        assert_eq!(clock::now_milliseconds(), 5_000);
        assert_eq!((random::bytes(2), random::bytes(2)), (vec![1, 2], vec![3, 1]));
        assert_eq!(kv::get("k"), Ok(Some(b"v".to_vec())));
        assert_eq!(crypto::hmac("h", b"x"), Ok(b"code of x".to_vec()));
        assert_eq!(crypto::verify("h", b"x", b"code of y"), Ok(false));
        assert_eq!(crypto::seal("h", b"x", b""), Err(Refusal::Invalid));
        assert_eq!(crypto::sign("other", b"x"), Err(Refusal::Unknown));
        assert_eq!(lookup::attributes("User", "alice").unwrap().number("/level"), Some(3));
        assert!(matches!(lookup::attributes("User", "bob"), Err(Refusal::Unknown)));
        crate::host::log::warn("seen");
    });
    assert_eq!(host.logged(), [(crate::host::log::Level::Warn, "seen".to_owned())]);
    // Outside of it nothing of it is left.
    assert_eq!((clock::now_milliseconds(), kv::get("k")), (0, Ok(None)));
}

#[test]
fn counts_and_values_end() {
    let (first, host) = Host::new().now_milliseconds(10_000).run(|| {
        kv::put("k", b"v", 2).unwrap();
        (counter::add("c", 2, 5).unwrap(), counter::add("c", 3, 5).unwrap())
    });
    assert_eq!(first, (2, 5));
    let (later, _) =
        host.now_milliseconds(16_000).run(|| (counter::read("c", 5), counter::read("c", 10), kv::get("k")));
    assert_eq!(later, (Ok(0), Ok(5), Ok(None)));
    assert_eq!(counter::add("", 1, 1), Err(Refusal::Invalid));
    assert_eq!(kv::put("k", &[0; (64 << 10) + 1], 1), Err(Refusal::Invalid));
}

#[test]
fn what_is_sealed_opens_in_its_place_alone() {
    let host = Host::new().key("s", Algorithm::XChaCha20Poly1305, |_| Vec::new());
    host.run(|| {
        let sealed = crypto::seal("s", b"plain", b"here").unwrap();
        assert_eq!(crypto::open("s", &sealed, b"here"), Ok(b"plain".to_vec()));
        assert_eq!(crypto::open("s", &sealed, b"there"), Err(Refusal::Invalid));
        assert_eq!(crypto::open("s", b"made up", b"here"), Err(Refusal::Invalid));
    });
}
