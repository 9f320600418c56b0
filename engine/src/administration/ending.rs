//! The end of what somebody holds: role assignments and elevations, in the change that takes it away.

use super::AdminError;
use crate::app::Changing;

/// What has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Ended {
    /// How many role assignments, those that it passed on among them.
    pub role_assignments: u64,
    /// How many elevations.
    pub elevations: u64,
}

impl Ended {
    /// Whether it is nothing.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl std::ops::AddAssign for Ended {
    fn add_assign(&mut self, more: Self) {
        self.role_assignments += more.role_assignments;
        self.elevations += more.elevations;
    }
}

/// Ends all that a subject (a Cedar type and an id) holds or has passed on in a pack. `by` is who did it, as
/// `caller:clr_…`.
///
/// # Errors
/// When the store fails.
pub async fn end_all(
    changing: &mut Changing<'_>,
    pack: &str,
    subject: (&str, &str),
    by: &str,
) -> Result<Ended, AdminError> {
    let now = changing.now();
    let mut ended = Ended::default();
    for mut row in changing.assignments_about(pack, subject).await? {
        row.status = "revoked".to_owned();
        row.decided_by = Some(by.to_owned());
        row.decided_at = Some(now);
        row.updated_at = now;
        changing.put_assignment(row).await?;
        ended.role_assignments += 1;
    }
    for mut row in changing.elevations_of(pack, subject).await? {
        row.status = "ended".to_owned();
        row.decided_by = Some(by.to_owned());
        row.decided_at = Some(now);
        row.updated_at = now;
        changing.put_elevation(row).await?;
        ended.elevations += 1;
    }
    Ok(ended)
}
