//! Operators on what a row has.
//!
//! Promises: where types do not fit, it is what Cedar says: a comparison for equality is false, everything else fails. Where
//! a condition can't say it, it is refused.

use cedar_policy_core::ast::{
    BinaryOp, EntityType, EntityUID, Expr, Literal, Pattern, PatternElem, UnaryOp, Value, ValueKind,
};
use smol_str::SmolStr;

use super::translate::{Made, Term, Translator};
use super::{
    Attribute, Formula, Kind, MOST, Operand, ResidualError, Scalar, Stop, Truth, Whose, entity, id_of,
    inexpressible,
};

impl<'a> Translator<'a, '_> {
    pub(super) fn unary(&self, op: UnaryOp, arg: &Expr, expr: &Expr) -> Made<'a> {
        let arg = self.term(arg)?;
        Ok(match (op, arg) {
            (_, Term::Known(value)) => self.evaluated(&Expr::unary_app(op, Expr::from(value))),
            (UnaryOp::IsEmpty, Term::Leaf(path, Attribute { set: true, .. })) => {
                let empty = Formula::Empty { left: Operand::Attribute(path.clone()) };
                Term::Truth(self.guarded(&[&path], empty.clone(), empty.not()))
            }
            (UnaryOp::Neg, Term::Leaf(_, Attribute { kind: Kind::Long, set: false, .. })) => {
                return Err(inexpressible(expr, "arithmetic on columns is not done"));
            }
            _ => Term::Fails,
        })
    }

    pub(super) fn binary(&self, op: BinaryOp, (left, right): (Term<'a>, Term<'a>), expr: &Expr) -> Made<'a> {
        let (left, right) = (self.settled(left), self.settled(right));
        if matches!(left, Term::Fails) || matches!(right, Term::Fails) {
            return Ok(Term::Fails);
        }
        let (left, right) = match (left, right) {
            (Term::Known(one), Term::Known(other)) => {
                return Ok(self.evaluated(&Expr::binary_app(op, Expr::from(one), Expr::from(other))));
            }
            both => both,
        };
        let truth = match op {
            BinaryOp::Eq => self.equal(&left, &right, expr)?,
            BinaryOp::Less | BinaryOp::LessEq => self.order(op, &left, &right),
            BinaryOp::In => self.within(&left, &right, expr)?,
            BinaryOp::Contains => self.contains(&left, &right, expr)?,
            BinaryOp::ContainsAll => self.contains_all(&left, &right, expr)?,
            BinaryOp::ContainsAny => self.contains_any(&left, &right, expr)?,
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => {
                return Err(inexpressible(expr, "arithmetic on columns is not done"));
            }
            BinaryOp::GetTag | BinaryOp::HasTag => {
                return Err(inexpressible(expr, "a row has no tags"));
            }
        };
        Ok(Term::Truth(truth))
    }

    /// The resource, if it is known, is a value as any other.
    fn settled(&self, term: Term<'a>) -> Term<'a> {
        match term {
            Term::Resource if self.ground.is_known => {
                let uid = self.ground.question.resource.clone();
                Term::Known(Value::from(Literal::from(uid)))
            }
            other => other,
        }
    }

    fn resource_type(&self) -> &'a EntityType {
        self.ground.question.resource.entity_type()
    }

    fn equal(&self, left: &Term<'a>, right: &Term<'a>, expr: &Expr) -> Result<Truth, Stop> {
        match (left, right) {
            (Term::Leaf(path, attribute), Term::Known(value))
            | (Term::Known(value), Term::Leaf(path, attribute)) => {
                if attribute.set && matches!(value.value, ValueKind::Set(_)) {
                    return Err(inexpressible(expr, "sets are not compared as a whole"));
                }
                let scalar = scalar(value, &attribute.kind).filter(|_| !attribute.set);
                Ok(match scalar {
                    Some(value) => {
                        let left = Operand::Attribute(path.clone());
                        let same = Formula::Equal { left, right: Operand::Value(value) };
                        self.guarded(&[path], same.clone(), same.not())
                    }
                    None => self.guarded(&[path], Formula::Never, Formula::Always),
                })
            }
            (Term::Resource, Term::Known(value)) | (Term::Known(value), Term::Resource) => {
                let kind = Kind::Entity(self.resource_type().clone());
                Ok(Truth::sure(Formula::one_of(Operand::Id, scalar(value, &kind).map(as_id))))
            }
            (Term::Leaf(path, attribute), Term::Resource) | (Term::Resource, Term::Leaf(path, attribute)) => {
                let is_same = attribute.kind == Kind::Entity(self.resource_type().clone()) && !attribute.set;
                let left = Operand::Attribute(path.clone());
                let same = if is_same { Formula::Equal { left, right: Operand::Id } } else { Formula::Never };
                Ok(self.guarded(&[path], same.clone(), same.not()))
            }
            (Term::Leaf(one, of), Term::Leaf(other, than)) => {
                if of.set && than.set {
                    return Err(inexpressible(expr, "sets are not compared as a whole"));
                }
                let operand = |path: &SmolStr| Operand::Attribute(path.clone());
                let same = if of.kind == than.kind && of.set == than.set {
                    Formula::Equal { left: operand(one), right: operand(other) }
                } else {
                    Formula::Never
                };
                Ok(self.guarded(&[one, other], same.clone(), same.not()))
            }
            (Term::Resource, Term::Resource) => Ok(Truth::known(true)),
            (Term::Truth(truth), Term::Known(value)) | (Term::Known(value), Term::Truth(truth)) => {
                Ok(match &value.value {
                    ValueKind::Lit(Literal::Bool(true)) => truth.clone(),
                    ValueKind::Lit(Literal::Bool(false)) => truth.clone().not(),
                    _ => Truth {
                        yes: Formula::Never,
                        no: Formula::or([truth.yes.clone(), truth.no.clone()]),
                        sure: truth.sure,
                    },
                })
            }
            _ => Err(inexpressible(expr, "this comparison is not done")),
        }
    }

    /// `<` and `<=` of whole numbers.
    fn order(&self, op: BinaryOp, left: &Term<'a>, right: &Term<'a>) -> Truth {
        let mut paths = Vec::new();
        let mut operand = |term: &Term<'a>| match term {
            Term::Leaf(path, Attribute { kind: Kind::Long, set: false, .. }) => {
                paths.push(path.clone());
                Some(Operand::Attribute(path.clone()))
            }
            Term::Known(Value { value: ValueKind::Lit(Literal::Long(value)), .. }) => {
                Some(Operand::Value(Scalar::Long(*value)))
            }
            _ => None,
        };
        let (Some(left), Some(right)) = (operand(left), operand(right)) else { return Truth::fails() };
        let made = if op == BinaryOp::Less {
            Formula::Less { left, right }
        } else {
            Formula::LessOrEqual { left, right }
        };
        self.guarded(&paths.iter().collect::<Vec<_>>(), made.clone(), made.not())
    }

    fn within(&self, left: &Term<'a>, right: &Term<'a>, expr: &Expr) -> Result<Truth, Stop> {
        let is_entity = match left {
            Term::Resource => true,
            Term::Known(value) => matches!(value.value, ValueKind::Lit(Literal::EntityUID(_))),
            Term::Leaf(_, attribute) => matches!(attribute.kind, Kind::Entity(_)) && !attribute.set,
            Term::Record(_) | Term::Truth(_) | Term::Fails => false,
        };
        match right {
            _ if !is_entity => Ok(Truth::fails()),
            Term::Known(value) => self.within_known(left, value),
            Term::Leaf(path, Attribute { kind: Kind::Entity(of), set, .. }) => {
                let uid = asker(left).ok_or_else(|| inexpressible(expr, UNKNOWN_GROUPS))?;
                let around = self.around(uid, of)?;
                let operand = Operand::Attribute(path.clone());
                let made = if *set { holds(operand, around) } else { Formula::one_of(operand, around) };
                Ok(self.guarded(&[path], made.clone(), made.not()))
            }
            Term::Leaf(path, Attribute { set: true, .. }) if asker(left).is_some() => {
                // In a set of nothing is nobody; what is no entity fails.
                let empty = Formula::Empty { left: Operand::Attribute(path.clone()) };
                Ok(Truth { sure: false, ..self.guarded(&[path], Formula::Never, empty) })
            }
            Term::Resource => {
                let uid = asker(left).ok_or_else(|| inexpressible(expr, UNKNOWN_GROUPS))?;
                let around = self.around(uid, self.resource_type())?.into_iter().map(as_id);
                Ok(Truth::sure(Formula::one_of(Operand::Id, around)))
            }
            Term::Leaf(_, Attribute { set: true, .. }) => Err(inexpressible(expr, UNKNOWN_GROUPS)),
            Term::Leaf(..) | Term::Record(_) | Term::Truth(_) | Term::Fails => Ok(Truth::fails()),
        }
    }

    /// Whether what the row names is in what is known.
    fn within_known(&self, left: &Term<'a>, value: &Value) -> Result<Truth, Stop> {
        let Some(groups) = groups(value) else { return Ok(Truth::fails()) };
        match left {
            Term::Leaf(path, Attribute { kind: Kind::Entity(of), .. }) => {
                let made = Formula::one_of(
                    Operand::Attribute(path.clone()),
                    self.members(&groups, (of, Whose::Column))?,
                );
                Ok(self.guarded(&[path], made.clone(), made.not()))
            }
            _ => {
                let ids = self.members(&groups, (self.resource_type(), Whose::Row))?.into_iter().map(as_id);
                Ok(Truth::sure(Formula::one_of(Operand::Id, ids)))
            }
        }
    }

    /// The ids of a type of all that is in one of these.
    fn members(&self, groups: &[EntityUID], (of, whose): (&EntityType, Whose)) -> Result<Vec<Scalar>, Stop> {
        let mut ids = Vec::new();
        for group in groups {
            ids.extend((self.ground.members)(group, of, whose)?);
            if ids.len() > MOST {
                return Err(ResidualError::TooLarge.into());
            }
        }
        let scalar = |id| Scalar::Entity { type_name: name(of), id };
        Ok(ids.into_iter().map(scalar).collect())
    }

    /// An entity of a type and those of it that it is in.
    fn around(&self, uid: &EntityUID, of: &EntityType) -> Result<Vec<Scalar>, Stop> {
        let entity = entity(self.ground, uid)?;
        let ancestors = entity.iter().flat_map(|entity| entity.ancestors());
        let all = std::iter::once(uid).chain(ancestors).filter(|uid| uid.entity_type() == of);
        Ok(all.map(|uid| Scalar::Entity { type_name: name(of), id: id_of(uid) }).collect())
    }

    fn contains(&self, left: &Term<'a>, right: &Term<'a>, expr: &Expr) -> Result<Truth, Stop> {
        match (left, right) {
            (Term::Leaf(path, attribute @ Attribute { set: true, .. }), Term::Known(value)) => {
                let made = holds(Operand::Attribute(path.clone()), scalar(value, &attribute.kind));
                Ok(self.guarded(&[path], made.clone(), made.not()))
            }
            (Term::Known(Value { value: ValueKind::Set(set), .. }), Term::Leaf(path, attribute)) => {
                if attribute.set {
                    return Err(inexpressible(expr, "sets of sets are not searched"));
                }
                let values = set.iter().filter_map(|value| scalar(value, &attribute.kind));
                let made = Formula::one_of(Operand::Attribute(path.clone()), values);
                Ok(self.guarded(&[path], made.clone(), made.not()))
            }
            (Term::Known(Value { value: ValueKind::Set(set), .. }), Term::Resource) => {
                let kind = Kind::Entity(self.resource_type().clone());
                let values = set.iter().filter_map(|value| scalar(value, &kind)).map(as_id);
                Ok(Truth::sure(Formula::one_of(Operand::Id, values)))
            }
            (Term::Known(Value { value: ValueKind::Set(_), .. }), _)
            | (Term::Leaf(_, Attribute { set: true, .. }), _) => {
                Err(inexpressible(expr, "this search of a set is not done"))
            }
            _ => Ok(Truth::fails()),
        }
    }

    fn contains_all(&self, left: &Term<'a>, right: &Term<'a>, expr: &Expr) -> Result<Truth, Stop> {
        let (Term::Leaf(path, attribute @ Attribute { set: true, .. }), Term::Known(value)) = (left, right)
        else {
            return refused_sets(left, right, expr);
        };
        let ValueKind::Set(set) = &value.value else { return Ok(Truth::fails()) };
        let each =
            set.iter().map(|value| holds(Operand::Attribute(path.clone()), scalar(value, &attribute.kind)));
        let made = Formula::and(each);
        Ok(self.guarded(&[path], made.clone(), made.not()))
    }

    fn contains_any(&self, left: &Term<'a>, right: &Term<'a>, expr: &Expr) -> Result<Truth, Stop> {
        let ((Term::Leaf(path, attribute @ Attribute { set: true, .. }), Term::Known(value))
        | (Term::Known(value), Term::Leaf(path, attribute @ Attribute { set: true, .. }))) = (left, right)
        else {
            return refused_sets(left, right, expr);
        };
        let ValueKind::Set(set) = &value.value else { return Ok(Truth::fails()) };
        let values = set.iter().filter_map(|value| scalar(value, &attribute.kind));
        let made = holds(Operand::Attribute(path.clone()), values);
        Ok(self.guarded(&[path], made.clone(), made.not()))
    }

    pub(super) fn like(&self, of: Term<'a>, pattern: &Pattern) -> Term<'a> {
        match of {
            Term::Known(value) => self.evaluated(&Expr::like(Expr::from(value), pattern.clone())),
            Term::Leaf(path, Attribute { kind: Kind::Text, set: false, .. }) => {
                let left = Operand::Attribute(path.clone());
                let made = Formula::Like { left, parts: parts(pattern).into() };
                Term::Truth(self.guarded(&[&path], made.clone(), made.not()))
            }
            _ => Term::Fails,
        }
    }

    pub(super) fn is(&self, of: Term<'a>, entity_type: &EntityType) -> Term<'a> {
        match of {
            Term::Known(value) => {
                self.evaluated(&Expr::is_entity_type(Expr::from(value), entity_type.clone()))
            }
            Term::Resource => Term::Truth(Truth::known(self.resource_type() == entity_type)),
            Term::Leaf(path, Attribute { kind: Kind::Entity(of), set: false, .. }) => {
                let made = if of == entity_type { Formula::Always } else { Formula::Never };
                Term::Truth(self.guarded(&[&path], made.clone(), made.not()))
            }
            _ => Term::Fails,
        }
    }
}

const UNKNOWN_GROUPS: &str = "what the row's entities are in is not known";

/// Who is known, of `in`'s left side.
fn asker<'t>(left: &'t Term<'_>) -> Option<&'t EntityUID> {
    match left {
        Term::Known(Value { value: ValueKind::Lit(Literal::EntityUID(uid)), .. }) => Some(uid),
        _ => None,
    }
}

/// Sets on both sides, at least one of which is the row's.
fn refused_sets(left: &Term<'_>, right: &Term<'_>, expr: &Expr) -> Result<Truth, Stop> {
    let may_be_set = |term: &Term<'_>| match term {
        Term::Known(value) => matches!(value.value, ValueKind::Set(_)),
        Term::Leaf(_, attribute) => attribute.set,
        _ => false,
    };
    if may_be_set(left) && may_be_set(right) {
        return Err(inexpressible(expr, "this comparison of sets is not done"));
    }
    Ok(Truth::fails())
}

