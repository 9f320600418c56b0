//! What a plugin notices, and where.
//!
//! Promises: the form that the contract asks for is in the types' documentation; the host checks it. Must never: carry
//! the offending value itself.

/// Something that a plugin noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which rule, as `sql-tautology`: lower case letters, digits, `-`, `_` and `.`, 64 at most.
    pub rule: String,
    /// From 0 to 100: how sure it is that this is an attack.
    pub score: u8,
    /// Where.
    pub location: Location,
    /// For people; 512 bytes at most.
    pub detail: String,
}

impl Finding {
    /// The fields in their order.
    pub fn new(rule: impl Into<String>, score: u8, location: Location, detail: impl Into<String>) -> Self {
        Self { rule: rule.into(), score, location, detail: detail.into() }
    }
}

/// Where in a request a finding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// The request as a whole.
    Whole,
    /// The path.
    Path,
    /// A parameter of the query, by its decoded name; empty for the query as a whole.
    Query(String),
    /// A header, by its name.
    Header(String),
    /// A JSON pointer into the body; empty for the body as a whole.
    Body(String),
}

impl Location {
    /// A parameter of the query, by its decoded name.
    pub fn query(name: impl Into<String>) -> Self {
        Self::Query(name.into())
    }

    /// A header, by its name.
    pub fn header(name: impl Into<String>) -> Self {
        Self::Header(name.into())
    }

    /// A JSON pointer into the body.
    pub fn body(pointer: impl Into<String>) -> Self {
        Self::Body(pointer.into())
    }
}

/// Why a request must not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// A code, as `unknown-currency`: formed as a finding's rule.
    pub reason: String,
    /// What was noticed.
    pub findings: Vec<Finding>,
}

impl Rejection {
    /// For a reason, so far without findings.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), findings: Vec::new() }
    }

    /// With one finding more.
    #[must_use]
    pub fn with(mut self, finding: Finding) -> Self {
        self.findings.push(finding);
        self
    }

    /// With these findings more.
    #[must_use]
    pub fn with_all(mut self, findings: impl IntoIterator<Item = Finding>) -> Self {
        self.findings.extend(findings);
        self
    }
}
