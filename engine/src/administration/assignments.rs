//! Who has which role: given, approved, taken away.
//!
//! Promises: nobody gives a role of the management pack that they do not hold; what is delegated can only be less; no two
//! roles come together that exclude each other; who approves is another. All of it is checked in the change itself.

use super::approval::{self, APPROVE_ROLE, Parties};
use super::grant::{CALLER, Grant, Ground, KnownRole, Party, Wish, check_reason};
use super::{AdminError, duties, elevations};
use crate::app::{App, Changing};
use crate::caller::{About, Caller, Right, RightOn, decide};
use crate::clock::Timestamp;
use crate::decision::Verdict;
use crate::policy::MANAGEMENT;
use crate::store::assignments::AssignmentRow;

/// Who can have a role of an application's pack.
pub const SUBJECTS: [&str; 4] = ["user", "service", "device", "group"];
/// Who can pass a role on, approve, or take one at once.
pub const PRINCIPALS: [&str; 3] = ["user", "service", "device"];

/// Waits for an approval.
pub const PENDING: &str = "pending";
/// Counts, within its time.
pub const ACTIVE: &str = "active";
/// Was not approved.
pub const DENIED: &str = "denied";
/// Was taken away.
pub const REVOKED: &str = "revoked";

/// Which application makes a change.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// Where callers are known.
    pub app: &'a App,
    /// The caller.
    pub caller: &'a Caller,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewAssignment {
    /// Its id.
    pub id: String,
    /// Who, which role, where.
    pub wish: Wish,
    /// From when on.
    pub starts_at: Option<Timestamp>,
    /// Until when.
    pub ends_at: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// Whose role it is a part of.
    pub delegated_by: Option<Party>,
    /// Who asks.
    pub requested_by: Party,
}

/// Gives a role, or asks for it where the role wants an approval.
///
/// # Errors
/// When it must not be given.
pub async fn create(
    by: By<'_>,
    changing: &mut Changing<'_>,
    ground: &Ground,
    new: NewAssignment,
) -> Result<AssignmentRow, AdminError> {
    let grant = if ground.is_management() {
        management_grant(by, ground, &new)?
    } else {
        ground.grant(&new.wish, &SUBJECTS)?
    };
    if new.requested_by.kind != CALLER {
        ground.named("requested_by", &new.requested_by, &PRINCIPALS)?;
    }
    let delegator = new.delegated_by.as_ref();
    let delegated_by = delegator.map(|party| ground.known("delegated_by", party, &PRINCIPALS)).transpose()?;
    let role = grant.role.clone();
    let status = if role.settings.requires_approval { PENDING } else { ACTIVE };
    let mut row = row_of(ground, grant, new.id, &new.requested_by);
    row.made_by = Party::caller(&by.caller.id).text();
    row.status = status.to_owned();
    (row.starts_at, row.ends_at) = (new.starts_at, new.ends_at);
    (row.reason, row.delegated_by) = (new.reason, delegated_by);
    check(by, ground, &role, &row)?;
    row.version = changing.sequence();
    changing.put_assignment(row.clone()).await?;
    Ok(row)
}

/// An assignment of the management pack is a caller's, of the same tenant, and everywhere.
fn management_grant(by: By<'_>, ground: &Ground, new: &NewAssignment) -> Result<Grant, AdminError> {
    let invalid = |field: &str, message: &str| AdminError::Invalid {
        field: field.to_owned(),
        message: format!("{message} in the pack `{MANAGEMENT}`"),
    };
    if new.wish.place != super::grant::Place::Tenant {
        return Err(invalid("scope.kind", "must be `tenant`"));
    }
    if new.delegated_by.is_some() {
        return Err(invalid("delegated_by", "must be absent"));
    }
    if new.requested_by.kind != CALLER {
        return Err(invalid("requested_by", "must be absent"));
    }
    let principal = &new.wish.principal;
    let subject = ground.named("principal", principal, &[CALLER])?;
    let known = by.app.callers.with_id(&principal.id).filter(|caller| caller.tenant == ground.tenant);
    known.ok_or_else(|| AdminError::UnknownReference {
        field: "principal".into(),
        kind: CALLER,
        id: principal.id.clone(),
    })?;
    let role = ground.role("role", &new.wish.role)?;
    Ok(Grant { kind: CALLER.into(), subject, role, scope: "tenant", scope_on: None })
}

