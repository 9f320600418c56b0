//! Which changes could give a part of a policy the value that is wanted.
//!
//! They are guesses, made of the part's own shape and of the values that it has now: who asks tries them. Promises: few of
//! them, whatever the policy; the work is in proportion to its text and bounded by the budget.

use cedar_policy_core::ast::{
    EntityReference, EntityUID, Expr, ExprKind, PrincipalOrResourceConstraint, UnaryOp, Value,
};

use super::change::{Change, Edit};
use super::clause::parts;
use super::judge::Judge;
use super::path::Holder;

mod atom;

/// Sets of changes, each of which may do.
pub(super) type Ways = Vec<Vec<Change>>;

/// How many sets are kept of one part, how many changes a set has at most, and how deep parts are looked into.
const MOST: usize = 32;
const LARGEST: usize = 3;
const DEEPEST: usize = 32;

/// What needs no change.
fn as_it_is() -> Ways {
    vec![Vec::new()]
}

impl Judge<'_, '_> {
    /// How the policy could be made to hold, or not to hold.
    pub(super) fn ways(&self, wanted: bool) -> Ways {
        let (rule, question) = (self.rule, self.asking.question);
        let (parts, more) = parts(rule);
        if more && wanted {
            return Vec::new();
        }
        let scopes = [(&rule.principal, &question.principal), (&rule.resource, &question.resource)];
        let mut all = if wanted { as_it_is() } else { Vec::new() };
        for (constraint, uid) in scopes {
            let ways = self.scope_ways(constraint, uid, wanted);
            all = if wanted { product(&all, &ways) } else { [all, ways].concat() };
        }
        // Before a part that is to fail, no other may have an error.
        let mut before = as_it_is();
        for part in &parts {
            if all.is_empty() && wanted || before.is_empty() || all.len() > MOST {
                break;
            }
            if wanted {
                all = product(&all, &self.part_ways(part.expr, part.wanted, 0));
                continue;
            }
            all.extend(product(&before, &self.part_ways(part.expr, !part.wanted, 0)));
            before = product(&before, &self.part_ways(part.expr, part.wanted, 0));
        }
        all.retain(|way| way.len() <= LARGEST);
        few(all)
    }

    fn scope_ways(&self, constraint: &PrincipalOrResourceConstraint, uid: &EntityUID, wanted: bool) -> Ways {
        use PrincipalOrResourceConstraint::{In, IsIn};
        if self.in_scope(constraint, uid) == wanted {
            return as_it_is();
        }
        match constraint {
            In(EntityReference::EUID(group)) => self.membership(uid, group, wanted),
            IsIn(of, EntityReference::EUID(group)) if uid.entity_type() == of.as_ref() => {
                self.membership(uid, group, wanted)
            }
            _ => Vec::new(),
        }
    }

    /// How a part could get a value.
    fn part_ways(&self, expr: &Expr, wanted: bool, depth: usize) -> Ways {
        if self.holds(expr) == Ok(wanted) {
            return as_it_is();
        }
        // Each level may ask twice for the next.
        if depth == DEEPEST || self.asking.budget.is_spent() {
            return Vec::new();
        }
        match expr.expr_kind() {
            ExprKind::And { .. } => self.joined_ways(expr, true, wanted, depth),
            ExprKind::Or { .. } => self.joined_ways(expr, false, wanted, depth),
            ExprKind::UnaryApp { op: UnaryOp::Not, arg } => self.part_ways(arg, !wanted, depth + 1),
            ExprKind::If { test_expr, then_expr, else_expr } => {
                let branch = |test: bool, then: &Expr| {
                    let tests = self.part_ways(test_expr, test, depth + 1);
                    if tests.is_empty() {
                        return Vec::new();
                    }
                    product(&tests, &self.part_ways(then, wanted, depth + 1))
                };
                let mut ways = branch(true, then_expr);
                ways.extend(branch(false, else_expr));
                few(ways)
            }
            _ => few(self.atom_ways(expr, wanted)),
        }
    }

    /// `a && b && c` is true when all are, `a || b || c` is false when all are; otherwise one is enough, if none before it has
    /// an error.
    fn joined_ways(&self, expr: &Expr, is_and: bool, wanted: bool, depth: usize) -> Ways {
        let mut items = Vec::new();
        let mut left = expr;
        loop {
            match left.expr_kind() {
                ExprKind::And { left: further, right } if is_and => {
                    items.push(right.as_ref());
                    left = further;
                }
                ExprKind::Or { left: further, right } if !is_and => {
                    items.push(right.as_ref());
                    left = further;
                }
                _ => break,
            }
        }
        items.push(left);
        items.reverse();
        let (mut all, mut found) = (as_it_is(), Vec::new());
        for item in items {
            if all.is_empty() || found.len() >= MOST {
                break;
            }
            if wanted != is_and {
                found.extend(product(&all, &self.part_ways(item, wanted, depth + 1)));
            }
            all = product(&all, &self.part_ways(item, is_and, depth + 1));
        }
        if wanted == is_and { all } else { few(found) }
    }

