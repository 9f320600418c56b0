//! The end of what somebody holds: role assignments and elevations, in the change that takes it away.

use super::grant::Party;
use super::{AdminError, assignments, elevations};
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

/// Ends all that a subject (a Cedar type and an id) holds or has passed on in a pack.
///
/// # Errors
/// When the store fails.
pub async fn end_all(
    changing: &mut Changing<'_>,
    pack: &str,
    subject: (&str, &str),
    by: &Party,
) -> Result<Ended, AdminError> {
    let held = changing.assignments_about(pack, subject).await?;
    let elevated = changing.elevations_of(pack, subject).await?;
    let ended = Ended { role_assignments: held.len() as u64, elevations: elevated.len() as u64 };
    for row in elevated {
        elevations::end(changing, row, by).await?;
    }
    // Those that an elevation was in force by have ended with it.
    for row in changing.assignments_about(pack, subject).await? {
        assignments::end(changing, row, by).await?;
    }
    Ok(ended)
}
