//! Places in a document: JSON pointers (RFC 6901), and patterns of them in which `*` is any one step.
//!
//! Promises: a place covers itself and everything below it. Must never: read a pointer out of form as another one.

use std::borrow::Cow;

/// A place, or a pattern of places.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Any,
    Named(String),
}

impl Place {
    /// One place. A member called `*` is just that.
    pub(crate) fn exact(pointer: &str) -> Option<Self> {
        Some(Self(steps(pointer)?.into_iter().map(|step| Step::Named(step.into_owned())).collect()))
    }

    /// A pattern.
    pub(crate) fn pattern(text: &str) -> Option<Self> {
        let step = |step: Cow<'_, str>| if step == "*" { Step::Any } else { Step::Named(step.into_owned()) };
        Some(Self(steps(text)?.into_iter().map(step).collect()))
    }

    /// Whether a place stands at it or below.
    pub(crate) fn covers(&self, steps: &[Cow<'_, str>]) -> bool {
        self.0.len() <= steps.len()
            && self.0.iter().zip(steps).all(|(mine, step)| match mine {
                Step::Any => true,
                Step::Named(name) => name == step,
            })
    }
}

/// The steps of a pointer; none when it is out of form.
pub(crate) fn steps(pointer: &str) -> Option<Vec<Cow<'_, str>>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(step).collect()
}

fn step(written: &str) -> Option<Cow<'_, str>> {
    if !written.contains('~') {
        return Some(Cow::Borrowed(written));
    }
    let mut parts = written.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        name.push(match part.as_bytes().first()? {
            b'0' => '~',
            b'1' => '/',
            _ => return None,
        });
        name.push_str(part.get(1..)?);
    }
    Some(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(place: &Place, pointer: &str) -> bool {
        place.covers(&steps(pointer).unwrap())
    }

    #[test]
    fn a_place_covers_itself_and_what_is_below() {
        let place = Place::exact("/a/b").unwrap();
        assert!(covers(&place, "/a/b") && covers(&place, "/a/b/0/c"));
        assert!(!covers(&place, "/a") && !covers(&place, "/a/bc") && !covers(&place, "/b/a"));
        assert!(covers(&Place::exact("").unwrap(), "/x") && covers(&Place::exact("").unwrap(), ""));
    }

    #[test]
    fn a_star_is_one_step_in_patterns_alone() {
        let pattern = Place::pattern("/people/*/email").unwrap();
        assert!(covers(&pattern, "/people/0/email") && covers(&pattern, "/people/ann/email/0"));
        assert!(!covers(&pattern, "/people/email") && !covers(&pattern, "/people/0/1/email"));
        assert!(!covers(&Place::exact("/*").unwrap(), "/a"));
    }

    #[test]
    fn escapes_are_read_once_and_others_are_refused() {
        assert_eq!(steps("/a~1b/~01//").unwrap(), ["a/b", "~1", "", ""]);
        assert!(steps("a").is_none() && steps("/~2").is_none() && steps("/~").is_none());
    }
}
