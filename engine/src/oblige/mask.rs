//! Masking a document as a decision obliges to.
//!
//! Promises: a document comes out only if every place that the decision names and that the document has is masked.
//! Plugins that mask by content run also when the decision names no place.

use std::sync::Arc;

use serde_json::Value;

use super::ObligeError;
use super::calls::Calls;
use super::document::Document;
use super::edits::{Edits, Musts};
use super::recorded::{Decided, recall};
use crate::app::App;
use crate::evaluation::Circumstances;
use crate::plugin::{Hook, Input, Output};

/// A masked document.
#[derive(Debug)]
pub struct Masked {
    /// Its text.
    pub document: String,
    /// How many places were changed.
    pub edits: usize,
}

/// Masks a document, given as JSON text in which no object has a name twice.
///
/// # Errors
/// When the decision can't be acted on, a plugin fails, or something stays that must not.
pub async fn mask(
    app: &App,
    by: &Circumstances<'_>,
    decision_id: &str,
    text: &str,
) -> Result<Masked, ObligeError> {
    let snapshot = app.snapshot();
    let mut calls = Calls::begin(app, &snapshot, by, (Hook::Mask, decision_id));
    let went = match recall(app, &snapshot, by.caller, decision_id).await {
        Ok(decided) => carry_out(&mut calls, &decided, text).await,
        Err(error) => Err(error),
    };
    calls.record(went).await
}

async fn carry_out(calls: &mut Calls<'_>, decided: &Decided, text: &str) -> Result<Masked, ObligeError> {
    calls.told().pack = Some(decided.pack.name().to_owned());
    let value: Value =
        serde_json::from_str(text).map_err(|error| ObligeError::Document(error.to_string()))?;
    let document = Document::read(text).ok_or_else(|| ObligeError::Document("it is too deep".into()))?;
    let obligations = decided.masks();
    let musts = Musts::of(&obligations)?;
    let input = Input::Mask { document: Arc::new(value), obligations };
    let enforced = calls.enforced(decided, &input, |_| true)?;
    if enforced.is_empty() && !decided.masks().is_empty() {
        return Err(ObligeError::NoPlugin(Hook::Mask));
    }
    let mut edits = Edits::default();
    for installed in &enforced {
        let Output::Mask { edits: wanted } = calls.call(decided, installed, &input).await? else {
            return Err(ObligeError::Failed(Hook::Mask));
        };
        edits = edits.and(Edits::of(wanted)?)?;
    }
    let masked = edits.apply(&document, &musts)?;
    calls.told().edits = Some(edits.count());
    Ok(Masked { document: masked, edits: edits.count() })
}
