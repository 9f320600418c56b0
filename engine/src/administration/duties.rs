//! What roles and assignments must not come to, over all of a pack: circles, and roles that exclude each other.

use super::AdminError;
use super::grant::Ground;
use crate::entity::{Data, Named};
use crate::store::assignments::AssignmentRow;

pub fn role_cycle(_ground: &Ground, _id: &str, _parents: &[Named]) -> Option<Vec<String>> {
    None
}

pub fn check_all(_ground: &Ground, _data: &Data) -> Result<(), AdminError> {
    Ok(())
}

pub fn check_assignment(_ground: &Ground, _row: &AssignmentRow) -> Result<(), AdminError> {
    Ok(())
}

pub fn holds(_ground: &Ground, _subject: &Named, _row: &AssignmentRow) -> bool {
    false
}
