//! The tests of the project.
mod tidy;