/// A row of what is granted, in force at once and for ever.
pub(super) fn row_of(ground: &Ground, grant: Grant, id: String, requested_by: &Party) -> AssignmentRow {
    AssignmentRow {
        id,
        tenant_id: ground.tenant.clone(),
        pack: ground.pack.name().to_owned(),
        subject_kind: grant.kind,
        subject: grant.subject,
        role: grant.role.named,
        scope: grant.scope.to_owned(),
        scope_on: grant.scope_on,
        starts_at: None,
        ends_at: None,
        delegated_by: None,
        reason: None,
        status: ACTIVE.to_owned(),
        requested_by: requested_by.text(),
        made_by: requested_by.text(),
        decided_by: None,
        decided_at: None,
        elevation_id: None,
        created_at: ground.now,
        updated_at: ground.now,
        version: 0,
    }
}

/// Whether an assignment may be given, as it is and now: when it is made, and again when it is approved.
fn check(by: By<'_>, ground: &Ground, role: &KnownRole, row: &AssignmentRow) -> Result<(), AdminError> {
    check_terms(role, row, ground.now)?;
    if ground.is_management() {
        check_held(by, ground, role, row)?;
    }
    if let Some(delegator) = &row.delegated_by {
        let holds = *delegator != row.subject && duties::has_what(ground, delegator, row, true);
        if !holds {
            let (delegator, role) = (delegator.1.clone(), role.id().to_owned());
            return Err(AdminError::WiderThanDelegated { delegator, role });
        }
    }
    duties::check_assignment(ground, row)
}

/// What the role asks of every assignment.
fn check_terms(role: &KnownRole, row: &AssignmentRow, now: Timestamp) -> Result<(), AdminError> {
    let ends_at = |message: String| AdminError::Invalid { field: "ends_at".into(), message };
    if row.ends_at.is_some_and(|end| end <= now || row.starts_at.is_some_and(|start| end <= start)) {
        return Err(ends_at("must be later than now and than `starts_at`".into()));
    }
    match &row.reason {
        Some(reason) => check_reason(reason)?,
        None if role.settings.requires_reason => {
            return Err(AdminError::ReasonRequired(role.id().to_owned()));
        }
        None => {}
    }
    let Some(most) = role.settings.max_seconds else { return Ok(()) };
    let start = row.starts_at.unwrap_or(row.created_at);
    let lasts = row.ends_at.map(|end| i128::from(end.0) - i128::from(start.0));
    if lasts.is_some_and(|lasts| lasts <= i128::from(most) * 1_000_000) {
        return Ok(());
    }
    Err(ends_at(format!("must be at most {most} seconds after the start: so long is the role given")))
}

/// Nobody gives a role of the management pack that they do not hold for all of its time. Judged in the change: the
/// caller's own role may have been taken away meanwhile.
fn check_held(by: By<'_>, ground: &Ground, role: &KnownRole, row: &AssignmentRow) -> Result<(), AdminError> {
    let not_held = || AdminError::NotHeld(role.id().to_owned());
    let known = by.app.callers.with_id(&by.caller.id);
    let caller = known
        .filter(|caller| caller.tenant == ground.tenant && caller.is_live(ground.now))
        .ok_or_else(not_held)?;
    let about = about(role.id());
    let tenant = RightOn::Tenant(&ground.tenant);
    let judged = decide(&ground.snapshot, &caller, (Right::AssignRoles, &about), tenant, ground.now);
    if judged.verdict != Verdict::Allow {
        return Err(not_held());
    }
    let manages = caller.rights.iter().any(|right| right == Right::Manage.name());
    let named = ground.named("principal", &Party::caller(&caller.id), &[CALLER])?;
    if manages || duties::has_what(ground, &named, row, false) { Ok(()) } else { Err(not_held()) }
}

