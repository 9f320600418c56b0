//! Whom a search tries.
//!
//! Promises: everybody of the type whom files or the store have, or who has been assigned something, once, in the order
//! of ids. Must never: leave one out; what is too much is an error.

use cedar_policy_core::ast::EntityType;
use smol_str::SmolStr;

use crate::entity::Facts;

/// What a search may take.
pub(in crate::evaluation) struct Bounds<'b> {
    /// The most candidates.
    pub(in crate::evaluation) candidates: usize,
    /// Whether its time is over.
    pub(in crate::evaluation) stop: &'b dyn Fn() -> bool,
}

/// More than a search may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evaluation) enum Beyond {
    Candidates,
    Time,
    /// Where a page should go on, there is nothing.
    Lost,
}

/// Where candidates come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::evaluation) enum By {
    /// The policies name them, or what they are in.
    Index,
    /// They are all there are.
    Trial,
}

impl By {
    pub(in crate::evaluation) fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Trial => "trial",
        }
    }
}

/// How many are looked at between two looks at the clock.
pub(in crate::evaluation) const BETWEEN: usize = 1_024;

/// All of a type.
///
/// # Errors
/// When they are more than a search may look at.
pub(in crate::evaluation) fn all(
    facts: Facts<'_>,
    entity_type: &EntityType,
    bounds: &Bounds<'_>,
) -> Result<Vec<SmolStr>, Beyond> {
    let mut ids = Vec::new();
    let mut add = |id: &str| {
        ids.push(SmolStr::new(id));
        if ids.len() > bounds.candidates { Err(Beyond::Candidates) } else { Ok(()) }
    };
    let mut seen = 0_usize;
    let mut look = || {
        seen += 1;
        if seen.is_multiple_of(BETWEEN) && (bounds.stop)() { Err(Beyond::Time) } else { Ok(()) }
    };
    for entity in facts.files.iter() {
        look()?;
        if entity.uid().entity_type() == entity_type {
            add(entity.uid().eid().as_ref())?;
        }
    }
    if let Some((data, number)) = facts.data.and_then(|data| Some((data, data.types().known(entity_type)?))) {
        for (of, id) in data.rows().map(|row| row.key()).chain(data.subjects()) {
            look()?;
            if of == number {
                add(id)?;
            }
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
