//! Edits of a document: what several plugins want, as one change, held to what the decision obliges to.
//!
//! Promises: edits apply to the document as it was, so that a removed element moves no other's place; where two plugins
//! differ, the stricter holds or there is no document; a place that must be masked and is not gives no document. Must
//! never: show in an error what stands at a place.

use std::collections::BTreeMap;

use super::document::{Document, MOST_LEVELS, Node, Parts};
use crate::plugin::input::MaskObligation;
use crate::plugin::output::{Edit, Replacement};

/// Why there is no changed document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A pointer is none.
    #[error("`{0}` is not a JSON pointer (RFC 6901)")]
    NoPointer(String),
    /// Nothing stands there.
    #[error("nothing stands at `{0}`")]
    Nowhere(String),
    /// One plugin has two edits in one place, or one within the other.
    #[error("two edits touch at `{0}`")]
    Touch(String),
    /// Two plugins differ, and neither is stricter.
    #[error("plugins differ on what takes the place of `{0}`")]
    Conflict(String),
    /// A place that the decision obliges to mask is not masked.
    #[error("`{0}` must be masked, and is not")]
    Unmasked(String),
}

/// Places in a document, as a tree of pointers.
#[derive(Debug)]
struct Places<T> {
    here: Option<T>,
    below: BTreeMap<String, Self>,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self { here: None, below: BTreeMap::new() }
    }
}

/// What is to be changed.
#[derive(Debug, Default)]
pub struct Edits(Places<Replacement>);

/// What must be changed.
#[derive(Debug, Default)]
pub struct Musts(Places<()>);

impl Edits {
    /// One plugin's.
    ///
    /// # Errors
    /// When two touch, or a pointer is none.
    pub fn of(edits: Vec<Edit>) -> Result<Self, EditError> {
        let mut places = Places::default();
        for edit in edits {
            let Some(place) = places.at(&edit.pointer, |place| place.here.is_none())? else {
                return Err(EditError::Touch(edit.pointer));
            };
            if place.here.is_some() || !place.below.is_empty() {
                return Err(EditError::Touch(edit.pointer));
            }
            place.here = Some(edit.replacement);
        }
        Ok(Self(places))
    }

    /// These and another plugin's.
    ///
    /// # Errors
    /// When they differ and neither is stricter.
    pub fn and(self, other: Self) -> Result<Self, EditError> {
        self.0.and(other.0, &mut Vec::new()).map(Self)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// The document with all of them, as text; or none, when one has no place, or a must is not met.
    ///
    /// # Errors
    /// As said.
    pub fn apply(&self, document: &Document<'_>, musts: &Musts) -> Result<String, EditError> {
        let mut out = String::with_capacity(document.text(&document.root().span).len());
        let mut writing = Writing { document, out: &mut out, path: Vec::new() };
        let state = State { edits: Some(&self.0), musts: Some(&musts.0), must: false };
        // Without the whole there is null.
        if !writing.value(document.root(), &state)? {
            out.push_str("null");
        }
        Ok(out)
    }
}

impl Musts {
    /// What a decision obliges to.
    ///
    /// # Errors
    /// When a pointer is none.
    pub fn of(obligations: &[MaskObligation]) -> Result<Self, EditError> {
        let mut places = Places::default();
        for obligation in obligations {
            if let Some(place) = places.at(&obligation.pointer, |_| true)? {
                place.here = Some(());
            }
        }
        Ok(Self(places))
    }
}

impl<T> Places<T> {
    /// The place of a pointer, made if need be; none when `passes` says so of one on the way.
    fn at(&mut self, pointer: &str, passes: impl Fn(&Self) -> bool) -> Result<Option<&mut Self>, EditError> {
        let mut place = self;
        for (level, token) in tokens(pointer)?.into_iter().enumerate() {
            // No document is as deep: its tree must not be either.
            if level >= MOST_LEVELS {
                return Err(EditError::Nowhere(shortened(pointer)));
            }
            if !passes(place) {
                return Ok(None);
            }
            place = place.below.entry(token).or_default();
        }
        Ok(Some(place))
    }

    fn count(&self) -> usize {
        usize::from(self.here.is_some()) + self.below.values().map(Self::count).sum::<usize>()
    }
}

impl Places<Replacement> {
    fn and(self, other: Self, path: &mut Vec<String>) -> Result<Self, EditError> {
        let conflict = |path: &[String]| EditError::Conflict(pointer(path));
        match (self.here, other.here) {
            (Some(one), Some(another)) => {
                let here = stricter(one, another).ok_or_else(|| conflict(path))?;
                Ok(Self { here: Some(here), below: BTreeMap::new() })
            }
            (Some(here), None) | (None, Some(here)) => {
                // Text may show what an edit within it hides.
                let within = !self.below.is_empty() || !other.below.is_empty();
                if within && matches!(here, Replacement::Text(_)) {
                    return Err(conflict(path));
                }
                Ok(Self { here: Some(here), below: BTreeMap::new() })
            }
            (None, None) => {
                let mut below = self.below;
                for (token, place) in other.below {
                    path.push(token.clone());
                    let both = match below.remove(&token) {
                        Some(mine) => mine.and(place, path)?,
                        None => place,
                    };
                    path.pop();
                    below.insert(token, both);
                }
                Ok(Self { here: None, below })
            }
        }
    }
}

/// What leaves less; none when that can't be said.
fn stricter(one: Replacement, other: Replacement) -> Option<Replacement> {
    match (one, other) {
        (Replacement::Remove, _) | (_, Replacement::Remove) => Some(Replacement::Remove),
        (Replacement::Null, _) | (_, Replacement::Null) => Some(Replacement::Null),
        (Replacement::Text(one), Replacement::Text(other)) => {
            (one == other).then_some(Replacement::Text(one))
        }
    }
}

/// What holds for a value.
struct State<'p> {
    edits: Option<&'p Places<Replacement>>,
    musts: Option<&'p Places<()>>,
    must: bool,
}

