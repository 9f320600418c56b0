//! The policies of one pack, prepared for deciding.
//!
//! Prepared once at load: which policies can apply to an action, what they read, what they
//! oblige to. `cedar-policy` parses and validates; its evaluator judges each condition.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use cedar_policy_core::ast::{
    ActionConstraint, Effect, Entity, EntityReference, EntityType, EntityUID, Expr, Policy,
    PrincipalOrResourceConstraint,
};
use smol_str::SmolStr;

use super::compiled::{Compiled, is_within};
use super::index::{self, Index, Key};
use super::obligation::{self, Obligation, ObligationError};
use super::reach::{Node, Reach};
use crate::entity::EntityStore;
use crate::entity::interned::{ByUid, Interner, is_same};

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
    /// What was prepared of it before, when its text is the same.
    pub kept: Option<Arc<Prepared>>,
    /// Whether validation had something to say of it.
    pub told: bool,
}

/// One policy of a pack.
#[derive(Debug)]
pub struct Rule {
    /// The id that answers name.
    pub id: SmolStr,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// The line that it starts on, from 1.
    pub line: usize,
    /// Its text.
    pub text: Arc<str>,
    /// Whether validation had something to say of it.
    pub told: bool,
    /// What follows from its text.
    pub prepared: Arc<Prepared>,
}

impl Deref for Rule {
    type Target = Prepared;

    fn deref(&self) -> &Prepared {
        &self.prepared
    }
}

/// What follows from a policy's text alone.
#[derive(Debug)]
pub struct Prepared {
    /// The policy.
    pub policy: Policy,
    /// Permit or forbid.
    pub effect: Effect,
    /// Whom it is about.
    pub principal: PrincipalOrResourceConstraint,
    /// What it is about.
    pub resource: PrincipalOrResourceConstraint,
    /// The condition, without the scope; none is always true.
    pub condition: Option<Arc<Expr>>,
    /// The condition, compiled, where it can be.
    pub compiled: Option<Compiled>,
    /// What its permits oblige to.
    pub obligations: Vec<Obligation>,
    /// What it can read.
    pub reach: Reach,
    /// What it can be found by.
    pub(super) keys: Vec<Key>,
}

/// The rules that can apply to one action.
#[derive(Debug, Default)]
pub struct Plan {
    /// Their places in [`Rules::all`], in order.
    pub rules: Vec<usize>,
    /// Those of them that say something of the action.
    index: Index,
    reach: OnceLock<Reach>,
}

/// All policies of a pack.
#[derive(Debug, Default)]
pub struct Rules {
    /// In the order of files and of policies in a file.
    pub all: Vec<Rule>,
    plans: ByUid<Plan>,
    /// For actions that no policy names and no entity describes.
    rest: Plan,
    /// The rules that say nothing of the action.
    any_action: Index,
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
        let mut actions = Actions::default();
        let mut interner = Interner::default();
        for (place, sourced) in policies.into_iter().enumerate() {
            actions.add(place, sourced.policy.action_constraint());
            all.push(Rule::prepare(&sourced, &mut interner).map_err(|error| Box::new((sourced, error)))?);
        }
        let mut known: HashSet<EntityUID> =
            actions.only.keys().chain(actions.within.keys()).cloned().collect();
        let described =
            entities.iter().map(|entity| entity.uid()).filter(|uid| uid.entity_type().is_action());
        known.extend(described.cloned());
        let plans = known.into_iter().map(|uid| {
            let plan = actions.plan(&uid, entities.get(&uid).map(Arc::as_ref), &all);
            (interner.uid(&uid), plan)
        });
        let plans = plans.collect();
        let any_action = Index::of(&actions.any, &all);
        let rest = Plan { rules: actions.any, ..Plan::default() };
        Ok(Self { all, plans, rest, any_action })
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
        self.plans.iter().map(|(uid, _)| uid)
    }

    /// What any rule of a plan can read. It is worked out when it is first asked for: most questions do without.
    pub fn reach<'r>(&'r self, plan: &'r Plan) -> &'r Reach {
        plan.reach.get_or_init(|| {
            let mut reach = Reach::default();
            for rule in plan.rules.iter().filter_map(|place| self.all.get(*place)) {
                reach.merge(&rule.reach);
            }
            reach
        })
    }

    /// The two indexes that together hold the rules of a plan.
    pub fn indexes<'r>(&'r self, plan: &'r Plan) -> [&'r Index; 2] {
        [&plan.index, &self.any_action]
    }

    /// How many conditions are left to Cedar's own evaluator.
    pub fn not_compiled(&self) -> usize {
        self.all.iter().filter(|rule| rule.condition.is_some() && rule.compiled.is_none()).count()
    }
}

