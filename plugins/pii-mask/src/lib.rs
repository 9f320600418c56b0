//! Masks personal data in documents: at the places that a decision obliges to, at places of the configuration, and where a
//! text looks like personal data.
//!
//! Promises: each value at and below an obligation's pointer is changed, whatever its type; where two methods meet, the
//! stricter holds; of a text that is searched, only what is found changes. Must never: show more than a method allows
//! because a key is missing or a value has an odd form.

use portcullis_sdk::host::crypto;
use portcullis_sdk::prelude::*;

mod digits;
mod find;
mod fold;
mod place;
mod show;
#[cfg(test)]
mod tests;

use find::Wanted;
use fold::Folded;
use place::Place;

/// The plugin's configuration.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    content: Vec<String>,
    content_method: How,
    paths: Vec<Path>,
    except: Vec<String>,
    hash_key: Option<String>,
    text: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            content: find::KINDS.map(str::to_owned).into(),
            content_method: How::Partial,
            paths: Vec::new(),
            except: Vec::new(),
            hash_key: None,
            text: "***".to_owned(),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    path: String,
    #[serde(default = "redact")]
    method: How,
}

fn redact() -> How {
    How::Redact
}

/// From what shows most to what shows least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    Partial,
    Hash,
    Redact,
}

impl From<Method> for How {
    fn from(method: Method) -> Self {
        match method {
            Method::Partial => Self::Partial,
            Method::Hash => Self::Hash,
            Method::Redact => Self::Redact,
        }
    }
}

/// The plugin.
struct PiiMask {
    /// What a value can be as a whole.
    everything: Wanted,
    content: Wanted,
    content_method: How,
    paths: Vec<(Place, How)>,
    except: Vec<Place>,
    hash_key: Option<String>,
    text: String,
}

/// What a key's code is made of begins with it, so that the code fits nothing else that the key is for.
const PURPOSE: &[u8] = b"pii-mask 1\0";
const CODE_BYTES: usize = 16;

impl Mask for PiiMask {
    type Config = Settings;

    fn new(settings: Settings) -> Result<Self, Failure> {
        let pattern = |text: &String| Place::pattern(text).ok_or(Failure::Misconfigured);
        let path = |path: &Path| Ok::<_, Failure>((pattern(&path.path)?, path.method));
        Ok(Self {
            everything: Wanted::everything(),
            content: Wanted::named(&settings.content).ok_or(Failure::Misconfigured)?,
            content_method: settings.content_method,
            paths: settings.paths.iter().map(path).collect::<Result<_, _>>()?,
            except: settings.except.iter().map(pattern).collect::<Result<_, _>>()?,
            hash_key: settings.hash_key,
            text: settings.text,
        })
    }

    fn mask(&self, document: &Document, obligations: &[Obligation]) -> Result<Vec<Edit>, Failure> {
        let oblige = |obligation: &Obligation| {
            let place = Place::exact(&obligation.pointer).ok_or(Failure::Invalid)?;
            Ok((place, How::from(obligation.method)))
        };
        let obliged: Vec<(Place, How)> = obligations.iter().map(oblige).collect::<Result<_, Failure>>()?;
        let leaves = document.leaves().into_iter();
        leaves.filter_map(|leaf| self.edit(leaf, &obliged).transpose()).collect()
    }
}

impl PiiMask {
    fn edit(&self, leaf: Leaf, obliged: &[(Place, How)]) -> Result<Option<Edit>, Failure> {
        // What has no parts has nothing to hide.
        if matches!(leaf.value, Node::Array(_) | Node::Object(_)) {
            return Ok(None);
        }
        let steps = place::steps(&leaf.pointer).ok_or(Failure::Invalid)?;
        let covers = |(place, how): &(Place, How)| place.covers(&steps).then_some(*how);
        let replacement = match obliged.iter().chain(&self.paths).filter_map(covers).max() {
            Some(how) => Some(self.whole(&leaf.value, how)),
            None if self.except.iter().any(|place| place.covers(&steps)) => None,
            None => self.searched(&leaf.value),
        };
        let Some(text) = replacement else { return Ok(None) };
        // A value that says no more than its mask is masked by saying nothing.
        let says_the_same = match &leaf.value {
            Node::Text(value) | Node::Number(value) => *value == text,
            _ => false,
        };
        Ok(Some(if says_the_same { Edit::null(leaf.pointer) } else { Edit::text(leaf.pointer, text) }))
    }

    /// What stands in the place of a value.
    fn whole(&self, value: &Node, how: How) -> String {
        let written = match value {
            Node::Text(text) | Node::Number(text) => text,
            Node::Boolean(true) => "true",
            Node::Boolean(false) => "false",
            _ => "null",
        };
        if how == How::Redact {
            return self.text.clone();
        }
        let folded = Folded::new(written);
        let found = self.everything.whole(&folded);
        if how == How::Hash {
            return self.hashed(&found.map_or_else(|| written.to_owned(), |found| found.canonical(&folded)));
        }
        match (found, value) {
            (Some(found), _) => show::partial(&found, &folded, &self.text),
            (None, Node::Text(_)) => show::beginning(&folded, &self.text),
            (None, _) => self.text.clone(),
        }
    }

    /// What a text is without what is found in it; none when nothing is.
    fn searched(&self, value: &Node) -> Option<String> {
        let written = match value {
            Node::Text(text) if self.content.may_be_in(text) => text,
            Node::Number(number) if self.content.may_be_in(number) => number,
            _ => return None,
        };
        let folded = Folded::new(written);
        let mut found = self.content.find(&folded);
        if matches!(value, Node::Number(_)) {
            // A number is no text with something in it: all of it is a card's, or nothing.
            found.retain(|found| found.is_card_number() && folded.is_whole(found.start, found.end));
        }
        if found.is_empty() {
            return None;
        }
        let mut masked = String::with_capacity(written.len());
        let mut at = 0;
        for found in &found {
            let (start, end) = folded.bytes(found.start, found.end);
            masked.push_str(written.get(at..start).unwrap_or_default());
            masked.push_str(&match self.content_method {
                How::Redact => self.text.clone(),
                How::Hash => self.hashed(&found.canonical(&folded)),
                How::Partial => show::partial(found, &folded, &self.text),
            });
            at = end;
        }
        masked.push_str(written.get(at..).unwrap_or_default());
        Some(masked)
    }

    /// Equal values stay equal, for who has not the key no more than that.
    fn hashed(&self, value: &str) -> String {
        let code = self.hash_key.as_deref().and_then(|key| {
            let message = [PURPOSE, value.as_bytes()].concat();
            crypto::hmac(key, &message).ok().filter(|code| code.len() >= CODE_BYTES)
        });
        let Some(code) = code else { return self.text.clone() };
        let digits = code.iter().take(CODE_BYTES).map(|byte| format!("{byte:02x}"));
        std::iter::once("hmac:".to_owned()).chain(digits).collect()
    }
}

portcullis_sdk::export_mask!(PiiMask);
