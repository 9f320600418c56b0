//! Running what was compiled.

use std::sync::Arc;

use cedar_policy_core::ast::{
    BinaryOp, Entity, EntityUID, Literal, PartialValue, Set, Value, ValueKind, Var,
};
use smol_str::SmolStr;

use super::{Compiled, Node, Pool, called};
use crate::decision::value::Record;
use crate::entity::interned::is_same;

/// There is nothing to say here: Cedar's own evaluator is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivesWay;

/// What the variables stand for.
#[derive(Clone, Copy)]
pub struct Subjects<'q> {
    /// Who.
    pub principal: &'q EntityUID,
    /// Does what.
    pub action: &'q EntityUID,
    /// To what.
    pub resource: &'q EntityUID,
    /// Under which circumstances.
    pub context: &'q Record,
}

/// A value, borrowed where it can be.
enum Seen<'v> {
    Bool(bool),
    Long(i64),
    Uid(&'v EntityUID),
    Value(&'v Value),
    Record(&'v Record),
    Made(Value),
}

type Found<'v> = Result<Seen<'v>, GivesWay>;

impl<'v> Seen<'v> {
    fn literal(&self) -> Option<&Literal> {
        match self.value()?.value_kind() {
            ValueKind::Lit(literal) => Some(literal),
            _ => None,
        }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Made(value) => Some(value),
            _ => None,
        }
    }

    fn bool(&self) -> Result<bool, GivesWay> {
        match self {
            Self::Bool(value) => Ok(*value),
            other => match other.literal() {
                Some(Literal::Bool(value)) => Ok(*value),
                _ => Err(GivesWay),
            },
        }
    }

    fn long(&self) -> Result<i64, GivesWay> {
        match self {
            Self::Long(value) => Ok(*value),
            other => match other.literal() {
                Some(Literal::Long(value)) => Ok(*value),
                _ => Err(GivesWay),
            },
        }
    }

    fn text(&self) -> Result<&SmolStr, GivesWay> {
        match self.literal() {
            Some(Literal::String(text)) => Ok(text),
            _ => Err(GivesWay),
        }
    }

    fn uid(&self) -> Result<&EntityUID, GivesWay> {
        if let Self::Uid(uid) = self {
            return Ok(uid);
        }
        match self.literal() {
            Some(Literal::EntityUID(uid)) => Ok(uid),
            _ => Err(GivesWay),
        }
    }

    fn set(&self) -> Result<&Set, GivesWay> {
        match self.value().map(Value::value_kind) {
            Some(ValueKind::Set(set)) => Ok(set),
            _ => Err(GivesWay),
        }
    }

    /// The members, if it is a record.
    fn record(&self) -> Option<&Record> {
        match self {
            Self::Record(record) => Some(record),
            other => match other.value()?.value_kind() {
                ValueKind::Record(record) => Some(record),
                _ => None,
            },
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Bool(value) => value.into(),
            Self::Long(value) => value.into(),
            Self::Uid(uid) => Literal::EntityUID(Arc::new(uid.clone())).into(),
            Self::Value(value) => value.clone(),
            Self::Record(record) => Value::record_arc(Arc::new(record.clone()), None),
            Self::Made(value) => value,
        }
    }

    /// As Cedar compares: values of different types are not equal.
    fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bool(_) | Self::Long(_), _) | (_, Self::Bool(_) | Self::Long(_)) => {
                let bools = self.bool().ok().zip(other.bool().ok());
                let longs = self.long().ok().zip(other.long().ok());
                bools.is_some_and(|(one, other)| one == other)
                    || longs.is_some_and(|(one, other)| one == other)
            }
            (Self::Uid(_), _) | (_, Self::Uid(_)) => {
                self.uid().ok().zip(other.uid().ok()).is_some_and(|(one, other)| is_same(one, other))
            }
            (Self::Record(_), _) | (_, Self::Record(_)) => {
                self.record().zip(other.record()).is_some_and(|(one, other)| one == other)
            }
            _ => self.value().zip(other.value()).is_some_and(|(one, other)| one == other),
        }
    }
}

