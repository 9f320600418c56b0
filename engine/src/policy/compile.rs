//! From Cedar's text to rules: parse, validate, prepare.
//!
//! `cedar-policy` is the parser and the validator. Each file is parsed alone, so that its errors name it.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    Entities, PolicyId, PolicySet, Schema, ValidationError, ValidationMode, ValidationWarning, Validator,
};
use cedar_policy_core::ast::{Effect, Policy};

use super::bounds;
use super::earlier::Earlier;
use super::files::SourceFile;
use super::problem::Problem;
use crate::decision::reason::is_reserved;
use crate::decision::rules::{Rules, Sourced};
use crate::entity::EntityStore;

/// More problems of one kind are not told: each is looked up in the text, and nobody reads on.
const PROBLEMS: usize = 100;

/// Parses the policies of one file, but for those that are kept from before. Each is named by its `@id`, or by file and place.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn parse_file(
    file: &SourceFile,
    stem: &str,
    earlier: &Earlier<'_>,
) -> Result<Vec<Sourced>, Vec<Problem>> {
    bounds::check(file).map_err(|problem| vec![problem])?;
    let parsed = match earlier.policies(file) {
        Some(parsed) => parsed,
        None => parse_whole(file)?,
    };
    let mut problems = Vec::new();
    let mut sourced = Vec::new();
    for (place, mut one) in parsed.into_iter().enumerate() {
        let id = annotated_id(&one.policy).unwrap_or_else(|| format!("{stem}#{}", place + 1));
        if is_reserved(&id) {
            let message = format!("`{id}` is the name of a reason and can't be the id of a policy");
            problems.push(at_line(file, one.line, message));
        }
        if AsRef::<str>::as_ref(one.policy.id()) != id {
            one.policy = renamed(&one.policy, &id);
        }
        sourced.push(one);
    }
    if problems.is_empty() { Ok(sourced) } else { Err(problems) }
}

/// Parses policies that stand in one text, named `policy0`, `policy1`, … in order, or by `@id` when all have one.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn parse_text(file: &SourceFile) -> Result<Vec<Sourced>, Vec<Problem>> {
    bounds::check(file).map_err(|problem| vec![problem])?;
    let mut parsed = parse_whole(file)?;
    let ids: Option<Vec<String>> = parsed.iter().map(|one| annotated_id(&one.policy)).collect();
    if let Some(ids) = ids {
        for (one, id) in parsed.iter_mut().zip(&ids) {
            one.policy = renamed(&one.policy, id);
        }
    }
    Ok(parsed)
}

fn annotated_id(policy: &Policy) -> Option<String> {
    let mut annotations = policy.annotations();
    let (_, id) = annotations.find(|(name, _)| AsRef::<str>::as_ref(*name) == "id")?;
    Some(id.val.to_string())
}

fn renamed(policy: &Policy, id: &str) -> Policy {
    policy.new_id(cedar_policy_core::ast::PolicyID::from_string(id))
}

/// Parses a whole text, whose bounds were checked. Policies have the names that Cedar gives them.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn parse_whole(file: &SourceFile) -> Result<Vec<Sourced>, Vec<Problem>> {
    let set = PolicySet::from_str(&file.text).map_err(|errors| {
        let told = errors.iter().take(PROBLEMS);
        told.map(|error| Problem::from_cedar(&file.shown, &file.text, error)).collect::<Vec<_>>()
    })?;
    if let Some(template) = set.templates().next() {
        let start = template.as_ref().loc().map_or(0, cedar_policy_core::parser::Loc::start);
        let message = "templates (`?principal`, `?resource`) can't be used here: nothing links them";
        return Err(vec![Problem::at(&file.shown, &file.text, start, start + 1, message)]);
    }
    let mut parsed: Vec<(usize, Sourced)> = set
        .policies()
        .map(|policy| {
            let policy: &Policy = policy.as_ref();
            let start = policy.loc().map_or(0, cedar_policy_core::parser::Loc::start);
            let text = policy.loc().and_then(|loc| loc.snippet()).unwrap_or_default();
            let file = Arc::clone(&file.shown);
            let text = text.into();
            let (line, column, offset) = (1, 1, start);
            (
                start,
                Sourced { policy: policy.clone(), file, line, column, offset, text, kept: None, told: false },
            )
        })
        .collect();
    parsed.sort_by_key(|(start, _)| *start);
    let (mut line, mut column, mut counted) = (1, 1, 0);
    let with_line = parsed.into_iter().map(|(start, mut sourced)| {
        // From one policy to the next: a text with many is read once.
        let between = file.text.get(counted..start).unwrap_or_default();
        line += between.matches('\n').count();
        column = match between.rsplit_once('\n') {
            Some((_, before)) => 1 + before.chars().count(),
            None => column + between.chars().count(),
        };
        (counted, sourced.line, sourced.column) = (start, line, column);
        sourced
    });
    Ok(with_line.collect())
}

