//! What a case expects, and what differs.
//!
//! Promises: what is not said is not compared, save that a rejection and a failure must be said. Must never: hold for an
//! expectation that says nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::oblige::document::Document;
use crate::oblige::edits::{Edits, Musts};
use crate::plugin::input::MaskObligation;
use crate::plugin::output::{Assessment, Edit, Location, Replacement, Validated};
use crate::plugin::{Called, FailureKind, Finding, Hook, Input, Output};

/// What a call should answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Exactly these, in any order.
    #[serde(default)]
    findings: Option<Vec<ExpectedFinding>>,
    /// These, and perhaps others.
    #[serde(default)]
    includes: Option<Vec<ExpectedFinding>>,
    /// The reason of its rejection.
    #[serde(default)]
    rejection: Option<String>,
    /// Exactly these, in any order.
    #[serde(default)]
    edits: Option<Vec<ExpectedEdit>>,
    /// What the edits make of the document. Every obligation must be met.
    #[serde(default)]
    document: Option<Value>,
    /// Exactly these; null stands for any value.
    #[serde(default)]
    headers: Option<BTreeMap<String, Option<String>>>,
    /// The sum of the risk's parts.
    #[serde(default)]
    risk: Option<Amount>,
    /// The reasons of the risk, in any order.
    #[serde(default)]
    reasons: Option<BTreeSet<String>>,
    /// How it fails.
    #[serde(default)]
    failure: Option<FailureKind>,
    /// How much fuel it may use.
    #[serde(default)]
    fuel_at_most: Option<u64>,
    /// Each is a part of a logged line.
    #[serde(default)]
    logs: Option<Vec<String>>,
}

/// A number, exactly or within bounds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Amount {
    Exactly(u8),
    Within(Bounds),
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    #[serde(default)]
    at_least: u8,
    #[serde(default = "hundred")]
    at_most: u8,
}

fn hundred() -> u8 {
    100
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedFinding {
    rule: String,
    #[serde(default)]
    score: Option<u8>,
    #[serde(default)]
    at_least: Option<u8>,
    #[serde(default)]
    at_most: Option<u8>,
    #[serde(default, rename = "where")]
    location: Option<Location>,
    /// A part of its detail.
    #[serde(default)]
    detail: Option<String>,
}

/// An edit: `text`, or `null: true`, or `remove: true`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedEdit {
    pointer: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    null: bool,
    #[serde(default)]
    remove: bool,
}

impl Expectation {
    /// Whether it is about how long a call takes, which no two machines agree on.
    pub fn is_of_time(&self) -> bool {
        self.failure == Some(FailureKind::Deadline)
    }

    /// What differs; nothing when it holds.
    pub fn compare(&self, called: &Called, input: &Input) -> Vec<String> {
        let mut differences = self.out_of_form(input.hook());
        match (&called.output, self.failure) {
            (Err(failure), Some(kind)) if failure.kind == kind => {}
            (Err(failure), Some(kind)) => {
                differences.push(format!("failed of {failure}, expected `{}`", kind.name()))
            }
            (Err(failure), None) => differences.push(format!("failed of {failure}")),
            (Ok(_), Some(kind)) => {
                differences.push(format!("answered, expected the failure `{}`", kind.name()));
            }
            (Ok(output), None) => self.compare_output(output, input, &mut differences),
        }
        if let Some(most) = self.fuel_at_most.filter(|most| called.fuel > *most) {
            differences.push(format!("used {} of fuel, expected {most} at most", called.fuel));
        }
        for part in self.logs.iter().flatten() {
            if !called.logs.iter().any(|line| line.message.contains(part)) {
                differences.push(format!("no logged line has `{part}`"));
            }
        }
        differences
    }

