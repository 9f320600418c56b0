//! Policies that are judged and never served.
//!
//! The same steps as a decision's (index, slice, evaluate, combine), over policies, schema and entities
//! that come with the question. `cedar-policy` reads entities and contexts in its own JSON form.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Context, ContextJsonError, EntityId, EntityTypeName, EntityUid, Request, Schema};
use cedar_policy_core::ast;
use serde::{Deserialize, Serialize};

use super::compile;
use super::files::SourceFile;
use super::problem::Problem;
use crate::decision::rules::Rules;
use crate::decision::{OnPolicyError, Question, Reason, Verdict, combine, evaluate};
use crate::entity::{EntityStore, Facts};

mod limits;

/// What to judge, and with what.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    /// Cedar policies.
    pub policies: String,
    /// A Cedar schema; nothing is validated without.
    #[serde(default)]
    pub schema: Option<String>,
    /// Entities in Cedar's JSON form.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub entities: Vec<serde_json::Value>,
    /// What to ask.
    #[serde(default)]
    pub requests: Vec<SimulatedRequest>,
    /// What a failed `forbid` does.
    #[serde(default)]
    pub on_policy_error: OnPolicyError,
    /// Whether each result tells how it was evaluated.
    #[serde(default)]
    pub evaluation: bool,
    /// Whether a request that does not fit the schema is a deny of its own.
    #[serde(default)]
    pub validate_requests: bool,
}

/// One request, in Cedar's terms.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulatedRequest {
    /// Who.
    #[serde(deserialize_with = "crate::object::only")]
    pub principal: SimulatedUid,
    /// Does what.
    #[serde(deserialize_with = "crate::object::only")]
    pub action: SimulatedUid,
    /// To what.
    #[serde(deserialize_with = "crate::object::only")]
    pub resource: SimulatedUid,
    /// Under which circumstances, in Cedar's JSON form.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub context: serde_json::Map<String, serde_json::Value>,
}

/// A Cedar entity's type and id.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulatedUid {
    /// The type, with its namespace.
    #[serde(rename = "type")]
    pub type_name: String,
    /// The id.
    pub id: String,
}

/// What the policies say.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SimulationResult {
    /// Whether the policies fit the schema.
    pub validation: Validation,
    /// One for each request.
    pub results: Vec<SimulatedDecision>,
}

/// Whether the policies fit the schema.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Validation {
    /// True when nothing is wrong. Without a schema there is nothing to validate against but Cedar's own syntax.
    pub valid: bool,
    /// Why not.
    pub errors: Vec<String>,
}

/// One request's decision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SimulatedDecision {
    /// Allow or deny.
    pub decision: Verdict,
    /// The policies that determined it.
    pub reasons: Vec<String>,
    /// Policies that failed.
    pub errors: Vec<SimulatedError>,
    /// How it was evaluated; there when it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<SimulatedEvaluation>,
}

/// How a request was evaluated.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SimulatedEvaluation {
    /// How many policies were evaluated: those that the index found, and in whose scope it is.
    pub evaluated: u32,
    /// How many of them Cedar's own evaluator had to judge, those that failed apart.
    pub left_to_cedar: u32,
}

/// A policy that failed, or a request that is none.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SimulatedError {
    /// The policy; null when it is the request.
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// Policies, schema and entities, ready to be asked.
struct World {
    rules: Rules,
    entities: EntityStore,
    schema: Option<Schema>,
}

/// Judges every request, until `stop` says that nobody waits any more, or has waited too long.
///
/// # Errors
/// Everything that is wrong with policies, schema and entities; or that it was stopped.
pub fn simulate(simulation: &Simulation, stop: &dyn Fn() -> bool) -> Result<SimulationResult, Vec<Problem>> {
    let (world, validation) = prepare(simulation)?;
    let mut results = Vec::with_capacity(simulation.requests.len());
    for request in &simulation.requests {
        if stop() {
            let message = format!("it took too long: {} requests were judged by then", results.len());
            return Err(vec![Problem::of_file(&"requests".into(), message)]);
        }
        results.push(world.ask(request, simulation));
    }
    Ok(SimulationResult { validation, results })
}

