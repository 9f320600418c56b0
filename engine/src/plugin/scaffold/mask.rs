//! Puts a text in the place of every value that must not be seen.

use portcullis_sdk::prelude::*;

/// The configuration, as `config_schema` in `plugin.toml` describes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default = "stars")]
    text: String,
}

fn stars() -> String {
    "***".to_owned()
}

struct Plugin {
    text: String,
}

impl Mask for Plugin {
    type Config = Settings;

    /// Runs once, before the plugin serves: what is slow belongs here.
    fn new(settings: Settings) -> Result<Self, Failure> {
        Ok(Self {
            text: settings.text,
        })
    }

    /// Every obligation must be met: at its pointer, or at each leaf below it.
    fn mask(&self, document: &Document, obligations: &[Obligation]) -> Result<Vec<Edit>, Failure> {
        let is_meant = |leaf: &Leaf| {
            obligations
                .iter()
                .any(|obligation| is_within(&leaf.pointer, &obligation.pointer))
        };
        let meant = document.leaves().into_iter().filter(is_meant);
        Ok(meant
            .map(|leaf| Edit::text(leaf.pointer, self.text.clone()))
            .collect())
    }
}

/// Whether a pointer is another, or leads below it.
fn is_within(pointer: &str, other: &str) -> bool {
    pointer
        .strip_prefix(other)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

portcullis_sdk::export_mask!(Plugin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_an_obligation_is_masked_and_nothing_else() {
        let document = Document::parse(r#"{"name": {"first": "Ada"}, "names": 2}"#).unwrap();
        let obligations = [Obligation::new("/name", Method::Redact)];
        let edits = Plugin { text: stars() }
            .mask(&document, &obligations)
            .unwrap();
        assert_eq!(edits, [Edit::text("/name/first", "***")]);
    }
}
