//! Cases: what a pack should answer, as YAML beside its policies.
//!
//! A case goes through the same steps as a request. Its reasons are compared as a set, its
//! obligations as a list sorted by kind and target.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy_core::ast::{Value, ValueKind};
use serde::Deserialize;

use super::Pack;
use super::files::{PackFiles, SourceFile};
use super::problem::Problem;
use crate::clock::Timestamp;
use crate::decision::value::{Record, parse_object};
use crate::decision::{Combined, Question, Reason, Verdict, combine, evaluate};
use crate::entity::{AssignmentUpdate, Data, Scope, Update};
use crate::question::{Asked, Assertions};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// In order.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A sentence.
    pub name: String,
    /// As the body of `POST /v1/decide`.
    pub request: Request,
    /// The roles that the subject has been assigned, by their ids.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What Portcullis itself has found out: the record that policies see as `context.verified`.
    #[serde(default)]
    pub verified: Option<serde_json::Value>,
    /// The obligation kinds that the caller will carry out.
    #[serde(default)]
    pub understands: Vec<String>,
    /// What the answer should be.
    pub expect: Expectation,
}

/// The request of a case.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    subject: Entity,
    action: Action,
    resource: Entity,
    #[serde(default)]
    context: Option<serde_json::Value>,
}

/// A subject or a resource.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Entity {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
    #[serde(default)]
    properties: Option<serde_json::Value>,
}

/// An action.
#[derive(Debug, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Action {
    name: String,
    #[serde(default)]
    properties: Option<serde_json::Value>,
}

/// What the answer should be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Allow or deny.
    pub decision: Verdict,
    /// Exactly these, in any order.
    #[serde(default)]
    pub reasons: Option<BTreeSet<String>>,
    /// Exactly these.
    #[serde(default)]
    pub obligations: Option<Vec<serde_json::Value>>,
}

/// How a case went.
#[derive(Debug)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What differs; empty when it holds.
    pub differences: Vec<String>,
}

/// Reads a file of cases.
///
/// # Errors
/// Where it is no YAML of this form.
pub fn parse(file: &SourceFile) -> Result<CaseFile, Problem> {
    serde_norway::from_str(&file.text).map_err(|error| match error.location() {
        Some(at) => {
            Problem::at_position(&file.shown, &file.text, (at.line(), at.column()), error.to_string())
        }
        None => Problem::of_file(&file.shown, error.to_string()),
    })
}

/// Runs one case.
pub fn run(pack: &Pack, file: &str, case: &Case) -> CaseResult {
    let differences = match answer(pack, case) {
        Ok(answer) => compare(&answer, &case.expect),
        Err(message) => vec![message],
    };
    CaseResult { name: case.name.clone(), file: file.to_owned(), differences }
}

fn answer(pack: &Pack, case: &Case) -> Result<Combined, String> {
    let understands = |kind: &str| case.understands.iter().any(|understood| understood == kind);
    let (data, question) = question(pack, case)?;
    Ok(match question {
        None => Combined::deny(vec![Reason::TypeUnrepresentable]),
        Some(question) => {
            let facts = pack.facts(&data, TENANT, Timestamp(0));
            let findings = evaluate(&pack.rules, &facts.about(&question.resource), &question);
            let mut combined = combine(&pack.rules, &findings, pack.settings.on_policy_error, &understands);
            combined.reasons.extend(question.left_out_pointers().into_iter().map(Reason::ValueLeftOut));
            combined
        }
    })
}

/// What a case asks, and the data that it is asked over; no question when Cedar can't say a type's name.
pub(super) fn question(pack: &Pack, case: &Case) -> Result<(Data, Option<Question>), String> {
    let text = serde_json::to_string(&case.request).map_err(|error| error.to_string())?;
    let asked: Asked<'_> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let mut assertions = Assertions::parse(&asked).map_err(|error| error.to_string())?;
    if let Some(verified) = &case.verified {
        assertions.verify(record(verified)?);
    }
    let data = assigned(pack, case)?;
    let mut question = assertions.question(&asked, pack, pack.facts(&data, TENANT, Timestamp(0)));
    if let Some(question) = &mut question {
        name_entities(case, question)?;
    }
    Ok((data, question))
}

