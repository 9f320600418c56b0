//! The entities that one evaluation asked for, each looked up once.
//!
//! Must never: take what can't be read for what is not there.

use std::cell::{Cell, OnceCell};
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID};

use super::run::GivesWay;
use crate::entity::View;
use crate::entity::interned::is_same;
use crate::entity::view::Held;

/// More entities than these are left to Cedar, over a slice.
const MOST: usize = 64;

/// The entities of one evaluation.
pub struct Pool<'p> {
    view: &'p View<'p>,
    laid_over: &'p [Arc<Entity>],
    /// Principal, action and resource.
    roots: [(&'p EntityUID, OnceCell<Held<'p>>); 3],
    first: OnceCell<Box<Link<'p>>>,
    unreadable: Cell<bool>,
}

/// One that was asked for, and the next.
struct Link<'p> {
    held: Held<'p>,
    /// Its id, if there is no entity that has it. (To copy an id counts what all threads share.)
    missing: Option<EntityUID>,
    next: OnceCell<Box<Link<'p>>>,
}

impl Link<'_> {
    fn is_of(&self, uid: &EntityUID) -> bool {
        let own = self.held.entity().map(Entity::uid).or(self.missing.as_ref());
        own.is_some_and(|own| is_same(own, uid))
    }
}

impl<'p> Pool<'p> {
    /// Of a view; `laid_over` comes first.
    pub fn new(view: &'p View<'p>, laid_over: &'p [Arc<Entity>], roots: [&'p EntityUID; 3]) -> Self {
        let roots = roots.map(|uid| (uid, OnceCell::new()));
        Self { view, laid_over, roots, first: OnceCell::new(), unreadable: Cell::new(false) }
    }

    /// Where entities come from.
    pub fn view(&self) -> &'p View<'p> {
        self.view
    }

    /// Whether an entity that was asked for can't be read: then there is nothing to judge by.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable.get()
    }

    /// The entity, if there is one.
    pub fn get(&self, uid: &EntityUID) -> Result<Option<&Entity>, GivesWay> {
        if let Some(entity) = self.laid_over.iter().find(|entity| is_same(entity.uid(), uid)) {
            return Ok(Some(entity));
        }
        // Mostly it is asked for by the very id that stands here.
        let itself = self.roots.iter().find(|(root, _)| std::ptr::eq(*root, uid));
        if let Some((_, held)) = itself.or_else(|| self.roots.iter().find(|(root, _)| is_same(root, uid))) {
            return match held.get() {
                Some(held) => Ok(held.entity()),
                None => {
                    let found = self.find(uid)?;
                    Ok(held.get_or_init(|| found).entity())
                }
            };
        }
        let mut place = &self.first;
        for _ in 0..MOST {
            match place.get() {
                Some(link) if link.is_of(uid) => return Ok(link.held.entity()),
                Some(link) => place = &link.next,
                None => {
                    let held = self.find(uid)?;
                    let missing = held.entity().is_none().then(|| uid.clone());
                    let link = Link { held, missing, next: OnceCell::new() };
                    return Ok(place.get_or_init(|| Box::new(link)).held.entity());
                }
            }
        }
        Err(GivesWay)
    }

    fn find(&self, uid: &EntityUID) -> Result<Held<'p>, GivesWay> {
        self.view.hold(uid).map_err(|_| {
            self.unreadable.set(true);
            GivesWay
        })
    }
}
