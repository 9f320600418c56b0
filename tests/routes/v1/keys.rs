//! `GET /v1/keys`: names and what is public of them, and nothing that is secret.

use portcullis_tests::Server;
use serde_json::json;

use crate::assertions::{members, names};
use crate::fixtures::{limited_key, records};

const PATH: &str = "/v1/keys";

const KEYS: &str = "[keys.partner]\nalgorithm = \"ed25519\"\n[keys.macs]\nalgorithm = \"hmac-sha256\"\n\
    [keys.seals]\nalgorithm = \"xchacha20-poly1305\"\n";

#[test]
fn the_list_has_every_key_and_the_public_half_of_those_that_have_one() {
    let mut server = Server::builder().pack(records()).config(KEYS).start();
    let shown = server.get(PATH).expect_status(200).json();
    let of = |name: &str| {
        let items = shown["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name}: {shown}"))
    };
    assert_eq!(shown["items"].as_array().unwrap().len(), 3);
    assert_eq!(members(of("macs")), names(["name", "algorithm"]));
    assert_eq!(members(of("seals")), names(["name", "algorithm"]));
    let partner = of("partner");
    assert_eq!(partner["algorithm"], json!("ed25519"));
    assert_eq!(partner["public_key"].as_str().unwrap().len(), 44, "{partner}");
    let jwk = &partner["jwk"];
    assert_eq!(members(jwk), names(["kty", "crv", "x", "kid", "alg", "use"]));
    assert_eq!(
        (&jwk["kty"], &jwk["crv"], &jwk["kid"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("partner"))
    );
    let plain = partner["public_key"].as_str().unwrap().replace('+', "-").replace('/', "_");
    assert_eq!(jwk["x"].as_str().unwrap(), plain.trim_end_matches('='));
    // It is derived: the next start has the same.
    server.restart();
    assert_eq!(server.get(PATH).expect_status(200).json(), shown);
}

#[test]
fn it_takes_a_key_and_its_right() {
    let server = Server::builder().pack(records()).config(KEYS).start();
    assert_eq!(server.with_key(None).get(PATH).expect_status(401).problem(), "caller_key_missing");
    let other = server.with_key(Some(&limited_key(&server, &["read_decisions", "assert_subject"])));
    assert_eq!(other.get(PATH).expect_status(403).problem(), "right_missing");
    for right in ["read_keys", "manage"] {
        let client = server.with_key(Some(&limited_key(&server, &[right])));
        let _ = client.get(PATH).expect_status(200);
    }
}