fn prepare(simulation: &Simulation) -> Result<(World, Validation), Vec<Problem>> {
    let file = SourceFile { shown: "policies".into(), text: simulation.policies.clone() };
    let mut policies = compile::parse_text(&file)?;
    let duplicates = compile::find_duplicates(&policies);
    if !duplicates.is_empty() {
        return Err(duplicates);
    }
    let one = |problem| vec![problem];
    let refuse = |file: &str, excess: Option<String>| match excess {
        Some(message) => Err(vec![Problem::of_file(&file.into(), message)]),
        None => Ok(()),
    };
    refuse("policies", limits::too_many_evaluations(policies.len(), simulation.requests.len()))?;
    refuse("entities", limits::too_many_ancestors(&simulation.entities))?;
    refuse("schema", simulation.schema.as_deref().and_then(limits::too_many_types))?;
    let schema = simulation.schema.clone().map(|text| SourceFile { shown: "schema".into(), text });
    let schema = schema.as_ref().map(compile::parse_schema).transpose().map_err(one)?;
    let text = serde_json::Value::from(simulation.entities.clone()).to_string();
    let entities = SourceFile { shown: "entities".into(), text };
    let entities = compile::parse_entities(Some(&entities), schema.as_ref()).map_err(one)?;
    let validation = match &schema {
        None => Validation { valid: true, errors: Vec::new() },
        Some(schema) => {
            refuse("schema", limits::too_many_validations(policies.len(), schema))?;
            let texts = HashMap::from([(Arc::clone(&file.shown), file.text.as_str())]);
            let [errors, _warnings] = compile::validate(&mut policies, schema, &texts);
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Validation { valid: errors.is_empty(), errors }
        }
    };
    let rules = compile::prepare(policies, &entities).map_err(one)?;
    Ok((World { rules, entities, schema }, validation))
}

impl World {
    fn ask(&self, request: &SimulatedRequest, simulation: &Simulation) -> SimulatedDecision {
        let question = match self.question(request, simulation.validate_requests) {
            Ok(question) => question,
            Err(message) => {
                let errors = vec![SimulatedError { policy: None, message }];
                return SimulatedDecision {
                    decision: Verdict::Deny,
                    reasons: Vec::new(),
                    errors,
                    evaluation: None,
                };
            }
        };
        let view = Facts::of_files(&self.entities).about(&question.resource);
        let findings = evaluate(&self.rules, &view, &question);
        let combined = combine(&self.rules, &findings, simulation.on_policy_error, &|_| true);
        let policy = |reason: &Reason| match reason {
            Reason::Policy(id) => Some(id.to_string()),
            _ => None,
        };
        let id = |place: &usize| self.rules.all.get(*place).map(|rule| rule.id.to_string());
        SimulatedDecision {
            decision: combined.verdict,
            reasons: combined.reasons.iter().filter_map(policy).collect(),
            errors: findings
                .errors
                .iter()
                .map(|(place, message)| SimulatedError { policy: id(place), message: message.clone() })
                .collect(),
            evaluation: simulation.evaluation.then_some(SimulatedEvaluation {
                evaluated: findings.judged,
                left_to_cedar: findings.left_to_cedar,
            }),
        }
    }

    /// Reads a context by the schema's types. Where it does not fit and need not, Cedar's own escapes still say what is meant.
    fn context(
        &self,
        json: serde_json::Value,
        action: &EntityUid,
        validate: bool,
    ) -> Result<Context, Box<ContextJsonError>> {
        if let Some(schema) = &self.schema {
            match Context::from_json_value(json.clone(), Some((schema, action))) {
                Err(error) if validate => return Err(Box::new(error)),
                Err(_) => {}
                Ok(context) => return Ok(context),
            }
        }
        Context::from_json_value(json, None).map_err(Box::new)
    }

    fn question(&self, request: &SimulatedRequest, validate: bool) -> Result<Question, String> {
        let principal = request.principal.read()?;
        let action = request.action.read()?;
        let resource = request.resource.read()?;
        let json = serde_json::Value::Object(request.context.clone());
        let context = self
            .context(json, &action, validate)
            .map_err(|error| format!("the context is not valid: {error}"))?;
        let schema = self.schema.as_ref().filter(|_| validate);
        let request =
            Request::new(principal, action, resource, context, schema).map_err(|error| error.to_string())?;
        let core: &ast::Request = request.as_ref();
        let uid = |entry: &ast::EntityUIDEntry| entry.uid().cloned().ok_or("an entity is unknown");
        let context = match core.context() {
            Some(ast::Context::Value(record)) => Arc::clone(record),
            _ => return Err("the context has unknown values".to_owned()),
        };
        Ok(Question {
            principal: uid(core.principal())?,
            action: uid(core.action())?,
            resource: uid(core.resource())?,
            context,
            laid_over: Vec::new(),
            context_left_out: Vec::new(),
            subject_left_out: Vec::new(),
            resource_left_out: Vec::new(),
            unreadable: false,
        })
    }
}

impl SimulatedUid {
    fn read(&self) -> Result<EntityUid, String> {
        let name = EntityTypeName::from_str(&self.type_name)
            .map_err(|_| format!("`{}` is not a Cedar type name", self.type_name))?;
        Ok(EntityUid::from_type_name_and_id(name, EntityId::new(&self.id)))
    }
}
