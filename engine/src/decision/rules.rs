//! The policies of one pack, prepared for deciding.
//!
//! Prepared once at load: which policies can apply to an action, what they read, what they
//! oblige to. `cedar-policy` parses and validates; its evaluator judges each condition.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy_core::ast::{
    ActionConstraint, Effect, Entity, EntityReference, EntityType, EntityUID, Expr, Policy,
    PrincipalOrResourceConstraint,
};
use smol_str::SmolStr;

use super::obligation::{self, Obligation, ObligationError};
use super::reach::{Node, Reach};
use crate::entity::EntityStore;

/// A policy, and where it stands.
#[derive(Clone, Debug)]
pub struct Sourced {
    /// The policy, under the id that answers name.
    pub policy: Policy,
    /// The file, as its pack's folder names it.
    pub file: Arc<str>,
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its text.
    pub text: Arc<str>,
}

/// One policy, prepared.
#[derive(Debug)]
pub struct Rule {
    /// The id that answers name.
    pub id: SmolStr,
    /// Permit or forbid.
    pub effect: Effect,
    /// Whom it is about.
    pub principal: PrincipalOrResourceConstraint,
    /// What it is about.
    pub resource: PrincipalOrResourceConstraint,
    /// The condition, without the scope; none is always true.
    pub condition: Option<Arc<Expr>>,
    /// What its permits oblige to.
    pub obligations: Vec<Obligation>,
    /// What it can read.
    pub reach: Reach,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its text.
    pub text: Arc<str>,
}

/// The rules that can apply to one action, and what they read together.
#[derive(Debug, Default)]
pub struct Plan {
    /// Their places in [`Rules::all`], in order.
    pub rules: Vec<usize>,
    /// What any of them can read.
    pub reach: Reach,
}

/// All policies of a pack.
#[derive(Debug, Default)]
pub struct Rules {
    /// In the order of files and of policies in a file.
    pub all: Vec<Rule>,
    plans: HashMap<EntityUID, Plan, foldhash::fast::RandomState>,
    /// For actions that no policy names and no entity describes.
    rest: Plan,
}

impl Rules {
    /// Prepares policies. `entities` tells which actions are in which groups.
    ///
    /// # Errors
    /// When an annotation is no list of obligations; the policy is named.
    pub fn prepare(
        policies: impl IntoIterator<Item = Sourced>,
        entities: &EntityStore,
    ) -> Result<Self, Box<(Sourced, ObligationError)>> {
        let mut all = Vec::new();
        let mut actions = Vec::new();
        for sourced in policies {
            actions.push(sourced.policy.action_constraint().clone());
            all.push(Rule::prepare(&sourced).map_err(|error| Box::new((sourced, error)))?);
        }
        let mut known: HashSet<&EntityUID> = actions.iter().flat_map(ActionConstraint::iter_euids).collect();
        known.extend(entities.iter().map(|entity| entity.uid()).filter(|uid| uid.entity_type().is_action()));
        let plans = known
            .into_iter()
            .map(|uid| {
                (uid.clone(), Plan::for_action(uid, entities.get(uid).map(Arc::as_ref), &all, &actions))
            })
            .collect();
        let unconstrained = |(place, action): (usize, &ActionConstraint)| {
            matches!(action, ActionConstraint::Any).then_some(place)
        };
        let rest = Plan::new(actions.iter().enumerate().filter_map(unconstrained).collect(), &all);
        Ok(Self { all, plans, rest })
    }

    /// The rules that can apply to this action.
    pub fn plan(&self, action: &EntityUID) -> &Plan {
        self.plans.get(action).unwrap_or(&self.rest)
    }

    /// The rules that can apply to actions that nothing names.
    pub fn rest(&self) -> &Plan {
        &self.rest
    }

    /// The actions that policies name or entities describe.
    pub fn actions(&self) -> impl Iterator<Item = &EntityUID> {
        self.plans.keys()
    }
}