/// What is wrong with a pack that is to be loaded only when its cases hold.
pub(super) fn hold(pack: &Pack, files: &PackFiles) -> Vec<Problem> {
    let (mut problems, mut count) = (Vec::new(), 0_usize);
    for file in files.cases() {
        let cases = match parse(file) {
            Ok(parsed) => parsed.cases,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        count += cases.len();
        let failed = cases.iter().map(|case| run(pack, &file.shown, case));
        for result in failed.filter(|result| !result.differences.is_empty()) {
            let message =
                format!("the case `{}` does not hold: {}", result.name, result.differences.join("; "));
            problems.push(match file.text.find(&result.name) {
                Some(at) => Problem::at(&file.shown, &file.text, at, at + result.name.len(), message),
                None => Problem::of_file(&file.shown, message),
            });
        }
    }
    if count == 0 && problems.is_empty() {
        let manifest =
            files.get("pack.toml").map_or_else(|| "pack.toml".into(), |file| Arc::clone(&file.shown));
        let message = "the pack requires its cases (`require_cases`), and has none";
        problems.push(Problem::of_file(&manifest, message));
    }
    problems
}

/// A record of Cedar; what Cedar can't say is an error here, and not left out.
fn record(members: &serde_json::Value) -> Result<Value, String> {
    let wrong = |message: &str| format!("`verified` is not valid: {message}");
    let text = serde_json::value::to_raw_value(members).map_err(|error| wrong(&error.to_string()))?;
    let object = parse_object(&text).map_err(|error| wrong(&error.to_string()))?;
    if !object.left_out.is_empty() {
        return Err(wrong("Cedar can't say all of it"));
    }
    Ok(Value { value: ValueKind::Record(std::sync::Arc::new(object.record)), loc: None })
}

/// A case is a file of the pack's author: unlike a request, its context may name entities and extension values.
fn name_entities(case: &Case, question: &mut Question) -> Result<(), String> {
    let Some(context) = &case.request.context else { return Ok(()) };
    let text = context.to_string();
    if !text.contains("\"__entity\"") && !text.contains("\"__extn\"") {
        return Ok(());
    }
    let parsed = cedar_policy::Context::from_json_value(context.clone(), None).map_err(|e| e.to_string())?;
    let parsed: &cedar_policy_core::ast::Context = parsed.as_ref();
    if let cedar_policy_core::ast::Context::Value(named) = parsed {
        let mut whole = Record::clone(&question.context);
        whole.extend(named.iter().map(|(name, value)| (name.clone(), value.clone())));
        question.context = std::sync::Arc::new(whole);
    }
    Ok(())
}

pub(super) const TENANT: &str = "default";

/// The subject's roles, as a tenant's assignments.
fn assigned(pack: &Pack, case: &Case) -> Result<Data, String> {
    let named = |type_name: &str, id: &str| {
        let uid = pack.uid(type_name, id).ok_or_else(|| format!("the pack has no type `{type_name}`"))?;
        let id: &str = uid.eid().as_ref();
        Ok::<_, String>((uid.entity_type().to_string(), id.to_owned()))
    };
    let subject = &case.request.subject;
    let assignment = |(place, role): (usize, &String)| {
        Ok(Update::Assignment(AssignmentUpdate {
            tenant: TENANT.into(),
            pack: pack.name().to_owned(),
            id: place.to_string(),
            subject: named(&subject.type_name, &subject.id)?,
            role: named("role", role)?,
            scope: Scope::Tenant,
            starts_at: None,
            ends_at: None,
            delegated_by: None,
            version: 1,
        }))
    };
    let updates: Result<Vec<_>, String> = case.roles.iter().enumerate().map(assignment).collect();
    Ok(Data::default().apply(updates?))
}

fn compare(answer: &Combined, expect: &Expectation) -> Vec<String> {
    let mut differences = Vec::new();
    let reasons: BTreeSet<String> = answer.reasons.iter().map(|reason| reason.text().to_string()).collect();
    let list = |reasons: &BTreeSet<String>| reasons.iter().cloned().collect::<Vec<_>>().join(", ");
    if answer.verdict != expect.decision {
        let because = list(&reasons);
        differences
            .push(format!("decision: expected {:?}, got {:?} ({because})", expect.decision, answer.verdict));
    }
    if let Some(expected) = expect.reasons.as_ref().filter(|expected| **expected != reasons) {
        differences.push(format!("reasons: expected [{}], got [{}]", list(expected), list(&reasons)));
    }
    if let Some(expected) = &expect.obligations {
        let got = serde_json::to_value(&answer.obligations).unwrap_or_default();
        let expected = serde_json::Value::from(expected.clone());
        if got != expected {
            differences.push(format!("obligations: expected {expected}, got {got}"));
        }
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> SourceFile {
        SourceFile { shown: "x".into(), text: text.into() }
    }

    #[test]
    fn a_case_is_told_what_a_request_is_told() {
        let files = [
            ("pack.toml", "name = \"x\""),
            ("x.cedar", "@id(\"cheap\") permit(principal, action, resource) when { context.price < 5 };"),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), file(text)));
        let pack = Pack::load(&PackFiles { files: files.into() }).unwrap();
        let cases = parse(&file(
            "cases:\n- name: a price beyond all integers\n  request:\n    subject: {type: User, id: a}\n    \
             action: {name: buy}\n    resource: {type: Thing, id: b}\n    context: {price: 1e30}\n  expect:\n    \
             decision: deny\n    reasons: [value_unrepresentable, 'value_left_out:/context/price']\n",
        ));
        let result = run(&pack, "x", &cases.unwrap().cases[0]);
        assert_eq!(result.differences, Vec::<String>::new());
    }

    fn fails(files: &PackFiles) -> usize {
        let pack = Pack::load(files).unwrap_or_else(|problems| panic!("{}", problems[0]));
        let results = files.cases().flat_map(|file| {
            let cases = parse(file).unwrap().cases;
            cases.iter().map(|case| run(&pack, &file.shown, case)).collect::<Vec<_>>()
        });
        results.filter(|result| !result.differences.is_empty()).count()
    }

    #[test]
    fn no_policy_that_ships_can_be_deleted_without_a_case_that_fails() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
        let packs = PackFiles::read_all(&folder).unwrap();
        assert_eq!(packs.len(), 5);
        for files in packs {
            assert_eq!(fails(&files), 0);
            let pack = Pack::load(&files).unwrap();
            for rule in &pack.rules.all {
                let mut without = files.clone();
                let file = without.files.values_mut().find(|file| file.shown == rule.file).unwrap();
                assert_eq!(file.text.matches(&*rule.text).count(), 1, "{}", rule.id);
                file.text = file.text.replace(&*rule.text, "");
                assert_eq!(Pack::load(&without).unwrap().rules.all.len(), pack.rules.all.len() - 1);
                assert!(fails(&without) > 0, "no case of `{}` misses the policy `{}`", pack.name(), rule.id);
            }
        }
    }
}