fn at_line(file: &SourceFile, line: usize, message: String) -> Problem {
    Problem::at_position(&file.shown, &file.text, (line, 1), message)
}

/// Parses a schema in Cedar's own syntax, or as JSON when its name ends so.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse_schema(file: &SourceFile) -> Result<Schema, Problem> {
    bounds::check(file)?;
    if file.shown.ends_with(".json") {
        return Schema::from_json_str(&file.text)
            .map_err(|error| Problem::from_cedar(&file.shown, &file.text, &error));
    }
    match Schema::from_cedarschema_str(&file.text) {
        Ok((schema, _warnings)) => Ok(schema),
        Err(error) => Err(Problem::from_cedar(&file.shown, &file.text, &error)),
    }
}

/// Parses entities in Cedar's JSON form; the schema's actions come with them.
///
/// # Errors
/// What is wrong with them, and where as far as can be told.
pub fn parse_entities(file: Option<&SourceFile>, schema: Option<&Schema>) -> Result<EntityStore, Problem> {
    let shown: Arc<str> = file.map_or_else(|| "schema".into(), |file| Arc::clone(&file.shown));
    let entities = match (file, schema) {
        (Some(file), schema) => {
            Entities::from_json_str(&file.text, schema).map_err(|error| entity_problem(file, &error))?
        }
        (None, Some(schema)) => {
            schema.action_entities().map_err(|error| Problem::of_file(&shown, error.to_string()))?
        }
        (None, None) => Entities::empty(),
    };
    let core: &cedar_policy_core::entities::Entities = entities.as_ref();
    Ok(EntityStore::new(core.iter().cloned().map(Arc::new)))
}

/// Cedar names the entity, not its place; the place is where its id first stands.
fn entity_problem(file: &SourceFile, error: &dyn miette::Diagnostic) -> Problem {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    if let Some(help) = error.help() {
        message = format!("{message} ({help})");
    }
    if let Some(place) = json_place(&message) {
        return Problem::at_position(&file.shown, &file.text, place, message);
    }
    let id = message
        .split_once("::\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(id, _)| format!("\"{id}\""));
    match id.and_then(|id| file.text.find(&id).map(|at| (at, id.len()))) {
        Some((at, length)) => Problem::at(&file.shown, &file.text, at, at + length, message),
        None => Problem::of_file(&file.shown, message),
    }
}