/// The set has one of these.
fn holds(left: Operand, values: impl IntoIterator<Item = Scalar>) -> Formula {
    match Formula::one_of(left, values) {
        Formula::Equal { left, right: Operand::Value(value) } => {
            Formula::Holds { left, right: [value].into() }
        }
        Formula::In { left, right } => Formula::Holds { left, right },
        other => other,
    }
}

/// The value as a column of this kind can hold it; none when it can't.
fn scalar(value: &Value, kind: &Kind) -> Option<Scalar> {
    let ValueKind::Lit(literal) = &value.value else { return None };
    match (literal, kind) {
        (Literal::String(text), Kind::Text) => Some(Scalar::Text(text.clone())),
        (Literal::Long(value), Kind::Long) => Some(Scalar::Long(*value)),
        (Literal::Bool(value), Kind::Bool) => Some(Scalar::Bool(*value)),
        (Literal::EntityUID(uid), Kind::Entity(of)) if uid.entity_type() == of => {
            Some(Scalar::Entity { type_name: name(of), id: id_of(uid) })
        }
        _ => None,
    }
}

/// An id of the resource's type says no type.
fn as_id(scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Entity { id, .. } => Scalar::Text(id),
        other => other,
    }
}

fn name(of: &EntityType) -> SmolStr {
    SmolStr::new(of.to_string())
}

/// The entities of what stands on the right of `in`; none when it is something else.
fn groups(value: &Value) -> Option<Vec<EntityUID>> {
    let one = |value: &Value| match &value.value {
        ValueKind::Lit(Literal::EntityUID(uid)) => Some(uid.as_ref().clone()),
        _ => None,
    };
    match &value.value {
        ValueKind::Set(set) => set.iter().map(one).collect(),
        _ => one(value).map(|uid| vec![uid]),
    }
}

/// A pattern as the texts between its wildcards.
fn parts(pattern: &Pattern) -> Vec<SmolStr> {
    let mut parts = vec![String::new()];
    for element in pattern.iter() {
        match element {
            PatternElem::Char(character) => {
                if let Some(last) = parts.last_mut() {
                    last.push(*character);
                }
            }
            PatternElem::Wildcard => parts.push(String::new()),
        }
    }
    parts.into_iter().map(SmolStr::from).collect()
}