    /// What it says that the hook does not answer, or that it says nothing.
    fn out_of_form(&self, hook: Hook) -> Vec<String> {
        let judges = matches!(hook, Hook::Validate | Hook::Detect);
        let said = [
            ("findings", self.findings.is_some(), judges),
            ("includes", self.includes.is_some(), judges),
            ("rejection", self.rejection.is_some(), hook == Hook::Validate),
            ("risk", self.risk.is_some(), hook == Hook::Detect),
            ("reasons", self.reasons.is_some(), hook == Hook::Detect),
            ("edits", self.edits.is_some(), hook == Hook::Mask),
            ("document", self.document.is_some(), hook == Hook::Mask),
            ("headers", self.headers.is_some(), hook == Hook::Sign),
            ("failure", self.failure.is_some(), true),
            ("fuel_at_most", self.fuel_at_most.is_some(), true),
            ("logs", self.logs.is_some(), true),
        ];
        if !said.iter().any(|(_, is_said, _)| *is_said) {
            return vec!["`expect` says nothing: a case that can't fail tests nothing".to_owned()];
        }
        let foreign = said.iter().filter(|(_, is_said, belongs)| *is_said && !belongs);
        foreign
            .map(|(name, ..)| format!("`{name}` is nothing that the hook `{}` answers", hook.name()))
            .collect()
    }

    fn compare_output(&self, output: &Output, input: &Input, differences: &mut Vec<String>) {
        match (output, input) {
            (Output::Validate(validated), _) => self.compare_validated(validated, differences),
            (Output::Detect(assessment), _) => self.compare_assessment(assessment, differences),
            (Output::Mask { edits }, Input::Mask { document, obligations }) => {
                self.compare_edits(edits, differences);
                if let Some(expected) = &self.document {
                    differences.extend(document_difference(edits, document, obligations, expected));
                }
            }
            (Output::Sign { headers }, _) => self.compare_headers(headers, differences),
            (Output::Mask { .. }, _) => differences.push("it answered for another hook".to_owned()),
        }
    }

    fn compare_validated(&self, validated: &Validated, differences: &mut Vec<String>) {
        match (&validated.rejection, &self.rejection) {
            (Some(found), Some(expected)) if found == expected => {}
            (None, None) => {}
            (Some(found), None) => {
                differences.push(format!("rejected with `{found}`, expected no rejection"))
            }
            (None, Some(expected)) => differences.push(format!("not rejected, expected `{expected}`")),
            (Some(found), Some(expected)) => {
                differences.push(format!("rejected with `{found}`, expected `{expected}`"));
            }
        }
        self.compare_findings(&validated.findings, differences);
    }

    fn compare_assessment(&self, assessment: &Assessment, differences: &mut Vec<String>) {
        let points = assessment.points();
        if let Some(wanted) = self.risk.filter(|wanted| !wanted.holds(points)) {
            differences.push(format!("the risk is {points}, expected {wanted}"));
        }
        let found: BTreeSet<_> = assessment.risk.iter().map(|part| part.reason.clone()).collect();
        if let Some(expected) = self.reasons.as_ref().filter(|expected| **expected != found) {
            differences.push(format!("the risk's reasons are {found:?}, expected {expected:?}"));
        }
        self.compare_findings(&assessment.findings, differences);
    }

    fn compare_findings(&self, found: &[Finding], differences: &mut Vec<String>) {
        let mut left: Vec<_> = found.iter().collect();
        for expected in self.findings.iter().chain(&self.includes).flatten() {
            match left.iter().position(|finding| expected.holds(finding)) {
                Some(at) => {
                    left.remove(at);
                }
                None => differences.push(format!("no finding is {expected}; found: {}", shown(found))),
            }
        }
        if self.findings.is_some() && self.includes.is_none() && !left.is_empty() {
            let left: Vec<_> = left.into_iter().cloned().collect();
            differences.push(format!("not expected: {}", shown(&left)));
        }
    }

    fn compare_edits(&self, found: &[Edit], differences: &mut Vec<String>) {
        let Some(expected) = &self.edits else { return };
        let mut left: Vec<_> = found.iter().collect();
        for expected in expected {
            match left.iter().position(|edit| expected.holds(edit)) {
                Some(at) => {
                    left.remove(at);
                }
                None => differences.push(format!("no edit at `{}` is as expected", expected.pointer)),
            }
        }
        for edit in left {
            differences.push(format!("not expected: an edit at `{}`: {:?}", edit.pointer, edit.replacement));
        }
    }