impl<'p> State<'p> {
    fn below(&self, token: &str) -> Self {
        Self {
            edits: self.edits.and_then(|places| places.below.get(token)),
            musts: self.musts.and_then(|places| places.below.get(token)),
            must: self.must,
        }
    }

    fn edits_below(&self) -> usize {
        self.edits.map_or(0, |places| places.below.len())
    }

    fn musts_below(&self) -> bool {
        self.musts.is_some_and(|places| !places.below.is_empty())
    }
}

struct Writing<'w, 't> {
    document: &'w Document<'t>,
    out: &'w mut String,
    path: Vec<String>,
}

impl Writing<'_, '_> {
    /// Writes a value, or what takes its place; false when nothing does.
    fn value(&mut self, node: &Node, state: &State<'_>) -> Result<bool, EditError> {
        let here = state.musts.is_some_and(|places| places.here.is_some());
        let state = State { must: state.must || here, ..*state };
        if let Some(replacement) = state.edits.and_then(|places| places.here.as_ref()) {
            return self.replacement(node, replacement, &state);
        }
        let written = self.document.text(&node.span);
        match &node.parts {
            Parts::None if state.must => return Err(EditError::Unmasked(pointer(&self.path))),
            Parts::None if state.edits_below() > 0 => return Err(self.nowhere(&state)),
            Parts::Array(elements) if self.goes_in(&state) => self.elements(elements, &state)?,
            Parts::Object(_) if self.goes_in(&state) => self.members(node, &state)?,
            _ => self.out.push_str(written),
        }
        Ok(true)
    }

    fn goes_in(&self, state: &State<'_>) -> bool {
        state.must || state.edits_below() > 0 || state.musts_below()
    }

    fn replacement(
        &mut self,
        node: &Node,
        replacement: &Replacement,
        state: &State<'_>,
    ) -> Result<bool, EditError> {
        match replacement {
            Replacement::Remove => return Ok(false),
            Replacement::Null => self.out.push_str("null"),
            Replacement::Text(text) => {
                if (state.must || state.musts_below()) && self.is_same(node, text) {
                    return Err(EditError::Unmasked(pointer(&self.path)));
                }
                self.out.push_str(&serde_json::Value::from(text.as_str()).to_string());
            }
        }
        Ok(true)
    }

    /// Whether a text says all that it stands for.
    fn is_same(&self, node: &Node, text: &str) -> bool {
        let written = self.document.text(&node.span);
        let said: Result<String, _> = serde_json::from_str(written);
        !text.is_empty() && (text == written || said.is_ok_and(|said| said == text))
    }

    fn elements(&mut self, elements: &[Node], state: &State<'_>) -> Result<(), EditError> {
        self.out.push('[');
        let (mut met, mut first) = (0, true);
        for (place, element) in elements.iter().enumerate() {
            let token = place.to_string();
            met += self.part(("", token), element, state, &mut first)?;
        }
        self.out.push(']');
        if met < state.edits_below() { Err(self.nowhere(state)) } else { Ok(()) }
    }

    fn members(&mut self, node: &Node, state: &State<'_>) -> Result<(), EditError> {
        let Parts::Object(members) = &node.parts else { return Ok(()) };
        self.out.push('{');
        let (mut met, mut first) = (0, true);
        for member in members {
            let written = self.document.text(&member.written);
            met += self.part((written, member.name.clone()), &member.value, state, &mut first)?;
        }
        self.out.push('}');
        if met < state.edits_below() { Err(self.nowhere(state)) } else { Ok(()) }
    }

    /// Writes one part with its comma; 1 when edits stand at it or within.
    fn part(
        &mut self,
        (written, token): (&str, String),
        node: &Node,
        state: &State<'_>,
        first: &mut bool,
    ) -> Result<usize, EditError> {
        let below = state.below(&token);
        let met = usize::from(below.edits.is_some());
        let start = self.out.len();
        if !*first {
            self.out.push(',');
        }
        if !written.is_empty() {
            self.out.push_str(written);
            self.out.push(':');
        }
        self.path.push(token);
        let stays = self.value(node, &below)?;
        self.path.pop();
        if stays {
            *first = false;
        } else {
            self.out.truncate(start);
        }
        Ok(met)
    }

    /// An edit below a value that has no such part.
    fn nowhere(&self, state: &State<'_>) -> EditError {
        let mut path = self.path.clone();
        let mut places = state.edits;
        while let Some((token, below)) = places.and_then(|places| places.below.first_key_value()) {
            path.push(token.clone());
            places = Some(below);
        }
        EditError::Nowhere(shortened(&pointer(&path)))
    }
}

/// The tokens of a pointer (RFC 6901 §3, §4).
fn tokens(pointer: &str) -> Result<Vec<String>, EditError> {
    let wrong = || EditError::NoPointer(shortened(pointer));
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let token = |written: &str| {
        let escapes_hold = written.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
        escapes_hold.then(|| written.replace("~1", "/").replace("~0", "~")).ok_or_else(wrong)
    };
    pointer.strip_prefix('/').ok_or_else(wrong)?.split('/').map(token).collect()
}

fn pointer(tokens: &[String]) -> String {
    tokens.iter().map(|token| format!("/{}", token.replace('~', "~0").replace('/', "~1"))).collect()
}

/// A pointer comes from a plugin: it must not fill a log.
fn shortened(pointer: &str) -> String {
    const CHARACTERS: usize = 200;
    match pointer.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", pointer.get(..end).unwrap_or_default()),
        None => pointer.to_owned(),
    }
}

#[cfg(test)]
mod tests;
