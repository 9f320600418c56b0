//! More about why, for those who ask.

use std::sync::Arc;

use serde::Serialize;
use smol_str::SmolStr;

use crate::decision::Findings;
use crate::policy::Pack;
use crate::record::PolicyFailure;

/// The policies behind an answer.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// Those that determined it.
    pub policies: Vec<PolicyText>,
    /// Those that failed.
    pub errors: Vec<PolicyFailure>,
}

/// A policy as it stands in its file.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PolicyText {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: String,
    /// The file's name.
    pub file: String,
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

impl Explanation {
    /// The explanation of one answer.
    pub(super) fn of(pack: Option<&Arc<Pack>>, policies: &[SmolStr], errors: &[(SmolStr, String)]) -> Self {
        let rules = pack.into_iter().flat_map(|pack| &pack.rules.all);
        let texts = rules.filter(|rule| policies.contains(&rule.id)).map(|rule| PolicyText {
            id: rule.id.to_string(),
            effect: rule.effect.to_string(),
            // The folder is the operator's business.
            file: rule.file.rsplit('/').next().unwrap_or_default().to_owned(),
            line: rule.line,
            text: excerpt(&rule.text),
        });
        let errors = errors
            .iter()
            .map(|(policy, message)| PolicyFailure { policy: policy.to_string(), message: message.clone() });
        Self { policies: texts.collect(), errors: errors.collect() }
    }
}

/// A policy's text; a long one is cut, since a batch may explain a thousand answers.
fn excerpt(text: &str) -> String {
    const CHARACTERS: usize = 4_000;
    match text.char_indices().nth(CHARACTERS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The policies that failed, by id.
pub(super) fn failures(pack: &Pack, findings: &Findings) -> Vec<(SmolStr, String)> {
    let rule = |place: &usize| pack.rules.all.get(*place);
    findings
        .errors
        .iter()
        .filter_map(|(place, message)| Some((rule(place)?.id.clone(), message.clone())))
        .collect()
}
