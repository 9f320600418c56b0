//! Roles for a while: asked for, approved by another, and over by themselves; or taken at once, with an alert.
//!
//! Promises: an elevation is in force as a role assignment with an end, made in the same change; nobody approves their
//! own; the glass is broken only where the pack permits it. Must never: outlast its duration.

use super::approval::{self, APPROVE_ELEVATION, BREAK_GLASS, Parties};
use super::assignments::{self, PRINCIPALS};
use super::grant::{CALLER, Grant, Ground, KnownRole, Party, Place, Wish, check_reason};
use super::{AdminError, duties};
use crate::app::Changing;
use crate::clock::Timestamp;
use crate::store::assignments::AssignmentRow;
use crate::store::elevations::ElevationRow;

/// Waits for an approval.
pub const REQUESTED: &str = "requested";
/// In force until its end.
pub const ACTIVE: &str = "active";
/// Was not approved.
pub const DENIED: &str = "denied";
/// Over.
pub const ENDED: &str = "ended";

/// The kind of change that somebody must hear of at once: a role was taken without an approval.
pub const BROKEN: &str = "elevation_break_glass";

/// The longest elevation, in seconds: a week.
pub const MOST_SECONDS: i64 = 7 * 86_400;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct NewElevation {
    /// Its id.
    pub id: String,
    /// Who, which role, where.
    pub wish: Wish,
    /// Why.
    pub reason: String,
    /// For how long, in seconds.
    pub seconds: i64,
    /// Who asks.
    pub requested_by: Party,
    /// Which caller asks, as `caller:clr_…`.
    pub made_by: String,
}

/// Asks for a role.
///
/// # Errors
/// When it can't be given.
pub async fn request(
    changing: &mut Changing<'_>,
    ground: &Ground,
    new: NewElevation,
) -> Result<ElevationRow, AdminError> {
    let (grant, row) = prepare(changing, ground, &new)?;
    duties::check_assignment(ground, &assignment(ground, grant, &row, String::new()))?;
    changing.put_elevation(row.clone()).await?;
    Ok(row)
}

/// Takes a role at once.
///
/// # Errors
/// When it can't be given, or the pack does not permit who gets it to take it.
pub async fn break_glass(
    changing: &mut Changing<'_>,
    ground: &Ground,
    (new, assignment_id): (NewElevation, String),
) -> Result<ElevationRow, AdminError> {
    let (grant, mut row) = prepare(changing, ground, &new)?;
    approval::check_permitted(ground, &new.wish.principal, BREAK_GLASS, &new.wish.role)?;
    row.break_glass = true;
    let by = Party::read(&row.requested_by);
    activate(changing, ground, (grant, row), (assignment_id, &by)).await
}

fn prepare(
    changing: &Changing<'_>,
    ground: &Ground,
    new: &NewElevation,
) -> Result<(Grant, ElevationRow), AdminError> {
    let grant = ground.grant(&new.wish, &PRINCIPALS)?;
    check_reason(&new.reason)?;
    check_duration(&grant.role, new.seconds)?;
    if new.requested_by.kind != CALLER {
        ground.named("requested_by", &new.requested_by, &PRINCIPALS)?;
    }
    let row = ElevationRow {
        id: new.id.clone(),
        tenant_id: ground.tenant.clone(),
        pack: ground.pack.name().to_owned(),
        subject_kind: grant.kind.clone(),
        subject: grant.subject.clone(),
        role: grant.role.named.clone(),
        scope: grant.scope.to_owned(),
        scope_on: grant.scope_on.clone(),
        reason: new.reason.clone(),
        duration_us: new.seconds.saturating_mul(1_000_000),
        break_glass: false,
        status: REQUESTED.to_owned(),
        requested_by: new.requested_by.text(),
        made_by: new.made_by.clone(),
        decided_by: None,
        decided_at: None,
        assignment_id: None,
        ends_at: None,
        created_at: ground.now,
        updated_at: ground.now,
        version: changing.sequence(),
    };
    Ok((grant, row))
}

fn check_duration(role: &KnownRole, seconds: i64) -> Result<(), AdminError> {
    let most = role.settings.max_seconds.map_or(MOST_SECONDS, |most| most.min(MOST_SECONDS));
    if (1..=most).contains(&seconds) {
        return Ok(());
    }
    Err(AdminError::Invalid {
        field: "duration_seconds".into(),
        message: format!("must be from 1 to {most} for the role `{}`", role.id()),
    })
}