/// Which rules are about which actions.
#[derive(Default)]
struct Actions {
    any: Vec<usize>,
    only: HashMap<EntityUID, Vec<usize>>,
    within: HashMap<EntityUID, Vec<usize>>,
}

impl Actions {
    fn add(&mut self, place: usize, constraint: &ActionConstraint) {
        match constraint {
            ActionConstraint::Any => self.any.push(place),
            ActionConstraint::Eq(uid) => self.only.entry(uid.as_ref().clone()).or_default().push(place),
            ActionConstraint::In(groups) => {
                for group in groups {
                    self.within.entry(group.as_ref().clone()).or_default().push(place);
                }
            }
        }
    }

    fn plan(&self, uid: &EntityUID, entity: Option<&Entity>, all: &[Rule]) -> Plan {
        let groups = entity.into_iter().flat_map(Entity::ancestors).filter(|group| *group != uid);
        let within = std::iter::once(uid).chain(groups).filter_map(|group| self.within.get(group));
        let named = self.only.get(uid).into_iter().chain(within);
        let mut own: Vec<usize> = named.flatten().copied().collect();
        own.sort_unstable();
        own.dedup();
        let index = Index::of(&own, all);
        own.extend(&self.any);
        own.sort_unstable();
        Plan { rules: own, index, reach: OnceLock::new() }
    }
}

impl Rule {
    fn prepare(sourced: &Sourced, interner: &mut Interner) -> Result<Self, ObligationError> {
        let prepared = match &sourced.kept {
            Some(kept) => Arc::clone(kept),
            None => Arc::new(Prepared::of(&sourced.policy, interner)?),
        };
        Ok(Self {
            id: SmolStr::new(AsRef::<str>::as_ref(sourced.policy.id())),
            file: Arc::clone(&sourced.file),
            line: sourced.line,
            text: Arc::clone(&sourced.text),
            told: sourced.told,
            prepared,
        })
    }
}

impl Prepared {
    fn of(policy: &Policy, interner: &mut Interner) -> Result<Self, ObligationError> {
        let principal = interned(policy.principal_constraint().into_inner(), interner);
        let resource = interned(policy.resource_constraint().into_inner(), interner);
        let condition = policy.non_scope_constraints_arc().cloned();
        let mut reach = condition.as_deref().map(Reach::of).unwrap_or_default();
        look_up_for_scope(&principal, &mut reach.principal);
        look_up_for_scope(&resource, &mut reach.resource);
        let mut obligations = annotated(policy, "obligation", true)?;
        obligations.extend(annotated(policy, "advice", false)?);
        Ok(Self {
            policy: policy.clone(),
            effect: policy.effect(),
            keys: index::keys([&principal, &resource], condition.as_deref()),
            principal,
            resource,
            compiled: condition.as_deref().and_then(|condition| Compiled::of(condition, interner)),
            condition,
            obligations,
            reach,
        })
    }
}

fn interned(
    constraint: PrincipalOrResourceConstraint,
    interner: &mut Interner,
) -> PrincipalOrResourceConstraint {
    use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
    let mut of = |reference: EntityReference| match reference {
        EntityReference::EUID(uid) => EntityReference::EUID(Arc::new(interner.uid(&uid))),
        slot @ EntityReference::Slot(_) => slot,
    };
    match constraint {
        Any => Any,
        Eq(only) => Eq(of(only)),
        In(group) => In(of(group)),
        IsIn(name, group) => {
            let group = of(group);
            IsIn(Arc::new(interner.type_name(&name)), group)
        }
        Is(name) => Is(Arc::new(interner.type_name(&name))),
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
            is_same(group, uid) || entity.is_some_and(|entity| is_within(entity, group))
        }
        // Templates are not loaded; a slot that is not filled matches nothing.
        EntityReference::Slot(_) => false,
    };
    match constraint {
        PrincipalOrResourceConstraint::Any => true,
        PrincipalOrResourceConstraint::Eq(EntityReference::EUID(only)) => is_same(only, uid),
        PrincipalOrResourceConstraint::Eq(EntityReference::Slot(_)) => false,
        PrincipalOrResourceConstraint::In(group) => within(group),
        PrincipalOrResourceConstraint::Is(entity_type) => is(entity_type),
        PrincipalOrResourceConstraint::IsIn(entity_type, group) => is(entity_type) && within(group),
    }
}
