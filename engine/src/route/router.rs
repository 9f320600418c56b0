//! Which route a request has.
//!
//! Promises: at most one; the exact segment counts before `{name}`, that before `{*rest}`, the method before `*`. Patterns
//! of which none of these says which counts are refused. A request that another reader could take for one of another,
//! more exact route has none: `/orders;a` is no `/{page}` where there is `/orders`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::path::{generous, plain, segments};
use super::pattern::{Pattern, Piece, Relation};

/// A longer path is not looked at: no known route has one, and nobody can say what else it is.
const PATH_BYTES: usize = 16 << 10;

/// Routes by their segments.
#[derive(Debug, Default)]
pub(crate) struct Router {
    root: Node,
    /// The same with all names plain, as generous readers take them.
    plain: Node,
    patterns: Vec<Pattern>,
}

#[derive(Debug, Default)]
struct Node {
    exact: HashMap<String, Node>,
    one: Option<Box<Node>>,
    rest: Methods,
    here: Methods,
}

/// Methods, and which route each is.
#[derive(Debug, Default)]
struct Methods(Vec<(String, usize)>);

impl Methods {
    fn find(&self, method: &str) -> Option<usize> {
        let named = |wanted: &str| self.0.iter().find(|(known, _)| known == wanted).map(|(_, route)| *route);
        named(method).or_else(|| named("*"))
    }
}

impl Router {
    /// A router; the patterns' places are the routes'.
    ///
    /// # Errors
    /// Two places whose patterns are in each other's way, and how.
    pub(crate) fn new(patterns: &[Pattern]) -> Result<Self, (usize, usize, &'static str)> {
        for (second, pattern) in patterns.iter().enumerate() {
            for (first, earlier) in patterns.iter().take(second).enumerate() {
                if !pattern.shares_method(earlier) {
                    continue;
                }
                match pattern.relation(earlier) {
                    Relation::Equal if pattern.method == earlier.method => {
                        return Err((first, second, "the same requests are the ones of"));
                    }
                    Relation::Crossing => {
                        return Err((
                            first,
                            second,
                            "it shares paths with another, and neither is more exact in every segment: see",
                        ));
                    }
                    _ => {}
                }
            }
        }
        let (mut root, mut plain) = (Node::default(), Node::default());
        for (route, pattern) in patterns.iter().enumerate() {
            root.add(&pattern.pieces, &pattern.method, route);
            plain.add(&pattern.plain_pieces(), &pattern.method.to_ascii_uppercase(), route);
        }
        Ok(Self { root, plain, patterns: patterns.to_vec() })
    }

    /// The route of a request.
    pub(crate) fn find(&self, method: &str, path: &str) -> Option<usize> {
        if path.len() > PATH_BYTES {
            return None;
        }
        let route = self.root.find(&segments(path)?, method)?;
        let pattern = self.patterns.get(route)?;
        let leads_elsewhere = self.readings(method, path).any(|(reading, other)| {
            let shares = self.patterns.get(other).map(|other| other.relation(pattern));
            other != route && (!pattern.takes(&reading) || shares != Some(Relation::Apart))
        });
        (!leads_elsewhere).then_some(route)
    }

    /// Whether a generous reader could take a request that has no route for one that has.
    pub(crate) fn resembles(&self, method: &str, path: &str) -> bool {
        // A known path under a method that it does not have is another request.
        path.len() > PATH_BYTES || self.readings(method, path).next().is_some()
    }

    /// How generous readers could take a path, and the route that it has for them.
    fn readings(&self, method: &str, path: &str) -> impl Iterator<Item = (Vec<Cow<'static, str>>, usize)> {
        let method = method.to_ascii_uppercase();
        generous(path).into_iter().filter_map(move |reading| {
            let reading: Vec<_> = reading.into_iter().map(Cow::Owned).collect();
            let route = self.plain.find(&reading, &method)?;
            Some((reading, route))
        })
    }
}

impl Pattern {
    /// Its pieces as generous readers take them: the slash at the end is nothing to them.
    fn plain_pieces(&self) -> Vec<Piece> {
        let plain = |piece: &Piece| match piece {
            Piece::Exact(text) if text.is_empty() => None,
            Piece::Exact(text) => Some(Piece::Exact(plain(text))),
            Piece::One | Piece::Rest => Some(piece.clone()),
        };
        self.pieces.iter().filter_map(plain).collect()
    }

    /// Whether it is the pattern of such a reading.
    fn takes(&self, reading: &[Cow<'_, str>]) -> bool {
        let mut root = Node::default();
        root.add(&self.plain_pieces(), "*", 0);
        root.find(reading, "*").is_some()
    }
}

impl Node {
    fn add(&mut self, pieces: &[Piece], method: &str, route: usize) {
        let named = (method.to_owned(), route);
        match pieces.split_first() {
            None => self.here.0.push(named),
            Some((Piece::Rest, _)) => self.rest.0.push(named),
            Some((Piece::One, rest)) => self.one.get_or_insert_default().add(rest, method, route),
            Some((Piece::Exact(text), rest)) => {
                self.exact.entry(text.clone()).or_default().add(rest, method, route);
            }
        }
    }

    fn find(&self, segments: &[Cow<'_, str>], method: &str) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else { return self.here.find(method) };
        let exact = || self.exact.get(&**first)?.find(rest, method);
        let one = || self.one.as_ref().filter(|_| !first.is_empty())?.find(rest, method);
        exact().or_else(one).or_else(|| if first.is_empty() { None } else { self.rest.find(method) })
    }
}
