//! The entities that one request needs.
//!
//! Principal, resource and what policies can reach from them, with the application's own properties laid
//! over the stored attributes as the pack says. Everything else stays where it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID, Literal, PartialValue, Value, ValueKind};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;

use super::reach::{Node, Reach};
use super::value::Record;
use crate::entity::View;

/// What the application's properties may do to stored attributes.
///
/// In order, the strictest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlay {
    /// The application's value wins.
    Override,
    /// Only what the store does not hold.
    #[default]
    Fill,
    /// The application's values do not count.
    Ignore,
}

/// Lays `properties` over the entity `uid`.
pub fn lay_over(
    stored: Option<&Arc<Entity>>,
    uid: &EntityUID,
    properties: &Record,
    overlay: Overlay,
) -> Option<Arc<Entity>> {
    if properties.is_empty() || overlay == Overlay::Ignore {
        return stored.cloned();
    }
    let known =
        |(name, value): (&smol_str::SmolStr, &Value)| (name.clone(), PartialValue::Value(value.clone()));
    let asserted = properties.iter().map(known);
    let Some(stored) = stored else {
        let none = HashSet::new;
        return Some(Arc::new(Entity::new_with_attr_partial_value(
            uid.clone(),
            asserted,
            none(),
            none(),
            [],
        )));
    };
    let held = stored.attrs().map(|(name, value)| (name.clone(), value.clone()));
    // Later pairs replace earlier ones.
    let attributes: Vec<_> = match overlay {
        Overlay::Override => held.chain(asserted).collect(),
        _ => asserted.chain(held).collect(),
    };
    Some(Arc::new(Entity::new_with_attr_partial_value(
        uid.clone(),
        attributes,
        stored.indirect_ancestors().cloned().collect(),
        stored.parents().cloned().collect(),
        stored.tags().map(|(name, value)| (name.clone(), value.clone())),
    )))
}

/// Collects the entities of one request.
pub struct Slicer<'s> {
    view: &'s View<'s>,
    laid_over: &'s [Arc<Entity>],
    found: HashMap<EntityUID, Arc<Entity>, foldhash::fast::RandomState>,
    unreadable: bool,
}

impl<'s> Slicer<'s> {
    /// Starts with the entities that carry the application's properties.
    pub fn new(view: &'s View<'s>, laid_over: &'s [Arc<Entity>]) -> Self {
        Self { view, laid_over, found: HashMap::default(), unreadable: false }
    }

    /// The slice: all that `reach` can read from these roots; none when part of it can't be read.
    pub fn collect(
        mut self,
        reach: &Reach,
        [principal, action, resource]: [&EntityUID; 3],
        context: &Record,
    ) -> Option<Entities> {
        self.visit_entity(principal, &reach.principal);
        self.visit_entity(action, &reach.action);
        self.visit_entity(resource, &reach.resource);
        for (name, node) in &reach.context.attributes {
            if let Some(value) = context.get(name) {
                self.visit_value(value, node);
            }
        }
        for (uid, node) in &reach.literals {
            self.visit_entity(uid, node);
        }
        if reach.unbounded {
            self.close_over([principal, action, resource], context, reach);
        }
        if self.unreadable {
            return None;
        }
        let entities = self.found.into_values();
        Entities::new()
            .add_entities(
                entities,
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .ok()
    }

    fn look_up(&mut self, uid: &EntityUID) -> Option<Arc<Entity>> {
        let known = self.laid_over.iter().find(|entity| entity.uid() == uid).or_else(|| self.found.get(uid));
        if known.is_some() {
            return known.cloned();
        }
        self.view.get(uid).unwrap_or_else(|_| {
            self.unreadable = true;
            None
        })
    }

    fn visit_entity(&mut self, uid: &EntityUID, node: &Node) {
        if !node.entity {
            return;
        }
        let Some(entity) = self.look_up(uid) else { return };
        self.found.entry(uid.clone()).or_insert_with(|| Arc::clone(&entity));
        for (name, below) in &node.attributes {
            if let Some(PartialValue::Value(value)) = entity.get(name) {
                self.visit_value(value, below);
            }
        }
        if let Some(below) = &node.tags {
            for (_, value) in entity.tags() {
                if let PartialValue::Value(value) = value {
                    self.visit_value(value, below);
                }
            }
        }
    }

    fn visit_value(&mut self, value: &Value, node: &Node) {
        match &value.value {
            ValueKind::Lit(Literal::EntityUID(uid)) => self.visit_entity(uid, node),
            ValueKind::Record(members) => {
                for (name, below) in &node.attributes {
                    if let Some(member) = members.get(name) {
                        self.visit_value(member, below);
                    }
                }
            }
            // A set's elements can't be taken out, and other values hold no entities.
            _ => {}
        }
    }

    /// Everything that can be reached by any attribute or tag.
    fn close_over(&mut self, roots: [&EntityUID; 3], context: &Record, reach: &Reach) {
        let mut waiting: Vec<EntityUID> = roots.into_iter().cloned().collect();
        waiting.extend(reach.literals.keys().cloned());
        waiting.extend(context.values().flat_map(Value::all_literal_uids));
        let mut seen: HashSet<EntityUID> = HashSet::new();
        while let Some(uid) = waiting.pop() {
            if !seen.insert(uid.clone()) {
                continue;
            }
            let Some(entity) = self.look_up(&uid) else { continue };
            for (_, value) in entity.attrs().chain(entity.tags()) {
                if let PartialValue::Value(value) = value {
                    waiting.extend(value.all_literal_uids());
                }
            }
            self.found.entry(uid).or_insert(entity);
        }
    }
}
