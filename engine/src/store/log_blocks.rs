//! The index of the decision log.
