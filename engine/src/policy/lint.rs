//! What is allowed in a policy and hardly meant: it never matches, allows everything, stands twice, fails where an
//! attribute is missing.
//!
//! Promises: a finding says what, where and how to mend it; what a policy allows by `@lint_allow("rule")` is not told.
//! Policies are compared by indexes, so that many take hardly longer each than few. Must never: change a decision.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use cedar_policy::Schema;
use cedar_policy_core::ast::{Effect, EntityType, Expr, Policy};
use cedar_policy_core::parser::Loc;
use serde::Serialize;

use super::bounds::on_deep_stack;
use super::compile;
use super::earlier::Earlier;
use super::files::PackFiles;
use super::problem::Problem;
use crate::decision::rules::Sourced;
use crate::entity::EntityStore;

mod across;
mod attributes;
mod conditions;
mod contradiction;
mod entities;
mod scope;
mod validator;

use scope::Scope;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// No request can make it hold.
    NeverMatches,
    /// A forbid holds wherever it does.
    ShadowedByForbid,
    /// It permits everything.
    AlwaysAllows,
    /// It names an entity that is not there.
    UnknownEntity,
    /// It fails where an attribute is missing.
    MissingAttribute,
    /// Another says the same.
    Duplicate,
    /// It is a forbid that can fail, which denies.
    ErrorForbid,
    /// The schema does not allow it.
    Invalid,
    /// It allows a rule that there is not.
    UnknownRule,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NeverMatches,
        Self::ShadowedByForbid,
        Self::AlwaysAllows,
        Self::UnknownEntity,
        Self::MissingAttribute,
        Self::Duplicate,
        Self::ErrorForbid,
        Self::Invalid,
        Self::UnknownRule,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NeverMatches => "never-matches",
            Self::ShadowedByForbid => "shadowed-by-forbid",
            Self::AlwaysAllows => "always-allows",
            Self::UnknownEntity => "unknown-entity",
            Self::MissingAttribute => "missing-attribute",
            Self::Duplicate => "duplicate",
            Self::ErrorForbid => "error-forbid",
            Self::Invalid => "invalid",
            Self::UnknownRule => "unknown-rule",
        }
    }

    /// Whether it is an error: the policy fails, or the server would not load it.
    pub fn is_error(self) -> bool {
        matches!(self, Self::MissingAttribute | Self::ErrorForbid | Self::Invalid)
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about.
    pub rule: Rule,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// The file.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The id of the policy.
    pub policy: String,
    /// What is the matter.
    pub message: String,
    /// How to mend it.
    pub help: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, severity, file, line, column, policy, message, help } = self;
        write!(
            formatter,
            "{file}:{line}:{column}: {severity}: {}: policy `{policy}` {message}\n  {help}",
            rule.name()
        )
    }
}

/// The annotation that allows rules.
const ALLOW: &str = "lint_allow";
/// More findings of one rule in one pack are counted and not told.
const MOST_FINDINGS: usize = 1_000;

/// What was found in a pack.
#[derive(Debug, Default)]
pub struct Findings {
    /// By file and place.
    pub told: Vec<Finding>,
    /// How many more there are.
    pub untold: usize,
}

/// A policy as the rules look at it.
struct Linted<'p> {
    policy: &'p Policy,
    sourced: &'p Sourced,
    scope: Scope,
    /// What must hold, each for itself.
    conjuncts: Vec<Conjunct<'p>>,
}

/// A part of a condition that must hold, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Conjunct<'p> {
    expr: &'p Expr,
    holds: bool,
}

/// What the rules know of a pack.
struct Known<'p> {
    texts: HashMap<Arc<str>, &'p str>,
    schema: Option<&'p Schema>,
    entities: &'p EntityStore,
    /// The types of which there are entities.
    types: HashSet<&'p EntityType>,
}

/// Looks through a pack.
///
/// # Errors
/// What keeps its files from being read.
pub fn lint(files: &PackFiles) -> Result<Findings, Vec<Problem>> {
    let failed =
        || vec![Problem::of_file(&"pack.toml".into(), "the lint failed, which is a defect of this program")];
    on_deep_stack(|| lint_here(files)).unwrap_or_else(|| Err(failed()))
}

