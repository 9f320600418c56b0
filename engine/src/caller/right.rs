//! What a caller may do, as the management pack has it.

use std::sync::Arc;

use cedar_policy_core::ast::{Literal, Value, ValueKind};
use smol_str::SmolStr;

use super::{Caller, EVERY};
use crate::clock::Timestamp;
use crate::decision::slice::lay_over;
use crate::decision::value::Record;
use crate::decision::{Combined, Question, Reason, Verdict, combine, evaluate};
use crate::entity::{Facts, Window};
use crate::policy::{Pack, Snapshot};

/// An action of the management pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// Ask for decisions.
    Decide,
    /// Vouch for who the subject is.
    AssertSubject,
    /// Evaluate policies that are not served.
    Simulate,
    /// Claim keys, once each.
    Claim,
    /// Read recorded decisions.
    ReadDecisions,
    /// Read the metrics.
    ReadMetrics,
    /// Read the details of readiness.
    ReadReadiness,
    /// Read the description of the API.
    ReadApi,
    /// Look at principals, and at what they may do.
    ReadPrincipals,
    /// Make, change and delete principals.
    ChangePrincipals,
    /// Lock, unlock, disable and enable principals.
    DisablePrincipals,
    /// Look at groups.
    ReadGroups,
    /// Make, change and delete groups, and who is in them.
    ChangeGroups,
    /// Look at roles.
    ReadRoles,
    /// Make, change and delete roles.
    ChangeRoles,
    /// Look at who has which role.
    ReadRoleAssignments,
    /// Give roles, and approve that they are given.
    AssignRoles,
    /// Take roles away.
    RevokeRoles,
    /// Look at elevations.
    ReadElevations,
    /// Ask for elevations.
    RequestElevations,
    /// Approve, deny and end elevations.
    DecideElevations,
    /// Take a role at once, with an alert.
    BreakGlass,
    /// Look at entities.
    ReadEntities,
    /// Make, change, delete and import entities.
    ChangeEntities,
    /// Look at the named keys, as far as everybody may know them.
    ReadKeys,
    /// Look at plugins: what is loaded, and how their calls go.
    ReadPlugins,
    /// Say how much plugins count.
    ManagePlugins,
    /// Look at revisions of policies, and at those in shadow.
    ReadRevisions,
    /// Go back to a revision, or promote the one in shadow.
    ManageRevisions,
    /// Change the service.
    Manage,
}

impl Right {
    /// The name that policies, rights and messages have for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::AssertSubject => "assert_subject",
            Self::Simulate => "simulate",
            Self::Claim => "claim",
            Self::ReadDecisions => "read_decisions",
            Self::ReadMetrics => "read_metrics",
            Self::ReadReadiness => "read_readiness",
            Self::ReadApi => "read_api",
            Self::ReadPrincipals => "read_principals",
            Self::ChangePrincipals => "change_principals",
            Self::DisablePrincipals => "disable_principals",
            Self::ReadGroups => "read_groups",
            Self::ChangeGroups => "change_groups",
            Self::ReadRoles => "read_roles",
            Self::ChangeRoles => "change_roles",
            Self::ReadRoleAssignments => "read_role_assignments",
            Self::AssignRoles => "assign_roles",
            Self::RevokeRoles => "revoke_roles",
            Self::ReadElevations => "read_elevations",
            Self::RequestElevations => "request_elevations",
            Self::DecideElevations => "decide_elevations",
            Self::BreakGlass => "break_glass",
            Self::ReadEntities => "read_entities",
            Self::ChangeEntities => "change_entities",
            Self::ReadKeys => "read_keys",
            Self::ReadPlugins => "read_plugins",
            Self::ManagePlugins => "manage_plugins",
            Self::ReadRevisions => "read_revisions",
            Self::ManageRevisions => "manage_revisions",
            Self::Manage => "manage",
        }
    }

    /// Whether such a call goes on when it can't be recorded: what operators need to see why nothing can be. The
    /// missing record is counted.
    pub fn goes_unrecorded(self) -> bool {
        matches!(self, Self::ReadMetrics | Self::ReadReadiness)
    }

    /// The rights that a caller can be given; what others ask for, policies derive.
    pub const GIVEN: [Self; 28] = [
        Self::AssertSubject,
        Self::Simulate,
        Self::Claim,
        Self::ReadDecisions,
        Self::ReadMetrics,
        Self::ReadReadiness,
        Self::ReadPrincipals,
        Self::ChangePrincipals,
        Self::DisablePrincipals,
        Self::ReadGroups,
        Self::ChangeGroups,
        Self::ReadRoles,
        Self::ChangeRoles,
        Self::ReadRoleAssignments,
        Self::AssignRoles,
        Self::RevokeRoles,
        Self::ReadElevations,
        Self::RequestElevations,
        Self::DecideElevations,
        Self::BreakGlass,
        Self::ReadEntities,
        Self::ChangeEntities,
        Self::ReadKeys,
        Self::ReadPlugins,
        Self::ManagePlugins,
        Self::ReadRevisions,
        Self::ManageRevisions,
        Self::Manage,
    ];
}