    /// How an entity could be put into another, or taken out of it.
    fn membership(&self, uid: &EntityUID, group: &EntityUID, wanted: bool) -> Ways {
        if uid.entity_type().is_action() {
            return Vec::new();
        }
        let change = |edit| Change { holder: Holder::Entity(uid.clone()), path: Vec::new(), edit };
        if wanted {
            return vec![vec![change(Edit::Join(group.clone()))]];
        }
        const MANY: usize = 100;
        let Some(entity) = self.entity(uid) else { return Vec::new() };
        let count = entity.ancestors().take(MANY + 1).count();
        if group == uid || count > MANY || !self.asking.budget.take(count * count / 4) {
            return Vec::new();
        }
        let is_in = |one: &EntityUID, other: &EntityUID| {
            one == other || self.entity(one).is_some_and(|one| one.is_descendant_of(other))
        };
        let known = entity.parents().next().is_some();
        let direct = entity.ancestors().filter(|one| {
            if known {
                return entity.is_child_of(one);
            }
            // Nobody says which are direct: those are that nothing else leads to.
            !entity.ancestors().any(|other| other != *one && is_in(other, one))
        });
        let leading = direct.filter(|one| is_in(one, group));
        let leaves: Vec<_> = leading.map(|one| change(Edit::Leave(one.clone()))).take(LARGEST + 1).collect();
        if leaves.is_empty() || leaves.len() > LARGEST { Vec::new() } else { vec![leaves] }
    }
}

/// The first of them, each once.
fn few(mut ways: Ways) -> Ways {
    let mut seen: Ways = Vec::new();
    ways.retain(|way| {
        let is_new = seen.len() < MOST && !seen.contains(way);
        if is_new {
            seen.push(way.clone());
        }
        is_new
    });
    ways
}

/// Each of these with each of those.
pub(super) fn product(these: &Ways, those: &Ways) -> Ways {
    let mut all = Vec::new();
    for this in these {
        for that in those {
            all.extend(merged(this, that));
            if all.len() > MOST * 2 {
                return few(all);
            }
        }
    }
    few(all)
}

/// Both at once. Where they want one attribute otherwise, either may do: who tries them will see.
fn merged(this: &[Change], that: &[Change]) -> Ways {
    let (mut whole, mut other) = (this.to_vec(), None::<Vec<Change>>);
    for change in that {
        let same = |one: &Change| one.holder == change.holder && one.path == change.path;
        let is_within = |one: &Change| one.holder == change.holder && one.path.starts_with(&change.path);
        match whole.iter().position(same) {
            Some(place) => match (whole.get(place).map(|one| &one.edit), &change.edit) {
                (Some(one), edit) if one == edit => {}
                (Some(Edit::Set(_) | Edit::Add(_)), Edit::Have) => {}
                (Some(Edit::Have), Edit::Set(_) | Edit::Add(_)) => replace(&mut whole, place, change),
                (Some(Edit::Add(held)), Edit::Add(more)) => {
                    let edit = Edit::Add(union(held, more));
                    replace(&mut whole, place, &Change { edit, ..change.clone() });
                }
                (Some(Edit::Take(held)), Edit::Take(more)) => {
                    let edit = Edit::Take(union(held, more));
                    replace(&mut whole, place, &Change { edit, ..change.clone() });
                }
                (Some(Edit::Join(_) | Edit::Leave(_)), Edit::Join(_) | Edit::Leave(_)) => {
                    whole.push(change.clone());
                }
                _ => {
                    let mut otherwise = other.take().unwrap_or_else(|| whole.clone());
                    replace(&mut otherwise, place, change);
                    other = Some(otherwise);
                }
            },
            // What is below is there only with what is above.
            None if change.edit == Edit::Have && whole.iter().any(is_within) => {}
            None => {
                let above = |one: &Change| {
                    one.edit == Edit::Have
                        && one.holder == change.holder
                        && change.path.starts_with(&one.path)
                };
                whole.retain(|one| !above(one));
                whole.push(change.clone());
                if let Some(other) = &mut other {
                    other.push(change.clone());
                }
            }
        }
    }
    let mut ways = vec![whole];
    ways.extend(other);
    ways.retain(|way| way.len() <= LARGEST);
    ways
}

fn replace(changes: &mut [Change], place: usize, change: &Change) {
    if let Some(slot) = changes.get_mut(place) {
        *slot = change.clone();
    }
}

fn union(these: &[Value], those: &[Value]) -> Vec<Value> {
    let mut all = these.to_vec();
    all.extend(those.iter().filter(|one| !these.contains(one)).cloned());
    all
}
