//! The batch form that AuthZEN and `/v1/decide` share: defaults, and items that lay theirs over them.
//!
//! An item's entity replaces the default whole. What is wrong with an item is that item's matter; what is wrong with the whole is an error.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::ApiError;
use crate::config::Limits;
use crate::evaluation::{Item, Semantic};
use crate::question::{Act, Asked, Party};

/// The four parts of a question, each still text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts<'a> {
    pub(super) subject: Option<&'a RawValue>,
    pub(super) action: Option<&'a RawValue>,
    pub(super) resource: Option<&'a RawValue>,
    pub(super) context: Option<&'a RawValue>,
}

/// `options`.
#[derive(Clone, Copy, Debug, Default, Deserialize, utoipa::ToSchema)]
pub(super) struct Options {
    /// When a batch ends.
    #[serde(default)]
    pub(super) evaluations_semantic: Semantic,
}

/// How strictly parts are read: AuthZEN ignores unknown fields, `/v1/decide` does not.
pub(super) trait Reader {
    fn party<'a>(text: &'a RawValue) -> Result<Party<'a>, serde_json::Error>;
    fn act<'a>(text: &'a RawValue) -> Result<Act<'a>, serde_json::Error>;
    fn item<'a>(text: &'a RawValue) -> Result<Parts<'a>, serde_json::Error>;
}

/// Reads the items, each with what it lacks from the defaults.
///
/// # Errors
/// When there are too many, they grow too large, or a default has a wrong type.
pub(super) fn read_items<'a, R: Reader>(
    items: &[&'a RawValue],
    defaults: Parts<'a>,
    limits: Limits,
) -> Result<Vec<Item<'a>>, ApiError> {
    if items.len() > limits.batch_items {
        let message = format!(
            "a batch has at most {} items (`limits.batch_items`), this one has {}",
            limits.batch_items,
            items.len()
        );
        return Err(ApiError::BatchTooLarge(message));
    }
    let named = [
        ("subject", defaults.subject),
        ("action", defaults.action),
        ("resource", defaults.resource),
        ("context", defaults.context),
    ];
    for (name, text) in named {
        if text.is_some_and(|text| !text.get().starts_with('{')) {
            return Err(ApiError::InvalidRequest(format!("`{name}` must be an object")));
        }
    }
    let size = |text: Option<&RawValue>| text.map_or(0, |text| text.get().len());
    let mut bytes = 0;
    let mut read = Vec::with_capacity(items.len());
    for text in items {
        let Ok(own) = R::item(text) else {
            read.push(Err(()));
            continue;
        };
        let parts = Parts {
            subject: own.subject.or(defaults.subject),
            action: own.action.or(defaults.action),
            resource: own.resource.or(defaults.resource),
            context: own.context.or(defaults.context),
        };
        bytes += size(parts.subject) + size(parts.action) + size(parts.resource) + size(parts.context);
        if bytes > limits.batch_bytes {
            let message = format!(
                "with its defaults laid in, the batch is larger than {} bytes (`limits.batch_bytes`)",
                limits.batch_bytes
            );
            return Err(ApiError::BatchTooLarge(message));
        }
        read.push(parts.read::<R>().map_err(|_| ()));
    }
    Ok(read)
}

impl<'a> Parts<'a> {
    /// Reads the parts of one question.
    ///
    /// # Errors
    /// When one is missing, or is not what it should be.
    pub(super) fn read<R: Reader>(self) -> Result<Asked<'a>, ApiError> {
        let missing = |name: &str| ApiError::InvalidRequest(format!("missing field `{name}`"));
        let within = |name: &'static str| {
            move |error: serde_json::Error| {
                let error = error.to_string();
                let words = error.split(" at line ").next().unwrap_or_default().to_owned();
                let said = format!("`{name}` is not valid: {words}");
                let twice = words.starts_with("duplicate field");
                if twice { ApiError::MalformedJson(said) } else { ApiError::InvalidRequest(said) }
            }
        };
        let subject = R::party(self.subject.ok_or_else(|| missing("subject"))?).map_err(within("subject"))?;
        let action = R::act(self.action.ok_or_else(|| missing("action"))?).map_err(within("action"))?;
        let resource =
            R::party(self.resource.ok_or_else(|| missing("resource"))?).map_err(within("resource"))?;
        Ok(Asked { subject, action, resource, context: self.context })
    }
}