fn lint_here(files: &PackFiles) -> Result<Findings, Vec<Problem>> {
    let (mut policies, mut problems, mut texts) = (Vec::new(), Vec::new(), HashMap::new());
    for (name, file) in files.deciding().filter(|(name, _)| name.ends_with(".cedar")) {
        texts.insert(Arc::clone(&file.shown), file.text.as_str());
        match compile::parse_file(file, name.trim_end_matches(".cedar"), &Earlier::default()) {
            Ok(parsed) => policies.extend(parsed),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(compile::find_duplicates(&policies));
    let file = files.get("schema.cedarschema").or_else(|| files.get("schema.cedarschema.json"));
    let schema = file.map(compile::parse_schema).transpose().map_err(|problem| problems.push(problem));
    let schema = schema.ok().flatten();
    let entities = compile::parse_entities(files.get("entities.json"), schema.as_ref());
    let entities = entities.map_err(|problem| problems.push(problem)).unwrap_or_default();
    if !problems.is_empty() {
        return Err(problems);
    }
    let types = entities.iter().map(|entity| entity.uid().entity_type()).collect();
    let known = Known { texts, schema: schema.as_ref(), entities: &entities, types };
    let linted: Vec<Linted<'_>> = policies.iter().map(Linted::of).collect();
    Ok(known.all(&linted))
}

impl Known<'_> {
    fn all(&self, policies: &[Linted<'_>]) -> Findings {
        let mut found = validator::check(self, policies);
        let never: Vec<bool> =
            policies.iter().map(|linted| contradiction::check(self, linted, &mut found)).collect();
        let attributes = attributes::Stored::of(self);
        for linted in policies {
            conditions::always_allows(self, linted, &mut found);
            entities::check(self, linted, &mut found);
            attributes.check(self, linted, &mut found);
            allows_what_there_is(self, linted, &mut found);
        }
        across::check(self, policies, &never, &mut found);
        self.sorted(found, policies)
    }

    fn sorted(&self, mut found: Vec<Finding>, policies: &[Linted<'_>]) -> Findings {
        let by_id: HashMap<&str, &Linted<'_>> = policies.iter().map(|linted| (linted.id(), linted)).collect();
        found.retain(|finding| {
            !by_id.get(finding.policy.as_str()).is_some_and(|linted| linted.allows(finding.rule))
        });
        found.sort_by(|one, other| {
            (&one.file, one.line, one.column, one.rule).cmp(&(
                &other.file,
                other.line,
                other.column,
                other.rule,
            ))
        });
        // The validator and a rule of our own may say the same of a place.
        found.dedup_by(|one, other| {
            (&one.policy, one.rule, one.line) == (&other.policy, other.rule, other.line)
                && one.rule == Rule::NeverMatches
        });
        let (mut counts, before) = (HashMap::new(), found.len());
        found.retain(|finding| {
            let count = counts.entry(finding.rule.name()).or_insert(0_usize);
            *count += 1;
            *count <= MOST_FINDINGS
        });
        Findings { untold: before - found.len(), told: found }
    }

    /// A finding about a place within a policy; about the whole of it without one.
    fn finding(
        &self,
        (rule, linted): (Rule, &Linted<'_>),
        place: Option<&Loc>,
        message: String,
        help: &'static str,
    ) -> Finding {
        let sourced = linted.sourced;
        let file = self.texts.get(&sourced.file).copied().unwrap_or_default();
        let start = linted.policy.loc().map_or(0, Loc::start);
        let at = place.map_or(start, Loc::start);
        let between = file.get(start..at).unwrap_or_default();
        let line_start = file.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        Finding {
            rule,
            severity: if rule.is_error() { "error" } else { "warning" },
            file: Arc::clone(&sourced.file),
            line: sourced.line + between.matches('\n').count(),
            column: file.get(line_start..at).map_or(1, |before| before.chars().count() + 1),
            policy: linted.id().to_owned(),
            message,
            help,
        }
    }
}

impl<'p> Linted<'p> {
    fn of(sourced: &'p Sourced) -> Self {
        let policy = &sourced.policy;
        let mut conjuncts = Vec::new();
        if let Some(condition) = policy.non_scope_constraints() {
            conditions::split(condition, true, &mut conjuncts);
        }
        Self { policy, sourced, scope: Scope::of(policy), conjuncts }
    }

    fn id(&self) -> &'p str {
        self.policy.id().as_ref()
    }

    fn permits(&self) -> bool {
        self.policy.effect() == Effect::Permit
    }

    fn allowed(&self) -> impl Iterator<Item = &'p str> {
        let annotations = self.policy.annotations();
        let own = annotations.filter(|(name, _)| AsRef::<str>::as_ref(*name) == ALLOW);
        own.flat_map(|(_, value)| value.val.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    fn allows(&self, rule: Rule) -> bool {
        rule != Rule::UnknownRule && self.allowed().any(|name| name == rule.name())
    }
}

fn allows_what_there_is(known: &Known<'_>, linted: &Linted<'_>, found: &mut Vec<Finding>) {
    let unknown = linted.allowed().filter(|name| !Rule::ALL.iter().any(|rule| rule.name() == *name));
    found.extend(unknown.map(|name| {
        let message = format!("allows `{name}`, and there is no such rule");
        known.finding(
            (Rule::UnknownRule, linted),
            None,
            message,
            "name a rule as findings name them, or take the annotation away",
        )
    }));
}

#[cfg(test)]
mod tests;