/// serde's own words for a place: `… at line 3 column 5`.
fn json_place(message: &str) -> Option<(usize, usize)> {
    let (_, rest) = message.rsplit_once(" at line ")?;
    let (line, rest) = rest.split_once(" column ")?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// What validation says: errors, then warnings. It is noted of each policy whether there was something to say. What is kept
/// from before is valid.
pub fn validate(
    policies: &mut [Sourced],
    schema: &Schema,
    texts: &HashMap<Arc<str>, &str>,
) -> [Vec<Problem>; 2] {
    let mut set = PolicySet::new();
    let mut by_id = HashMap::new();
    for sourced in policies.iter().filter(|sourced| sourced.kept.is_none()) {
        by_id.insert(sourced.policy.id().to_string(), sourced);
        // The caller has made sure that no two share an id.
        set.add(sourced.policy.clone().into()).ok();
    }
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::default());
    let problem = |id: &PolicyId, diagnostic: &dyn miette::Diagnostic| {
        let id: &str = id.as_ref();
        let sourced = by_id.get(id);
        let file = sourced.map_or_else(|| "policies".into(), |sourced| Arc::clone(&sourced.file));
        let text = texts.get(&file).copied().unwrap_or_default();
        let mut problem = Problem::from_cedar(&file, text, diagnostic);
        if let (0, Some(sourced)) = (problem.line, sourced) {
            problem = Problem::at_position(&file, text, (sourced.line, 1), problem.message);
        }
        problem
    };
    let mut errors: Vec<Problem> =
        result.validation_errors().take(PROBLEMS).map(|error| problem(error.policy_id(), error)).collect();
    let failed: HashSet<&PolicyId> = result.validation_errors().map(ValidationError::policy_id).collect();
    let mut warnings = Vec::new();
    for warning in result.validation_warnings() {
        // A policy that no action of the schema fits can never apply: its author meant another one.
        let kind = match warning {
            ValidationWarning::InvalidActionApplication(_) if !failed.contains(warning.policy_id()) => {
                &mut errors
            }
            _ => &mut warnings,
        };
        if kind.len() < PROBLEMS {
            kind.push(problem(warning.policy_id(), warning));
        }
    }
    let warned = result.validation_warnings().map(ValidationWarning::policy_id);
    let told: HashSet<String> = warned.chain(failed).map(ToString::to_string).collect();
    for sourced in policies.iter_mut().filter(|sourced| sourced.kept.is_none()) {
        sourced.told = told.contains(AsRef::<str>::as_ref(sourced.policy.id()));
    }
    [errors, warnings]
}

/// Refuses two policies with one id; both places are named.
pub fn find_duplicates(policies: &[Sourced]) -> Vec<Problem> {
    let mut seen: HashMap<&str, &Sourced> = HashMap::new();
    let mut problems = Vec::new();
    for sourced in policies {
        let id: &str = sourced.policy.id().as_ref();
        if let Some(earlier) = seen.insert(id, sourced) {
            let message = format!("the id `{id}` is taken: see {}:{}", earlier.file, earlier.line);
            problems.push(Problem::of_file(&sourced.file, message).at_policy(sourced.line, &sourced.text));
        }
    }
    problems
}

/// Forbids that carry obligations: only permits oblige, so these do nothing.
pub fn obliging_forbids(policies: &[Sourced]) -> Vec<Problem> {
    let obliges = |sourced: &&Sourced| {
        let mut names = sourced.policy.annotations().map(|(name, _)| AsRef::<str>::as_ref(name));
        sourced.policy.effect() == Effect::Forbid
            && names.any(|name| name == "obligation" || name == "advice")
    };
    let warning = |sourced: &Sourced| {
        let message =
            format!("policy `{}` forbids, so that its obligations never apply", sourced.policy.id());
        let mut problem = Problem::of_file(&sourced.file, message);
        (problem.line, problem.column) = (sourced.line, 1);
        problem.source_line = sourced.text.lines().next().unwrap_or_default().to_owned();
        problem
    };
    policies.iter().filter(obliges).map(warning).collect()
}

/// Prepares policies for deciding.
///
/// # Errors
/// When an annotation is no list of obligations.
pub fn prepare(policies: Vec<Sourced>, entities: &EntityStore) -> Result<Rules, Problem> {
    Rules::prepare(policies, entities).map_err(|refused| {
        let (sourced, error) = *refused;
        let message = format!("policy `{}`: {error}", sourced.policy.id());
        Problem::of_file(&sourced.file, message).at_policy(sourced.line, &sourced.text)
    })
}
