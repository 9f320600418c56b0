//! A change of what a question is about: of an attribute, of what an entity is in, of the context.
//!
//! Promises: a question with a change applied is the question that would be asked, were things so.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{Entity, EntityUID, PartialValue, Value, ValueKind};
use serde::Serialize;
use smol_str::SmolStr;

use super::judge::look_up;
use super::path::{Holder, text};
use super::shown::{EntityTold, json, literal};
use crate::decision::Question;
use crate::entity::View;

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// An attribute gets this value.
    Set(Value),
    /// An attribute is to be there, whatever its value.
    Have,
    Remove,
    /// A set gets these elements.
    Add(Vec<Value>),
    /// A set loses these elements.
    Take(Vec<Value>),
    /// An entity is put into another.
    Join(EntityUID),
    /// An entity is taken out of another.
    Leave(EntityUID),
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) holder: Holder,
    pub(super) path: Vec<SmolStr>,
    pub(super) edit: Edit,
}

/// The question with changes applied; none when one can't be. `thorough`: who leaves a group is no longer in what only that
/// group is in either. (Whether they are is not always known: a change is told if it works both ways.)
pub(super) fn apply(
    question: &Question,
    view: &View<'_>,
    changes: &[Change],
    thorough: bool,
) -> Option<Question> {
    let mut changed = Question {
        principal: question.principal.clone(),
        action: question.action.clone(),
        resource: question.resource.clone(),
        context: Arc::clone(&question.context),
        laid_over: question.laid_over.clone(),
        context_left_out: question.context_left_out.clone(),
        subject_left_out: question.subject_left_out.clone(),
        resource_left_out: question.resource_left_out.clone(),
        unreadable: question.unreadable,
    };
    for change in changes {
        match &change.holder {
            Holder::Context => {
                let context = Arc::make_mut(&mut changed.context);
                edit(context, &change.path, &change.edit)?;
            }
            Holder::Entity(uid) => {
                let entity =
                    look_up(&changed, view, uid).unwrap_or_else(|| Arc::new(Entity::with_uid(uid.clone())));
                let entity = match &change.edit {
                    Edit::Join(group) => joined(&changed, view, &entity, group)?,
                    Edit::Leave(group) => left(&changed, view, (&entity, group), thorough),
                    _ => with_attribute(&entity, change)?,
                };
                changed.laid_over.retain(|one| one.uid() != uid);
                changed.laid_over.push(Arc::new(entity));
            }
        }
    }
    Some(changed)
}

fn with_attribute(entity: &Entity, change: &Change) -> Option<Entity> {
    let mut attributes = BTreeMap::new();
    for (name, value) in entity.attrs() {
        let PartialValue::Value(value) = value else { return None };
        attributes.insert(name.clone(), value.clone());
    }
    edit(&mut attributes, &change.path, &change.edit)?;
    let attributes = attributes.into_iter().map(|(name, value)| (name, PartialValue::Value(value)));
    Some(rebuilt(entity, attributes, [ancestors(entity.indirect_ancestors()), ancestors(entity.parents())]))
}

fn ancestors<'u>(uids: impl Iterator<Item = &'u EntityUID>) -> HashSet<EntityUID> {
    uids.cloned().collect()
}

fn rebuilt(
    entity: &Entity,
    attributes: impl IntoIterator<Item = (SmolStr, PartialValue)>,
    [indirect, parents]: [HashSet<EntityUID>; 2],
) -> Entity {
    let tags = entity.tags().map(|(name, value)| (name.clone(), value.clone()));
    Entity::new_with_attr_partial_value(entity.uid().clone(), attributes, indirect, parents, tags)
}

fn moved(entity: &Entity, ancestors: [HashSet<EntityUID>; 2]) -> Entity {
    let attributes = entity.attrs().map(|(name, value)| (name.clone(), value.clone()));
    rebuilt(entity, attributes.collect::<Vec<_>>(), ancestors)
}

/// In another entity, and in all that it is in; none if that would be a circle, or would move others too.
fn joined(question: &Question, view: &View<'_>, entity: &Entity, group: &EntityUID) -> Option<Entity> {
    let above = look_up(question, view, group);
    let above = above.iter().flat_map(|group| group.ancestors()).cloned();
    let mut indirect: HashSet<EntityUID> = above.collect();
    let others = [&question.principal, &question.resource].into_iter().filter(|uid| *uid != entity.uid());
    let moves = others
        .filter_map(|uid| look_up(question, view, uid))
        .any(|other| other.is_descendant_of(entity.uid()));
    if indirect.contains(entity.uid()) || group == entity.uid() || moves {
        return None;
    }
    indirect.extend(entity.indirect_ancestors().cloned());
    let mut parents = ancestors(entity.parents());
    parents.insert(group.clone());
    Some(moved(entity, [indirect, parents]))
}

/// In an entity no longer.
fn left(
    question: &Question,
    view: &View<'_>,
    (entity, group): (&Entity, &EntityUID),
    thorough: bool,
) -> Entity {
    let [mut indirect, mut parents] = [ancestors(entity.indirect_ancestors()), ancestors(entity.parents())];
    let was_parent = parents.remove(group);
    indirect.remove(group);
    let remaining = || parents.iter().chain(&indirect).filter(|uid| *uid != group);
    if was_parent || thorough {
        let above = |uid: &EntityUID| {
            look_up(question, view, uid).map(|one| ancestors(one.ancestors())).unwrap_or_default()
        };
        let of_group = above(group);
        let kept: HashSet<EntityUID> = remaining()
            .filter(|uid| !of_group.contains(*uid) || parents.contains(*uid))
            .flat_map(|uid| above(uid).into_iter().chain([uid.clone()]))
            .collect();
        indirect = kept.into_iter().filter(|uid| !parents.contains(uid)).collect();
    }
    moved(entity, [indirect, parents])
}

