//! Who may approve that somebody gets a role, and who may take one at once: the pack says so.
//!
//! Promises: it is a decision of the pack itself, with the role as the resource; who approves is another than who asked
//! and than who gets the role, however either is named. Must never: let through what can't be judged.

use std::borrow::Cow;

use super::AdminError;
use super::grant::{CALLER, Ground, Party, uid_of};
use crate::decision::{Verdict, combine, evaluate};
use crate::entity::{Kind, Named};
use crate::question::{Act, Asked, Assertions, Party as Asker};

/// The action of a pack that lets somebody approve an assignment.
pub const APPROVE_ROLE: &str = "approve_role";
/// The action of a pack that lets somebody approve an elevation.
pub const APPROVE_ELEVATION: &str = "approve_elevation";
/// The action of a pack that lets somebody take a role at once.
pub const BREAK_GLASS: &str = "break_glass";

/// The question to the pack.
pub fn question<'a>(who: &'a Party, action: &'static str, role: &'a str) -> Asked<'a> {
    let party = |type_name: &'a str, id: &'a str| Asker {
        type_name: Cow::Borrowed(type_name),
        id: Cow::Borrowed(id),
        properties: None,
    };
    Asked {
        subject: party(&who.kind, &who.id),
        action: Act { name: Cow::Borrowed(action), properties: None },
        resource: party(Kind::Role.name(), role),
        context: None,
    }
}

/// Whether the pack permits it, as of a change.
///
/// # Errors
/// When it does not.
pub fn check_permitted(
    ground: &Ground,
    who: &Party,
    action: &'static str,
    role: &str,
) -> Result<(), AdminError> {
    let asked = question(who, action, role);
    let facts = ground.pack.facts(&ground.snapshot.data, &ground.tenant, ground.now);
    let assertions = Assertions::parse(&asked).unwrap_or_default();
    let permitted = assertions.question(&asked, &ground.pack, facts).is_some_and(|question| {
        let rules = &ground.pack.rules;
        let findings = evaluate(rules, &facts.about(&question.resource), &question);
        let on_error = ground.pack.settings.on_policy_error;
        // Nobody is there who could carry an obligation out.
        let combined = combine(rules, &findings, on_error, &|_| false);
        !facts.is_inactive(&question.principal) && combined.verdict == Verdict::Allow
    });
    permitted.then_some(()).ok_or_else(|| not_permitted(who, action, role))
}

/// The pack does not permit it.
pub fn not_permitted(who: &Party, action: &'static str, role: &str) -> AdminError {
    AdminError::ApproverNotPermitted { approver: who.text(), action, role: role.to_owned() }
}

/// Those who have a part in what is to be approved.
#[derive(Clone, Copy, Debug)]
pub struct Parties<'a> {
    /// Who asked, as it is stored.
    pub requested_by: &'a str,
    /// The caller that brought it, whoever it named as who asked.
    pub made_by: &'a str,
    /// Who gets the role.
    pub principal: &'a Party,
    /// Who passes it on.
    pub delegated_by: Option<&'a Named>,
}

/// Whether who approves is none of them, and in no group that gets the role.
///
/// # Errors
/// When it is.
pub fn check_other(ground: &Ground, approver: &Party, parties: Parties<'_>) -> Result<(), AdminError> {
    let (asker, maker) = (Party::read(parties.requested_by), Party::read(parties.made_by));
    if [&asker, &maker, parties.principal].into_iter().any(|party| approver.is(party, &ground.pack)) {
        return Err(AdminError::ApprovalBySame);
    }
    if approver.kind == CALLER {
        return Ok(());
    }
    let pack = &ground.pack;
    let uid = pack.uid(&approver.kind, &approver.id).ok_or(AdminError::ApprovalBySame)?;
    if parties.delegated_by.and_then(uid_of).is_some_and(|delegator| delegator == uid) {
        return Err(AdminError::ApprovalBySame);
    }
    let group = pack.uid(&parties.principal.kind, &parties.principal.id);
    let facts = pack.facts(&ground.snapshot.data, &ground.tenant, ground.now);
    // Whoever can't be read may be one of them.
    let entity = facts.about(&uid).get(&uid).map_err(|_| AdminError::ApprovalBySame)?;
    let is_in = entity.zip(group).is_some_and(|(entity, group)| entity.is_descendant_of(&group));
    if is_in { Err(AdminError::ApprovalBySame) } else { Ok(()) }
}
