//! The same for the parts that are made of no others: comparisons, memberships, sets, presence, patterns.

use cedar_policy_core::ast::{
    BinaryOp, Expr, ExprKind, Literal, Pattern, PatternElem, UnaryOp, Value, ValueKind,
};
use smol_str::SmolStr;

use super::Ways;
use crate::decision::explain::change::{Change, Edit};
use crate::decision::explain::judge::Judge;
use crate::decision::explain::path::Attribute;
use crate::decision::explain::shown::{literal, reference};

/// How many entities or elements of one set are tried.
const TRIED: usize = 4;

impl Judge<'_, '_> {
    pub(super) fn atom_ways(&self, expr: &Expr, wanted: bool) -> Ways {
        match expr.expr_kind() {
            ExprKind::GetAttr { .. } => self.set(expr, [literal(wanted)]),
            ExprKind::HasAttr { expr, attr } => self.presence(expr, std::iter::once(attr), wanted),
            ExprKind::ExtHasAttr { expr, attrs } => self.presence(expr, attrs.iter(), wanted),
            ExprKind::Like { expr, pattern } => self.set(expr, text_for(pattern, wanted)),
            ExprKind::UnaryApp { op: UnaryOp::IsEmpty, arg } if wanted => {
                self.set(arg, [Value::empty_set(None)])
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => self.binary(*op, arg1, arg2, wanted),
            ExprKind::ExtensionFunctionApp { fn_name, args } => match (args.as_slice(), wanted) {
                ([one], true) if fn_name.to_string() == "isLoopback" => self.set_address(one, "127.0.0.1"),
                ([one, other], _) => self.extension(&fn_name.to_string(), [one, other], wanted),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn binary(&self, op: BinaryOp, left: &Expr, right: &Expr, wanted: bool) -> Ways {
        let of = |expr| self.value(expr);
        match op {
            BinaryOp::Eq if wanted => {
                let mut ways = self.set(left, of(right));
                ways.extend(self.set(right, of(left)));
                ways
            }
            BinaryOp::Eq => {
                let mut ways = self.set(left, of(right).and_then(|value| other_than(&value)));
                ways.extend(self.set(right, of(left).and_then(|value| other_than(&value))));
                ways
            }
            BinaryOp::Less | BinaryOp::LessEq => self.order(op == BinaryOp::Less, left, right, wanted),
            BinaryOp::In => self.within(left, right, wanted),
            BinaryOp::Contains => {
                let mut ways =
                    of(right).map(|one| self.elements(left, vec![one], wanted)).unwrap_or_default();
                if let (Some(held), true) = (of(left), wanted) {
                    ways.extend(self.set(right, elements(&held).into_iter().take(TRIED)));
                }
                ways
            }
            BinaryOp::ContainsAll => {
                let asked = of(right).map(|set| elements(&set)).unwrap_or_default();
                if wanted {
                    let mut ways = self.elements(left, asked, true);
                    ways.extend(self.set(right, of(left)));
                    return ways;
                }
                asked.into_iter().take(TRIED).flat_map(|one| self.elements(left, vec![one], false)).collect()
            }
            BinaryOp::ContainsAny => {
                let asked = of(right).map(|set| elements(&set)).unwrap_or_default();
                if !wanted {
                    return self.elements(left, asked, false);
                }
                let held = of(left).map(|set| elements(&set)).unwrap_or_default();
                let into_left =
                    asked.into_iter().take(TRIED).flat_map(|one| self.elements(left, vec![one], true));
                let into_right =
                    held.into_iter().take(TRIED).flat_map(|one| self.elements(right, vec![one], true));
                into_left.chain(into_right).collect()
            }
            _ => Vec::new(),
        }
    }

    /// `left < right`, `left <= right`, or the contrary.
    fn order(&self, strictly: bool, left: &Expr, right: &Expr, wanted: bool) -> Ways {
        // To be less is to be at most one less; not to be at most is to be at least one more.
        let step = match (wanted, strictly) {
            (true, true) => 1,
            (false, false) => -1,
            _ => 0,
        };
        let moved = |value: Option<Value>, by: i64| {
            let value = value?;
            match value.value_kind() {
                ValueKind::Lit(Literal::Long(number)) => Some(literal(number.checked_add(by)?)),
                _ => (by == 0).then_some(value),
            }
        };
        let mut ways = self.set(left, moved(self.value(right), -step));
        ways.extend(self.set(right, moved(self.value(left), step)));
        ways
    }

    fn within(&self, left: &Expr, right: &Expr, wanted: bool) -> Ways {
        let entity = |value: &Value| match value.value_kind() {
            ValueKind::Lit(Literal::EntityUID(uid)) => Some(uid.as_ref().clone()),
            _ => None,
        };
        let left_value = self.value(left);
        let right_value = self.value(right);
        let targets: Vec<_> = match &right_value {
            Some(value) => {
                entity(value).into_iter().chain(elements(value).iter().filter_map(entity)).collect()
            }
            None => Vec::new(),
        };
        let targets = || targets.iter().take(TRIED);
        let Some(member) = left_value.as_ref().and_then(entity) else {
            return if wanted {
                self.set(left, targets().map(reference).collect::<Vec<_>>())
            } else {
                Vec::new()
            };
        };
        if !wanted {
            let each = targets().filter(|group| {
                **group == member || self.entity(&member).is_some_and(|one| one.is_descendant_of(group))
            });
            return each
                .map(|group| self.membership(&member, group, false))
                .fold(super::as_it_is(), |all, ways| super::product(&all, &ways));
        }
        let mut ways: Ways = targets().flat_map(|group| self.membership(&member, group, true)).collect();
        let is_set = right_value.as_ref().is_none_or(|value| matches!(value.value_kind(), ValueKind::Set(_)));
        if is_set {
            ways.extend(self.elements(right, vec![reference(&member)], true));
        }
        ways
    }

    fn extension(&self, name: &str, [left, right]: [&Expr; 2], wanted: bool) -> Ways {
        match (name, wanted) {
            ("lessThanOrEqual" | "greaterThanOrEqual", true) | ("lessThan" | "greaterThan", false) => {
                self.order(false, left, right, true)
            }
            ("isInRange", true) => match argument(right, "ip").map(Expr::expr_kind) {
                Some(ExprKind::Lit(Literal::String(range))) => {
                    self.set_address(left, range.split('/').next().unwrap_or_default())
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// An address that is written in an attribute.
    fn set_address(&self, expr: &Expr, address: &str) -> Ways {
        argument(expr, "ip").map(|text| self.set(text, [literal(address)])).unwrap_or_default()
    }

    /// An attribute gets one of these values.
    fn set(&self, expr: &Expr, values: impl IntoIterator<Item = Value>) -> Ways {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Vec::new();
        }
        let Some(attribute) = self.open(expr, std::iter::empty()) else { return Vec::new() };
        values.filter_map(|value| attribute.way(Edit::Set(bare(value)))).collect()
    }

    /// A set gets these elements, or loses them.
    fn elements(&self, expr: &Expr, elements: Vec<Value>, wanted: bool) -> Ways {
        let Some(attribute) = self.open(expr, std::iter::empty()) else { return Vec::new() };
        let elements: Vec<_> = elements.into_iter().map(bare).collect();
        let edit = if wanted { Edit::Add(elements) } else { Edit::Take(elements) };
        attribute.way(edit).into_iter().collect()
    }

    fn presence<'e>(&self, expr: &'e Expr, names: impl Iterator<Item = &'e SmolStr>, wanted: bool) -> Ways {
        let Some(attribute) = self.open(expr, names) else { return Vec::new() };
        attribute.way(if wanted { Edit::Have } else { Edit::Remove }).into_iter().collect()
    }

    fn open<'e>(&self, expr: &'e Expr, further: impl Iterator<Item = &'e SmolStr>) -> Option<Attribute> {
        self.attribute(expr, further).filter(|attribute| attribute.is_open)
    }
}

impl Attribute {
    fn way(&self, edit: Edit) -> Option<Vec<Change>> {
        let size = match &edit {
            Edit::Add(elements) | Edit::Take(elements) => elements.len(),
            _ => 1,
        };
        (size > 0).then(|| vec![Change { holder: self.holder.clone(), path: self.path.clone(), edit }])
    }
}

/// Without a place in a policy's text.
fn bare(value: Value) -> Value {
    Value { value: value.value, loc: None }
}

fn elements(value: &Value) -> Vec<Value> {
    match value.value_kind() {
        ValueKind::Set(set) => set.iter().take(100).cloned().collect(),
        _ => Vec::new(),
    }
}

/// What `ip("…")` is made of.
fn argument<'e>(expr: &'e Expr, function: &str) -> Option<&'e Expr> {
    match expr.expr_kind() {
        ExprKind::ExtensionFunctionApp { fn_name, args } if fn_name.to_string() == function => args.first(),
        _ => None,
    }
}

/// Another value of the same type.
fn other_than(value: &Value) -> Option<Value> {
    match value.value_kind() {
        ValueKind::Lit(Literal::Bool(held)) => Some(literal(!held)),
        ValueKind::Lit(Literal::Long(number)) => Some(literal(number.checked_add(1).unwrap_or_default())),
        ValueKind::Lit(Literal::String(text)) => Some(literal(format!("not {text}").as_str())),
        ValueKind::Set(set) if !set.is_empty() => Some(Value::empty_set(None)),
        _ => None,
    }
}

/// The shortest text that fits a pattern, or one that does not.
fn text_for(pattern: &Pattern, wanted: bool) -> Option<Value> {
    let letters: String = pattern
        .iter()
        .filter_map(|element| match element {
            PatternElem::Char(letter) => Some(*letter),
            PatternElem::Wildcard => None,
        })
        .collect();
    let text = if wanted { letters } else { String::new() };
    (pattern.wildcard_match(&text) == wanted).then(|| literal(text.as_str()))
}
