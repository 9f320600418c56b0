//! How a command fails, and with which exit status.

/// What a command gives back.
pub type Outcome = Result<(), Failure>;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// The command line is wrong: exit status 2.
    Usage(String),
    /// Something did not work: exit status 1.
    Failed(String),
    /// A program that was started failed and has said why: its exit status.
    Exit(u8),
}

impl Failure {
    /// A failure with what was being done and what went wrong.
    pub fn because(doing: impl std::fmt::Display, error: impl std::fmt::Display) -> Self {
        Self::Failed(format!("{doing}: {error}"))
    }

    /// What to tell, unless a program has told it.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Usage(message) | Self::Failed(message) => Some(message),
            Self::Exit(_) => None,
        }
    }

    /// The exit status of the process.
    pub fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Failed(_) => 1,
            Self::Exit(status) => *status,
        }
    }
}
