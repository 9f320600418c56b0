//! Which files somebody is in the middle of writing.
//!
//! Promises: a file that was changed and not closed since counts as being written, where the system tells of closing; elsewhere
//! every changed file does. Half a file may parse, and lack the policies that forbid.

use std::collections::HashSet;
use std::path::PathBuf;

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind};
use notify::{Event, EventKind};

/// With more files than these, all of it counts as one burst.
const MOST: usize = 10_000;

/// The files that are being written.
#[derive(Debug, Default)]
pub(super) struct Writing {
    open: HashSet<PathBuf>,
    too_many: bool,
}

impl Writing {
    /// Takes an event in.
    pub(super) fn note(&mut self, event: &Event) {
        match event.kind {
            EventKind::Create(CreateKind::File)
            | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => {
                if self.open.len() + event.paths.len() > MOST {
                    self.too_many = true;
                } else {
                    self.open.extend(event.paths.iter().cloned());
                }
            }
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Remove(RemoveKind::File | RemoveKind::Any) => {
                for path in &event.paths {
                    self.open.remove(path);
                }
            }
            _ => {}
        }
    }

    /// Whether any file is.
    pub(super) fn is_any(&self) -> bool {
        self.too_many || !self.open.is_empty()
    }

    /// Forgets them: a burst is over.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::DataChange;

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    const CHANGED: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSED: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));

    #[test]
    fn a_file_is_written_until_it_is_closed() {
        let mut writing = Writing::default();
        assert!(!writing.is_any());
        for (kind, path, expected) in [
            (EventKind::Create(CreateKind::File), "a", true),
            (CHANGED, "a", true),
            (CHANGED, "b", true),
            (CLOSED, "a", true),
            (CLOSED, "b", false),
            (CHANGED, "a", true),
            (EventKind::Remove(RemoveKind::File), "a", false),
        ] {
            writing.note(&event(kind, path));
            assert_eq!(writing.is_any(), expected, "{kind:?} {path}");
        }
    }

    #[test]
    fn more_than_can_be_remembered_counts_as_being_written() {
        let mut writing = Writing::default();
        for n in 0..=MOST {
            writing.note(&event(CHANGED, &n.to_string()));
        }
        for n in 0..=MOST {
            writing.note(&event(CLOSED, &n.to_string()));
        }
        assert!(writing.is_any());
        writing.clear();
        assert!(!writing.is_any());
    }
}