/// Approves an elevation that waits.
///
/// # Errors
/// When it does not wait, who approves may not, or it must not be given any more.
pub async fn approve(
    changing: &mut Changing<'_>,
    ground: &Ground,
    row: ElevationRow,
    (approver, assignment_id): (&Party, String),
) -> Result<ElevationRow, AdminError> {
    check_decider(ground, &row, approver)?;
    let principal = Party { kind: row.subject_kind.clone(), id: row.subject.1.clone() };
    let place = match (row.scope.as_str(), row.scope_on.clone()) {
        ("resource", Some((type_name, id))) => Place::Resource(type_name, id),
        ("resource_tree", Some((type_name, id))) => Place::ResourceTree(type_name, id),
        _ => Place::Tenant,
    };
    let wish = Wish { principal, role: row.role.1.clone(), place };
    let grant = ground.grant(&wish, &PRINCIPALS)?;
    check_duration(&grant.role, row.duration_us / 1_000_000)?;
    activate(changing, ground, (grant, row), (assignment_id, approver)).await
}

/// Denies an elevation that waits.
///
/// # Errors
/// When it does not wait, or who denies may not.
pub async fn deny(
    changing: &mut Changing<'_>,
    ground: &Ground,
    (row, approver): (ElevationRow, &Party),
) -> Result<ElevationRow, AdminError> {
    check_decider(ground, &row, approver)?;
    settle(changing, row, DENIED, approver).await
}

fn check_decider(ground: &Ground, row: &ElevationRow, approver: &Party) -> Result<(), AdminError> {
    if row.status != REQUESTED {
        return Err(AdminError::WrongStatus(shown_status(row, ground.now).to_owned()));
    }
    let parties = Parties {
        requested_by: &row.requested_by,
        made_by: &row.made_by,
        principal: &Party { kind: row.subject_kind.clone(), id: row.subject.1.clone() },
        delegated_by: None,
    };
    approval::check_other(ground, approver, parties)?;
    if approver.kind == CALLER {
        return Ok(());
    }
    ground.named("approver", approver, &PRINCIPALS)?;
    approval::check_permitted(ground, approver, APPROVE_ELEVATION, &row.role.1)
}

/// Makes the assignment that it is in force by.
async fn activate(
    changing: &mut Changing<'_>,
    ground: &Ground,
    (grant, mut row): (Grant, ElevationRow),
    (assignment_id, by): (String, &Party),
) -> Result<ElevationRow, AdminError> {
    row.ends_at = Some(Timestamp(ground.now.0.saturating_add(row.duration_us)));
    row.assignment_id = Some(assignment_id.clone());
    let mut assignment = assignment(ground, grant, &row, assignment_id);
    assignment.decided_by = Some(by.text());
    assignment.decided_at = Some(ground.now);
    assignment.version = changing.sequence();
    duties::check_assignment(ground, &assignment)?;
    changing.put_assignment(assignment).await?;
    settle(changing, row, ACTIVE, by).await
}

fn assignment(ground: &Ground, grant: Grant, row: &ElevationRow, id: String) -> AssignmentRow {
    let requested_by = Party::read(&row.requested_by);
    let ends_at = Timestamp(ground.now.0.saturating_add(row.duration_us));
    AssignmentRow {
        ends_at: Some(ends_at),
        reason: Some(row.reason.clone()),
        elevation_id: Some(row.id.clone()),
        made_by: row.made_by.clone(),
        ..assignments::row_of(ground, grant, id, &requested_by)
    }
}

/// Ends an elevation, and the assignment that it is in force by.
///
/// # Errors
/// When the store fails.
pub async fn end(
    changing: &mut Changing<'_>,
    row: ElevationRow,
    by: &Party,
) -> Result<ElevationRow, AdminError> {
    if let Some(assignment) = &row.assignment_id {
        let assignment = changing.assignment(assignment).await?;
        if let Some(assignment) = assignment.filter(|row| !assignments::is_ended(row)) {
            assignments::settle(changing, assignment, assignments::REVOKED, by).await?;
        }
    }
    settle(changing, row, ENDED, by).await
}

/// Writes what was decided.
pub(super) async fn settle(
    changing: &mut Changing<'_>,
    mut row: ElevationRow,
    status: &str,
    by: &Party,
) -> Result<ElevationRow, AdminError> {
    let now = changing.now();
    row.status = status.to_owned();
    row.decided_by = Some(by.text());
    row.decided_at = Some(now);
    row.updated_at = now;
    row.version = changing.sequence();
    changing.put_elevation(row.clone()).await?;
    Ok(row)
}

/// Whether it is not over by decision.
pub fn is_open(row: &ElevationRow) -> bool {
    [REQUESTED, ACTIVE].contains(&row.status.as_str())
}

/// Its status now: what has lasted its time is over, though nobody noted it.
pub fn shown_status(row: &ElevationRow, now: Timestamp) -> &str {
    let is_over = row.status == ACTIVE && row.ends_at.is_some_and(|end| end <= now);
    if is_over { ENDED } else { &row.status }
}