    fn compare_headers(&self, found: &[(String, String)], differences: &mut Vec<String>) {
        let Some(expected) = &self.headers else { return };
        for (name, value) in found {
            match expected.get(name) {
                None => differences.push(format!("not expected: the header `{name}: {value}`")),
                Some(Some(wanted)) if wanted != value => {
                    differences.push(format!("the header `{name}` is `{value}`, expected `{wanted}`"));
                }
                Some(_) => {}
            }
        }
        let missing = expected.keys().filter(|name| !found.iter().any(|(known, _)| known == *name));
        differences.extend(missing.map(|name| format!("the header `{name}` is missing")));
    }
}

fn document_difference(
    edits: &[Edit],
    document: &Value,
    obligations: &[MaskObligation],
    expected: &Value,
) -> Option<String> {
    let text = document.to_string();
    let masked = || {
        let document = Document::read(&text).ok_or("the document can't be read")?;
        let musts = Musts::of(obligations).map_err(|error| error.to_string())?;
        let edits = Edits::of(edits.to_vec()).map_err(|error| error.to_string())?;
        edits.apply(&document, &musts).map_err(|error| error.to_string())
    };
    let masked: Result<String, String> = masked();
    match masked.map(|text| serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text))) {
        Ok(masked) if masked == *expected => None,
        Ok(masked) => Some(format!("the document is {masked}, expected {expected}")),
        Err(message) => Some(format!("there is no document: {message}")),
    }
}

fn shown(findings: &[Finding]) -> String {
    let one = |finding: &Finding| {
        format!("`{}` {} at `{}` ({})", finding.rule, finding.score, finding.location, finding.detail)
    };
    if findings.is_empty() {
        "none".to_owned()
    } else {
        findings.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

impl Amount {
    fn holds(self, value: u8) -> bool {
        match self {
            Self::Exactly(wanted) => value == wanted,
            Self::Within(bounds) => (bounds.at_least..=bounds.at_most).contains(&value),
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(wanted) => write!(formatter, "{wanted}"),
            Self::Within(bounds) => write!(formatter, "{} to {}", bounds.at_least, bounds.at_most),
        }
    }
}

impl ExpectedFinding {
    fn holds(&self, finding: &Finding) -> bool {
        self.rule == finding.rule
            && self.score.is_none_or(|score| score == finding.score)
            && self.at_least.is_none_or(|least| finding.score >= least)
            && self.at_most.is_none_or(|most| finding.score <= most)
            && self.location.as_ref().is_none_or(|location| *location == finding.location)
            && self.detail.as_ref().is_none_or(|part| finding.detail.contains(part))
    }
}

impl std::fmt::Display for ExpectedFinding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}`", self.rule)?;
        if let Some(score) = self.score {
            write!(formatter, " {score}")?;
        }
        if let Some(least) = self.at_least {
            write!(formatter, " of {least} at least")?;
        }
        if let Some(most) = self.at_most {
            write!(formatter, " of {most} at most")?;
        }
        if let Some(location) = &self.location {
            write!(formatter, " at `{location}`")?;
        }
        if let Some(part) = &self.detail {
            write!(formatter, " with `{part}`")?;
        }
        Ok(())
    }
}

impl ExpectedEdit {
    fn holds(&self, edit: &Edit) -> bool {
        let replacement = match (&self.text, self.null, self.remove) {
            (Some(text), false, false) => edit.replacement == Replacement::Text(text.clone()),
            (None, true, false) => edit.replacement == Replacement::Null,
            (None, false, true) => edit.replacement == Replacement::Remove,
            // What stands there then is not said.
            (None, false, false) => true,
            _ => false,
        };
        self.pointer == edit.pointer && replacement
    }
}
