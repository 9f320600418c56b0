//! `unknown-entity`: a policy names an entity that is not stored, of a type of which others are.

use std::sync::Arc;

use cedar_policy_core::ast::{EntityUID, ExprKind, Literal};
use cedar_policy_core::parser::Loc;

use super::{Finding, Known, Linted, Rule};

pub(super) fn check(known: &Known<'_>, linted: &Linted<'_>, found: &mut Vec<Finding>) {
    let mut unknown = |uid: &Arc<EntityUID>, place: Option<&Loc>| {
        if known.is_stored(uid) || !known.has_others(uid) {
            return;
        }
        let message =
            format!("names `{uid}`, which is not among the entities of its type in `entities.json`");
        let help = "mend the name, or add the entity; one that only the API knows is allowed by `@lint_allow(\"unknown-entity\")`";
        found.push(known.finding((Rule::UnknownEntity, linted), place, message, help));
    };
    for uid in linted.scope.uids() {
        unknown(uid, uid.loc());
    }
    if let Some(condition) = linted.policy.non_scope_constraints() {
        for expr in condition.subexpressions() {
            if let ExprKind::Lit(Literal::EntityUID(uid)) = expr.expr_kind() {
                unknown(uid, expr.source_loc());
            }
        }
    }
}

impl Known<'_> {
    fn is_stored(&self, uid: &EntityUID) -> bool {
        self.entities.get(uid).is_some()
    }

    /// What no file describes may be anything; of actions and types with a schema the validator tells.
    fn has_others(&self, uid: &EntityUID) -> bool {
        self.types.contains(uid.entity_type())
    }
}