/// What the management pack is told of giving one of its roles.
pub fn about(role: &str) -> About<'_> {
    About { pack: Some(MANAGEMENT), target_type: Some("role_assignment"), target_id: None, role: Some(role) }
}

/// Whether a caller may give roles, only not this one: it is told so.
pub fn lacks_the_role_alone(by: By<'_>, role: &str) -> bool {
    let without = About { role: None, ..about(role) };
    let (app, caller) = (by.app, by.caller);
    let judged = decide(
        &app.snapshot(),
        caller,
        (Right::AssignRoles, &without),
        RightOn::Tenant(&caller.tenant),
        app.clock.now(),
    );
    judged.verdict == Verdict::Allow
}

/// Approves an assignment that waits.
///
/// # Errors
/// When it does not wait, who approves may not, or it must not be given any more.
pub async fn approve(
    by: By<'_>,
    changing: &mut Changing<'_>,
    ground: &Ground,
    (row, approver): (AssignmentRow, &Party),
) -> Result<AssignmentRow, AdminError> {
    check_decider(ground, &row, approver)?;
    let role = ground.role("role", &row.role.1)?;
    if row.ends_at.is_some_and(|end| end <= ground.now) {
        return Err(AdminError::WrongStatus("over".into()));
    }
    let principal = Party { kind: row.subject_kind.clone(), id: row.subject.1.clone() };
    if !ground.is_management() {
        ground.known("principal", &principal, &SUBJECTS)?;
    }
    check(by, ground, &role, &row)?;
    settle(changing, row, ACTIVE, approver).await
}

/// Denies an assignment that waits.
///
/// # Errors
/// When it does not wait, or who denies may not.
pub async fn deny(
    changing: &mut Changing<'_>,
    ground: &Ground,
    (row, approver): (AssignmentRow, &Party),
) -> Result<AssignmentRow, AdminError> {
    check_decider(ground, &row, approver)?;
    settle(changing, row, DENIED, approver).await
}

fn check_decider(ground: &Ground, row: &AssignmentRow, approver: &Party) -> Result<(), AdminError> {
    if row.status != PENDING {
        return Err(AdminError::WrongStatus(row.status.clone()));
    }
    let parties = Parties {
        requested_by: &row.requested_by,
        made_by: &row.made_by,
        principal: &Party { kind: row.subject_kind.clone(), id: row.subject.1.clone() },
        delegated_by: row.delegated_by.as_ref(),
    };
    approval::check_other(ground, approver, parties)?;
    if approver.kind == CALLER {
        return Ok(());
    }
    ground.named("approver", approver, &PRINCIPALS)?;
    approval::check_permitted(ground, approver, APPROVE_ROLE, &row.role.1)
}

/// Takes a role away, or what waits for it; an elevation that it is of ends too.
///
/// # Errors
/// When the store fails.
pub async fn end(
    changing: &mut Changing<'_>,
    row: AssignmentRow,
    by: &Party,
) -> Result<AssignmentRow, AdminError> {
    let elevation = row.elevation_id.clone();
    let row = settle(changing, row, REVOKED, by).await?;
    if let Some(elevation) = elevation {
        let elevation = changing.elevation(&elevation).await?;
        if let Some(elevation) = elevation.filter(elevations::is_open) {
            elevations::settle(changing, elevation, elevations::ENDED, by).await?;
        }
    }
    Ok(row)
}

/// Writes what was decided.
pub(super) async fn settle(
    changing: &mut Changing<'_>,
    mut row: AssignmentRow,
    status: &str,
    by: &Party,
) -> Result<AssignmentRow, AdminError> {
    let now = changing.now();
    row.status = status.to_owned();
    row.decided_by = Some(by.text());
    row.decided_at = Some(now);
    row.updated_at = now;
    row.version = changing.sequence();
    changing.put_assignment(row.clone()).await?;
    Ok(row)
}

/// Whether it is over by decision.
pub fn is_ended(row: &AssignmentRow) -> bool {
    [DENIED, REVOKED].contains(&row.status.as_str())
}
