//! Answers with edits that must not be made, as the document's member `do` says.

use portcullis_sdk::prelude::*;

struct MaskBadly;

impl Mask for MaskBadly {
    type Config = ();

    fn new((): ()) -> Result<Self, Failure> {
        host::log::report_panics();
        Ok(Self)
    }

    fn mask(&self, document: &Document, obligations: &[Obligation]) -> Result<Vec<Edit>, Failure> {
        let edit = |pointer: &str| Edit::text(pointer, "***");
        Ok(match document.text("/do").unwrap_or_default().as_str() {
            "outside" => vec![edit("/nothing/stands/here")],
            "same" => vec![edit("/secret"), edit("/secret")],
            "within" => vec![edit("/inner"), edit("/inner/secret")],
            "nothing" => Vec::new(),
            "look-up" => vec![Edit::text("/secret", department()?)],
            "fail" => return Err(Failure::Unavailable),
            "panic" => panic!("it wants to"),
            "long" => vec![Edit::text("/secret", "x".repeat(5_000_000))],
            _ => obligations.iter().map(|obligation| edit(&obligation.pointer)).collect(),
        })
    }
}

/// What the host knows of alice.
fn department() -> Result<String, Failure> {
    let attributes = host::lookup::attributes("user", "alice")?;
    Ok(attributes.text("/department").unwrap_or_default())
}

portcullis_sdk::export_mask!(MaskBadly);