impl Plan {
    fn for_action(
        uid: &EntityUID,
        entity: Option<&Entity>,
        all: &[Rule],
        actions: &[ActionConstraint],
    ) -> Self {
        let within = |group: &EntityUID| group == uid || entity.is_some_and(|e| e.is_descendant_of(group));
        let applies = |constraint: &ActionConstraint| match constraint {
            ActionConstraint::Any => true,
            ActionConstraint::In(groups) => groups.iter().any(|group| within(group)),
            ActionConstraint::Eq(only) => only.as_ref() == uid,
        };
        let rules = actions.iter().enumerate().filter(|(_, action)| applies(action)).map(|(place, _)| place);
        Self::new(rules.collect(), all)
    }

    fn new(rules: Vec<usize>, all: &[Rule]) -> Self {
        let mut reach = Reach::default();
        for rule in rules.iter().filter_map(|place| all.get(*place)) {
            reach.merge(&rule.reach);
        }
        Self { rules, reach }
    }
}

impl Rule {
    fn prepare(sourced: &Sourced) -> Result<Self, ObligationError> {
        let policy = &sourced.policy;
        let principal = policy.principal_constraint().into_inner();
        let resource = policy.resource_constraint().into_inner();
        let condition = policy.non_scope_constraints_arc().cloned();
        let mut reach = condition.as_deref().map(Reach::of).unwrap_or_default();
        look_up_for_scope(&principal, &mut reach.principal);
        look_up_for_scope(&resource, &mut reach.resource);
        let mut obligations = annotated(policy, "obligation", true)?;
        obligations.extend(annotated(policy, "advice", false)?);
        Ok(Self {
            id: SmolStr::new(AsRef::<str>::as_ref(policy.id())),
            effect: policy.effect(),
            principal,
            resource,
            condition,
            obligations,
            reach,
            file: Arc::clone(&sourced.file),
            line: sourced.line,
            text: Arc::clone(&sourced.text),
        })
    }
}

/// A scope that asks for a group needs the entity itself, for its ancestors.
fn look_up_for_scope(constraint: &PrincipalOrResourceConstraint, node: &mut Node) {
    use PrincipalOrResourceConstraint::{In, IsIn};
    node.entity |= matches!(constraint, In(_) | IsIn(..));
}

fn annotated(policy: &Policy, key: &str, mandatory: bool) -> Result<Vec<Obligation>, ObligationError> {
    let mut annotations = policy.annotations();
    match annotations.find(|(name, _)| AsRef::<str>::as_ref(*name) == key) {
        Some((_, annotation)) => obligation::parse(&annotation.val, mandatory),
        None => Ok(Vec::new()),
    }
}

/// Whether `uid`, whose entity is `entity` if it has one, fits a policy's scope.
pub fn scope_matches(
    constraint: &PrincipalOrResourceConstraint,
    uid: &EntityUID,
    entity: Option<&Entity>,
) -> bool {
    let is = |entity_type: &EntityType| uid.entity_type() == entity_type;
    let within = |group: &EntityReference| match group {
        EntityReference::EUID(group) => {
            group.as_ref() == uid || entity.is_some_and(|e| e.is_descendant_of(group))
        }
        // Templates are not loaded; a slot that is not filled matches nothing.
        EntityReference::Slot(_) => false,
    };
    match constraint {
        PrincipalOrResourceConstraint::Any => true,
        PrincipalOrResourceConstraint::Eq(EntityReference::EUID(only)) => only.as_ref() == uid,
        PrincipalOrResourceConstraint::Eq(EntityReference::Slot(_)) => false,
        PrincipalOrResourceConstraint::In(group) => within(group),
        PrincipalOrResourceConstraint::Is(entity_type) => is(entity_type),
        PrincipalOrResourceConstraint::IsIn(entity_type, group) => is(entity_type) && within(group),
    }
}
