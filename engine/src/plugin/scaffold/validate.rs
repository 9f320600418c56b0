//! Rejects orders of more pieces than one may order.

use portcullis_sdk::prelude::*;

/// The configuration, as `config_schema` in `plugin.toml` describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "hundred")]
    most: u32,
}

fn hundred() -> u32 {
    100
}

struct Plugin {
    most: u32,
}

impl Validate for Plugin {
    type Config = Settings;

    /// Runs once, before the plugin serves: what is slow belongs here.
    fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self {
            most: settings.most,
        })
    }

    /// Runs for every request, each time as if nothing had been called since `new`.
    fn validate(&self, request: &Request) -> Result<Vec<Finding>, Rejection> {
        let Some(body) = request.body() else {
            return Err(Rejection::new("no-order"));
        };
        match body.number::<u32>("/quantity") {
            Some(quantity) if quantity <= self.most => Ok(Vec::new()),
            _ => {
                let finding = Finding::new(
                    "quantity",
                    60,
                    Location::body("/quantity"),
                    "not a quantity one may order",
                );
                Err(Rejection::new("too-many").with(finding))
            }
        }
    }
}

portcullis_sdk::export_validate!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(body: &str) -> Result<Vec<Finding>, Rejection> {
        let request = Request::builder()
            .method("POST")
            .path("/orders")
            .json(body)
            .build();
        Plugin { most: 100 }.validate(&request)
    }

    #[test]
    fn an_order_of_a_few_passes() {
        assert_eq!(judge(r#"{"quantity": 3}"#), Ok(Vec::new()));
    }

    #[test]
    fn an_order_of_too_many_is_rejected() {
        assert_eq!(
            judge(r#"{"quantity": 101}"#).unwrap_err().reason,
            "too-many"
        );
    }
}