/// What a right is about.
#[derive(Clone, Copy, Debug)]
pub enum RightOn<'a> {
    /// A pack.
    Pack(&'a str),
    /// A tenant.
    Tenant(&'a str),
}

/// What a call of the management API is about, besides the tenant; policies read it in the context.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct About<'a> {
    /// The pack whose data is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<&'a str>,
    /// The type of the thing, as paths and bodies name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_type: Option<&'a str>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_id: Option<&'a str>,
    /// The management role that is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'a str>,
}

impl About<'_> {
    fn context(&self, pack: &Pack, right: Right) -> Record {
        let told = [("pack", self.pack), ("target_type", self.target_type), ("target_id", self.target_id)];
        let told = told.into_iter().filter_map(|(name, value)| Some(member(name, text(value?))));
        let role = self.role.and_then(|role| pack.uid("role", role));
        let role = role.map(|role| member("role", literal(Literal::EntityUID(Arc::new(role)))));
        told.chain(role).chain([member("right", text(right.name()))]).collect()
    }
}

/// Whether a caller may, now. Remembered for as long as caller, management pack and the tenant's data for it stand, and
/// until an assignment that came in the way starts or ends.
pub fn may(snapshot: &Snapshot, caller: &Caller, right: Right, on: RightOn<'_>, now: Timestamp) -> bool {
    let (RightOn::Pack(name) | RightOn::Tenant(name)) = on;
    let pack = snapshot.management();
    let facts = pack.facts(&snapshot.data, &caller.tenant, now);
    caller.remember(&facts, right, name, || {
        let (combined, window) = judge(pack, facts, caller, (right, &About::default()), on);
        (combined.verdict == Verdict::Allow, window)
    })
}

/// The decision itself: of the management pack, with the roles that the caller's tenant has given it there.
pub fn decide(
    snapshot: &Snapshot,
    caller: &Caller,
    (right, about): (Right, &About<'_>),
    on: RightOn<'_>,
    now: Timestamp,
) -> Combined {
    let pack = snapshot.management();
    judge(pack, pack.facts(&snapshot.data, &caller.tenant, now), caller, (right, about), on).0
}

fn judge(
    pack: &Pack,
    facts: Facts<'_>,
    caller: &Caller,
    (right, about): (Right, &About<'_>),
    on: RightOn<'_>,
) -> (Combined, Window) {
    let (type_name, id) = match on {
        RightOn::Pack(name) => ("pack", name),
        RightOn::Tenant(name) => ("tenant", name),
    };
    let (Some(principal), Some(resource)) = (pack.uid("caller", &caller.id), pack.uid(type_name, id)) else {
        return (Combined::deny(vec![Reason::TypeUnrepresentable]), Window::ALL);
    };
    let view = facts.about(&resource);
    let (Ok(stored_principal), Ok(stored_resource)) = (view.get(&principal), view.get(&resource)) else {
        return (Combined::deny(vec![Reason::EvaluationFailed]), Window::NEVER);
    };
    let settings = pack.settings.properties;
    let laid_over = [
        lay_over(stored_principal.as_ref(), &principal, &caller_record(caller), settings.subject),
        lay_over(stored_resource.as_ref(), &resource, &[member("name", text(id))].into(), settings.resource),
    ];
    let laid_over = laid_over.into_iter().flatten().collect();
    let question = Question {
        principal,
        action: pack.action(right.name()),
        resource: resource.clone(),
        context: Arc::new(if matches!(on, RightOn::Tenant(_)) {
            about.context(pack, right)
        } else {
            Record::new()
        }),
        laid_over,
        context_left_out: Vec::new(),
        subject_left_out: Vec::new(),
        resource_left_out: Vec::new(),
        unreadable: false,
    };
    let findings = evaluate(&pack.rules, &view, &question);
    // What could not be read may be read the next time.
    let window = if findings.unevaluated { Window::NEVER } else { view.window() };
    (combine(&pack.rules, &findings, pack.settings.on_policy_error, &|_| false), window)
}

fn caller_record(caller: &Caller) -> Record {
    [
        member("tenant", text(&caller.tenant)),
        member("name", text(&caller.name)),
        member("rights", set(&caller.rights)),
        member("packs", set(&caller.packs)),
        member("all_packs", literal(Literal::Bool(caller.packs.iter().any(|pack| pack == EVERY)))),
    ]
    .into()
}

fn member(name: &str, value: Value) -> (SmolStr, Value) {
    (name.into(), value)
}

fn literal(literal: Literal) -> Value {
    Value { value: ValueKind::Lit(literal), loc: None }
}

fn text(text: &str) -> Value {
    literal(Literal::String(text.into()))
}

fn set(texts: &[String]) -> Value {
    Value::set(texts.iter().map(|one| text(one)), None)
}

#[cfg(test)]
mod tests;
