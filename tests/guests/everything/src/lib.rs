//! Uses what the header `x-use` names, and says what it got.

use portcullis_sdk::prelude::*;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    word: String,
}

struct Everything {
    word: String,
}

impl Validate for Everything {
    type Config = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self { word: settings.word })
    }

    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
        let key = request.header("x-key").unwrap_or("key");
        let mut findings = Vec::new();
        for wanted in request.header("x-use").unwrap_or_default().split(',') {
            let got = match wanted {
                "log" => {
                    host::log::info("it was called");
                    "written".to_owned()
                }
                "config" => self.word.clone(),
                "clock" => host::clock::now_milliseconds().to_string(),
                "random" => format!("{:?}", host::random::bytes(4)),
                "counter" => format!("{:?}", host::counter::add(key, 1, 60)),
                "kv" => {
                    let before = host::kv::get(key);
                    let kept = host::kv::put(key, b"value", 60);
                    format!("{before:?} {kept:?}")
                }
                "crypto" => format!("{:?}", host::crypto::hmac(key, b"message").map(|code| code.len())),
                "lookup" => {
                    let attributes = host::lookup::attributes("user", "alice");
                    format!("{:?}", attributes.map(|document| document.json("")))
                }
                "credentials" => request.header("authorization").unwrap_or("absent").to_owned(),
                _ => continue,
            };
            findings.push(Finding::new(wanted, 0, Location::Whole, got));
        }
        Ok(findings)
    }
}

portcullis_sdk::export_validate!(Everything);
