//! Masks personal data in documents: what obligations and configured paths are about, and what looks like it elsewhere.
//!
//! Promises: everything at and below an obligation's pointer is masked, whatever its type; where two rules meet, the stricter holds;
//! what can't be hashed is redacted. Must never: leave a value as it was where a rule is about it.

use portcullis_sdk::host::crypto;
use portcullis_sdk::prelude::*;

mod checks;
mod digits;
mod find;
mod ids;
mod internet;
mod text;

use find::{Found, Kind};

/// The plugin's configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    content: Vec<Kind>,
    content_method: How,
    paths: Vec<PathRule>,
    hash_key: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { content: Kind::ALL.into(), content_method: How::Partial, paths: Vec::new(), hash_key: None }
    }
}

/// A path that is always masked; `*` stands for one step.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PathRule {
    path: String,
    #[serde(default)]
    method: How,
}

/// Least strict first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Partial,
    Hash,
    #[default]
    Redact,
}

impl From<Method> for How {
    fn from(method: Method) -> Self {
        match method {
            Method::Partial => Self::Partial,
            Method::Hash => Self::Hash,
            _ => Self::Redact,
        }
    }
}

/// The plugin.
struct PiiMask {
    settings: Settings,
    /// The steps of the paths, with their methods.
    paths: Vec<(Vec<String>, How)>,
}

/// What stands in a redacted value's place.
const REDACTED: &str = "***";
/// How much of a hash is shown, in bytes: enough that no two values meet by chance.
const HASH_BYTES: usize = 16;

impl Mask for PiiMask {
    type Config = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        let steps = |path: &str| path.split('/').skip(1).map(str::to_owned).collect();
        let paths = settings.paths.iter().map(|rule| (steps(&rule.path), rule.method)).collect();
        Ok(Self { settings, paths })
    }

    fn mask(&self, document: &Document, obligations: &[Obligation]) -> Result<Vec<Edit>, Failure> {
        let mut edits = Vec::new();
        for leaf in document.leaves() {
            let rule = self.rule(&leaf.pointer, obligations);
            match (rule, &leaf.value) {
                (Some(how), value) => edits.push(self.whole(leaf.pointer.clone(), value, how)),
                (None, Node::Text(text)) => {
                    if let Some(masked) = self.content(text) {
                        edits.push(Edit::text(leaf.pointer, masked));
                    }
                }
                (None, _) => {}
            }
        }
        Ok(edits)
    }
}

impl PiiMask {
    /// The strictest rule about a place.
    fn rule(&self, pointer: &str, obligations: &[Obligation]) -> Option<How> {
        let obliged = obligations
            .iter()
            .filter(|obligation| is_within(pointer, &obligation.pointer))
            .map(|obligation| How::from(obligation.method));
        let configured = self.paths.iter().filter(|(path, _)| matches(pointer, path)).map(|(_, how)| *how);
        obliged.chain(configured).max()
    }

    /// A value as a whole.
    fn whole(&self, pointer: String, value: &Node, how: How) -> Edit {
        let text = match value {
            Node::Text(text) | Node::Number(text) => text.as_str(),
            Node::Boolean(true) => "true",
            Node::Boolean(false) => "false",
            _ => "",
        };
        let masked = match how {
            How::Redact => REDACTED.to_owned(),
            How::Hash => self.hash(text),
            How::Partial => match only(text) {
                Some(found) => partial(&found),
                None => text::first_letter(text),
            },
        };
        // What is masked must differ from what it was, also for a text that looks as if it were masked.
        if matches!(value, Node::Text(text) if *text == masked) { Edit::null(pointer) } else { Edit::text(pointer, masked) }
    }

    /// A text with what was found in it masked; none when nothing was.
    fn content(&self, text: &str) -> Option<String> {
        if self.settings.content.is_empty() {
            return None;
        }
        let found = find::all(text, &self.settings.content);
        if found.is_empty() {
            return None;
        }
        let mut masked = String::with_capacity(text.len());
        let mut rest = 0;
        for one in found {
            masked.push_str(text.get(rest..one.start)?);
            masked.push_str(&match self.settings.content_method {
                How::Partial => partial(&one),
                How::Hash => self.hash(&one.plain),
                How::Redact => REDACTED.to_owned(),
            });
            rest = one.end;
        }
        masked.push_str(text.get(rest..)?);
        Some(masked)
    }

    /// Equal for equal values, and nothing else of them. Without a key it would be a dictionary's to undo.
    fn hash(&self, text: &str) -> String {
        let Some(key) = &self.settings.hash_key else { return REDACTED.to_owned() };
        let Ok(code) = crypto::hmac(key, text.as_bytes()) else { return REDACTED.to_owned() };
        let digits: String = code.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
        format!("hmac:{digits}")
    }
}

/// What a text is, when it is one thing alone.
fn only(text: &str) -> Option<Found> {
    let mut found = find::all(text, &Kind::ALL);
    let only = found.pop().filter(|_| found.is_empty())?;
    let around = [text.get(..only.start)?, text.get(only.end..)?];
    around.iter().all(|part| part.trim().is_empty()).then_some(only)
}

/// What is usually left to see.
fn partial(found: &Found) -> String {
    let plain = found.plain.as_str();
    let last = |count| text::last(plain, count);
    match found.kind {
        Kind::Email => {
            let (local, domain) = plain.rsplit_once('@').unwrap_or((plain, ""));
            format!("{}@{domain}", text::first_letter(local))
        }
        Kind::Phone => format!("***{}", last(2)),
        Kind::Card => format!("**** {}", last(4)),
        Kind::Iban => format!("{}** **** {}", plain.chars().take(2).collect::<String>(), last(4)),
        Kind::NationalId => REDACTED.to_owned(),
        Kind::Ip => internet::network(plain),
    }
}

fn is_within(pointer: &str, place: &str) -> bool {
    pointer.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a place is at or below a path with `*`.
fn matches(pointer: &str, path: &[String]) -> bool {
    let mut steps = pointer.split('/').skip(1);
    path.iter().all(|wanted| steps.next().is_some_and(|step| wanted == "*" || wanted == step))
}

portcullis_sdk::export_mask!(PiiMask);

#[cfg(test)]
mod tests;
