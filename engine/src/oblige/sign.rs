//! Signing a message as a decision obliges to.
//!
//! Promises: the key is one that the decision names, and the one plugin that may use it is asked. Must never: let a key
//! be used that a policy did not name for this decision.

use std::sync::Arc;

use super::ObligeError;
use super::calls::Calls;
use super::message::is_field;
use super::recorded::{Decided, recall};
use crate::app::App;
use crate::evaluation::Circumstances;
use crate::plugin::input::Message;
use crate::plugin::{Hook, Input, Output};

/// A signature, as headers.
#[derive(Debug)]
pub struct Signed {
    /// The key that it was signed with.
    pub key: String,
    /// What is to be added: names in lower case.
    pub headers: Vec<(String, String)>,
}

/// Signs a message with the key that the decision obliges to; with several, `key` says which.
///
/// # Errors
/// When the decision can't be acted on, does not oblige to it, or no one plugin has an answer.
pub async fn sign(
    app: &App,
    by: &Circumstances<'_>,
    decision_id: &str,
    (message, key): (Message, Option<&str>),
) -> Result<Signed, ObligeError> {
    let snapshot = app.snapshot();
    let mut calls = Calls::begin(app, &snapshot, by, (Hook::Sign, decision_id));
    let went = match recall(app, &snapshot, by.caller, decision_id).await {
        Ok(decided) => carry_out(&mut calls, &decided, message, key).await,
        Err(error) => Err(error),
    };
    calls.record(went).await
}

async fn carry_out(
    calls: &mut Calls<'_>,
    decided: &Decided,
    message: Message,
    key: Option<&str>,
) -> Result<Signed, ObligeError> {
    calls.told().pack = Some(decided.pack.name().to_owned());
    let key = choose(decided.keys(), key)?;
    calls.told().key = Some(key.clone());
    let input = Input::Sign { message, key: key.clone() };
    let enforced =
        calls.enforced(decided, &input, |installed| installed.plugin().grant().may_use_key(&key))?;
    let installed = match enforced.as_slice() {
        [] => return Err(ObligeError::NoPlugin(Hook::Sign)),
        [only] => Arc::clone(only),
        _ => return Err(ObligeError::Ambiguous(key)),
    };
    let Output::Sign { headers } = calls.call(decided, &installed, &input).await? else {
        return Err(ObligeError::Failed(Hook::Sign));
    };
    // A message without a signature must not look like one with it.
    if headers.is_empty() || !headers.iter().all(|(name, value)| is_field(name, value)) {
        return Err(ObligeError::Failed(Hook::Sign));
    }
    Ok(Signed { key, headers })
}

/// The key that is meant, of those that the decision names.
fn choose(mut obliged: Vec<String>, key: Option<&str>) -> Result<String, ObligeError> {
    match key {
        Some(key) if obliged.iter().any(|obliged| obliged == key) => Ok(key.to_owned()),
        Some(key) => Err(ObligeError::NotObliged(Some(key.to_owned()))),
        None if obliged.len() > 1 => Err(ObligeError::WhichKey(obliged)),
        None => obliged.pop().ok_or(ObligeError::NotObliged(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_one_that_the_decision_names() {
        let of = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
        assert_eq!(choose(of(&["a"]), None).unwrap(), "a");
        assert_eq!(choose(of(&["a", "b"]), Some("b")).unwrap(), "b");
        assert_eq!(choose(of(&["a", "b"]), None), Err(ObligeError::WhichKey(of(&["a", "b"]))));
        assert_eq!(choose(of(&["a"]), Some("b")), Err(ObligeError::NotObliged(Some("b".into()))));
        assert_eq!(choose(of(&[]), None), Err(ObligeError::NotObliged(None)));
    }
}