impl Compiled {
    /// Whether the condition holds.
    ///
    /// # Errors
    /// When Cedar's evaluator is to be asked.
    pub fn holds<'r>(&'r self, subjects: &'r Subjects<'r>, pool: &'r Pool<'_>) -> Result<bool, GivesWay> {
        Run { subjects, pool }.bool(&self.0)
    }

    /// What it is the value of.
    ///
    /// # Errors
    /// When Cedar's evaluator is to be asked.
    pub fn value<'r>(&'r self, subjects: &'r Subjects<'r>, pool: &'r Pool<'_>) -> Result<Value, GivesWay> {
        Ok(Run { subjects, pool }.value(&self.0)?.into_value())
    }
}

struct Run<'r, 'p> {
    subjects: &'r Subjects<'r>,
    pool: &'r Pool<'p>,
}

impl<'r> Run<'r, '_> {
    fn bool(&self, node: &'r Node) -> Result<bool, GivesWay> {
        match node {
            Node::And(nodes) => {
                for node in nodes {
                    if !self.bool(node)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(nodes) => {
                for node in nodes {
                    if self.bool(node)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Node::Not(node) => Ok(!self.bool(node)?),
            Node::HasAttribute(node, name) => self.has(&self.value(node)?, name),
            other => self.value(other)?.bool(),
        }
    }

    fn value(&self, node: &'r Node) -> Found<'r> {
        Ok(match node {
            Node::Constant(value) => Seen::Value(value),
            Node::Var(Var::Principal) => Seen::Uid(self.subjects.principal),
            Node::Var(Var::Action) => Seen::Uid(self.subjects.action),
            Node::Var(Var::Resource) => Seen::Uid(self.subjects.resource),
            Node::Var(Var::Context) => Seen::Record(self.subjects.context),
            Node::And(_) | Node::Or(_) | Node::Not(_) | Node::HasAttribute(..) => {
                Seen::Bool(self.bool(node)?)
            }
            Node::If(parts) => {
                let [test, then, other] = &**parts;
                return self.value(if self.bool(test)? { then } else { other });
            }
            Node::Negative(node) => Seen::Long(self.value(node)?.long()?.checked_neg().ok_or(GivesWay)?),
            Node::IsEmpty(node) => Seen::Bool(self.value(node)?.set()?.is_empty()),
            Node::Binary(op, sides) => {
                let [left, right] = &**sides;
                return self.binary(*op, self.value(left)?, self.value(right)?);
            }
            Node::Attribute(node, name) => return self.attribute(self.value(node)?, name),
            Node::HasPath(node, names) => Seen::Bool(self.has_path(node, names)?),
            Node::Like(node, pattern) => Seen::Bool(pattern.wildcard_match(self.value(node)?.text()?)),
            Node::Is(node, entity_type) => Seen::Bool(self.value(node)?.uid()?.entity_type() == entity_type),
            Node::Set(items) => Seen::Made(Value::set(self.values(items)?, None)),
            Node::Record(members) => {
                let pairs =
                    members.iter().map(|(name, node)| Ok((name.clone(), self.value(node)?.into_value())));
                Seen::Made(Value::record(pairs.collect::<Result<Vec<_>, _>>()?, None))
            }
            Node::Call(call) => Seen::Made(called(&call.name, &self.values(&call.arguments)?)?),
        })
    }

    fn values(&self, nodes: &'r [Node]) -> Result<Vec<Value>, GivesWay> {
        nodes.iter().map(|node| Ok(self.value(node)?.into_value())).collect()
    }

    fn binary(&self, op: BinaryOp, left: Seen<'r>, right: Seen<'r>) -> Found<'r> {
        Ok(match op {
            BinaryOp::Eq => Seen::Bool(left.equals(&right)),
            // Dates and durations have an order too: those are left to Cedar.
            BinaryOp::Less => Seen::Bool(left.long()? < right.long()?),
            BinaryOp::LessEq => Seen::Bool(left.long()? <= right.long()?),
            BinaryOp::Add => Seen::Long(left.long()?.checked_add(right.long()?).ok_or(GivesWay)?),
            BinaryOp::Sub => Seen::Long(left.long()?.checked_sub(right.long()?).ok_or(GivesWay)?),
            BinaryOp::Mul => Seen::Long(left.long()?.checked_mul(right.long()?).ok_or(GivesWay)?),
            BinaryOp::In => Seen::Bool(self.is_in(left.uid()?, &right)?),
            BinaryOp::Contains => Seen::Bool(match right.value() {
                Some(value) => left.set()?.contains(value),
                None => {
                    let set = left.set()?;
                    set.contains(&right.into_value())
                }
            }),
            BinaryOp::ContainsAll => Seen::Bool(right.set()?.is_subset(left.set()?)),
            BinaryOp::ContainsAny => Seen::Bool(!left.set()?.is_disjoint(right.set()?)),
            BinaryOp::HasTag => {
                let name = right.text()?;
                let entity = self.pool.get(left.uid()?)?;
                Seen::Bool(entity.is_some_and(|entity| entity.get_tag(name).is_some()))
            }
            BinaryOp::GetTag => {
                let entity = self.pool.get(left.uid()?)?.ok_or(GivesWay)?;
                return known(entity.get_tag(right.text()?));
            }
        })
    }

    fn is_in(&self, uid: &EntityUID, of: &Seen<'r>) -> Result<bool, GivesWay> {
        let entity = self.pool.get(uid)?;
        let within =
            |group: &EntityUID| is_same(uid, group) || entity.is_some_and(|entity| is_within(entity, group));
        if let Ok(group) = of.uid() {
            return Ok(within(group));
        }
        let mut is_in = false;
        // All of them must be entities, also those behind the one that it is in.
        for group in of.set()?.iter() {
            match group.value_kind() {
                ValueKind::Lit(Literal::EntityUID(group)) => is_in = is_in || within(group),
                _ => return Err(GivesWay),
            }
        }
        Ok(is_in)
    }

    fn attribute(&self, of: Seen<'r>, name: &SmolStr) -> Found<'r> {
        match of {
            Seen::Uid(uid) => known(self.pool.get(uid)?.ok_or(GivesWay)?.get(name)),
            Seen::Record(record) => record.get(name).map(Seen::Value).ok_or(GivesWay),
            Seen::Value(value) => match value.value_kind() {
                ValueKind::Record(record) => record.get(name).map(Seen::Value).ok_or(GivesWay),
                ValueKind::Lit(Literal::EntityUID(uid)) => {
                    known(self.pool.get(uid)?.ok_or(GivesWay)?.get(name))
                }
                _ => Err(GivesWay),
            },
            Seen::Made(value) => match value.value_kind() {
                ValueKind::Record(record) => record.get(name).cloned().map(Seen::Made).ok_or(GivesWay),
                _ => Err(GivesWay),
            },
            _ => Err(GivesWay),
        }
    }

    fn has(&self, of: &Seen<'r>, name: &str) -> Result<bool, GivesWay> {
        if let Some(record) = of.record() {
            return Ok(record.contains_key(name));
        }
        Ok(self.pool.get(of.uid()?)?.is_some_and(|entity| entity.get(name).is_some()))
    }

    /// Each step must be there; the last need not be a record.
    fn has_path(&self, node: &'r Node, names: &'r [SmolStr]) -> Result<bool, GivesWay> {
        let mut of = self.value(node)?;
        for (place, name) in names.iter().enumerate() {
            if !self.has(&of, name)? {
                return Ok(false);
            }
            if place + 1 < names.len() {
                of = self.attribute(of, name)?;
            }
        }
        Ok(true)
    }
}

/// Whether an entity is in a group. A few are compared sooner than one is hashed.
pub fn is_within(entity: &Entity, group: &EntityUID) -> bool {
    const FEW: usize = 8;
    let mut ancestors = entity.ancestors();
    match ancestors.size_hint() {
        (_, Some(most)) if most <= FEW => ancestors.any(|ancestor| is_same(ancestor, group)),
        _ => entity.is_descendant_of(group),
    }
}

fn known(value: Option<&PartialValue>) -> Found<'_> {
    match value {
        Some(PartialValue::Value(value)) => Ok(Seen::Value(value)),
        _ => Err(GivesWay),
    }
}