/// Changes a member of a record, however deep. Records on the way that are not there are made.
fn edit(record: &mut BTreeMap<SmolStr, Value>, path: &[SmolStr], how: &Edit) -> Option<()> {
    let (name, below) = path.split_first()?;
    if below.is_empty() {
        return match how {
            Edit::Set(value) => record.insert(name.clone(), value.clone()).map_or(Some(()), |_| Some(())),
            Edit::Have => {
                record.entry(name.clone()).or_insert_with(|| literal(true));
                Some(())
            }
            Edit::Remove => record.remove(name).map(|_| ()),
            Edit::Add(elements) | Edit::Take(elements) => {
                let adds = matches!(how, Edit::Add(_));
                let held = match record.get(name).map(Value::value_kind) {
                    Some(ValueKind::Set(set)) => set.iter().cloned().collect(),
                    None if adds => Vec::new(),
                    _ => return None,
                };
                let kept = held.into_iter().filter(|element| !elements.contains(element));
                let added = elements.iter().filter(|_| adds).cloned();
                let set = Value::set(kept.chain(added).collect::<Vec<_>>(), None);
                record.insert(name.clone(), set);
                Some(())
            }
            Edit::Join(_) | Edit::Leave(_) => None,
        };
    }
    let mut members = match record.get(name).map(Value::value_kind) {
        Some(ValueKind::Record(members)) => members.as_ref().clone(),
        None => BTreeMap::new(),
        Some(_) => return None,
    };
    edit(&mut members, below, how)?;
    record.insert(name.clone(), Value { value: ValueKind::Record(Arc::new(members)), loc: None });
    Some(())
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ChangeKind)]
pub enum ChangeKind {
    /// An attribute, or a member of the context, gets the value `value`.
    Set,
    /// It is not there any more.
    Remove,
    /// A set gets the elements of `value`.
    AddElements,
    /// A set loses the elements of `value`.
    RemoveElements,
    /// An entity is put into `parent`.
    AddParent,
    /// An entity is taken out of `parent`.
    RemoveParent,
}

/// Of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ChangeOf)]
pub enum Of {
    /// Of the subject.
    Principal,
    /// Of the resource.
    Resource,
    /// Of the context.
    Context,
    /// Of another entity.
    Entity,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = Change)]
pub struct ChangeTold {
    /// What is done.
    pub change: ChangeKind,
    /// Of what.
    pub of: Of,
    /// Of which entity; absent for the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityTold>,
    /// The names that lead to the attribute; empty for parents.
    pub path: Vec<String>,
    /// The value, or the elements. An entity is `{"__entity": …}`, a value of another type `{"__extn": …}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<serde_json::Value>,
    /// The entity that it is put into, or taken out of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<EntityTold>,
    /// The same in words.
    pub text: String,
}

impl Change {
    /// As it is shown; none when its value is too long for that.
    pub(super) fn tell(&self, question: &Question) -> Option<ChangeTold> {
        let (of, root, entity) = match &self.holder {
            Holder::Context => (Of::Context, "context".to_owned(), None),
            Holder::Entity(uid) if *uid == question.principal => {
                (Of::Principal, "principal".to_owned(), Some(uid))
            }
            Holder::Entity(uid) if *uid == question.resource => {
                (Of::Resource, "resource".to_owned(), Some(uid))
            }
            Holder::Entity(uid) => (Of::Entity, uid.to_string(), Some(uid)),
        };
        let place = text(&root, &self.path);
        let value = match &self.edit {
            Edit::Set(value) => Some(value.clone()),
            Edit::Have => Some(literal(true)),
            Edit::Add(elements) | Edit::Take(elements) => Some(Value::set(elements.clone(), None)),
            Edit::Remove | Edit::Join(_) | Edit::Leave(_) => None,
        };
        let json = value.as_ref().map(|value| json(value).ok_or(())).transpose().ok()?;
        let shown = value.as_ref().map(ToString::to_string).unwrap_or_default();
        let (change, parent, text) = match &self.edit {
            Edit::Set(_) | Edit::Have => (ChangeKind::Set, None, format!("{place} = {shown}")),
            Edit::Remove => (ChangeKind::Remove, None, format!("remove {place}")),
            Edit::Add(_) => (ChangeKind::AddElements, None, format!("add {shown} to {place}")),
            Edit::Take(_) => (ChangeKind::RemoveElements, None, format!("remove {shown} from {place}")),
            Edit::Join(group) => (ChangeKind::AddParent, Some(group), format!("put {place} in {group}")),
            Edit::Leave(group) => {
                (ChangeKind::RemoveParent, Some(group), format!("take {place} out of {group}"))
            }
        };
        let path = self.path.iter().map(ToString::to_string).collect();
        let [entity, parent] = [entity, parent].map(|uid| uid.map(EntityTold::of));
        Some(ChangeTold { change, of, entity, path, value: json, parent, text })
    }
}
