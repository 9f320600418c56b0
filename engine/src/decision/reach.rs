//! Which data a policy can read, found once at load.
//!
//! A policy reads attributes by paths (`resource.owner.department`). The paths of a policy form a tree;
//! it tells which entities a request needs (its slice), and whether a value that was left out
//! would have been read. Promises: never too little. Where a path can't be followed, it says so and everything
//! that can be reached counts.

use std::collections::BTreeMap;

use cedar_policy_core::ast::{BinaryOp, EntityUID, Expr, ExprKind, Literal, Var};
use smol_str::SmolStr;

/// What is read of one value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// By attribute.
    pub attributes: BTreeMap<SmolStr, Node>,
    /// Of every tag.
    pub tags: Option<Box<Node>>,
    /// The entity itself is looked up: its ancestors, attributes or tags.
    pub entity: bool,
    /// The value is used as a whole (compared, searched, passed on).
    pub whole: bool,
}

/// What a policy, or several, can read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Of the principal.
    pub principal: Node,
    /// Of the action.
    pub action: Node,
    /// Of the resource.
    pub resource: Node,
    /// Of the context.
    pub context: Node,
    /// Of entities that policies name.
    pub literals: BTreeMap<EntityUID, Node>,
    /// Of values whose origin can't be followed.
    pub elsewhere: Node,
    /// Whether an entity whose origin can't be followed is looked up.
    pub unbounded: bool,
}

/// Where a value comes from: a variable or a named entity, and then the steps from it.
#[derive(Clone)]
struct Origin {
    root: Root,
    steps: Vec<Step>,
}

#[derive(Clone)]
enum Root {
    Var(Var),
    Entity(EntityUID),
    Unknown,
}

#[derive(Clone)]
enum Step {
    Attribute(SmolStr),
    Tag,
}

/// How the value at the end of a path is used.
#[derive(Clone, Copy)]
enum Use {
    Whole,
    Entity,
}

/// How many origins of one value are followed, and how far.
const ORIGINS: usize = 64;
const STEPS: usize = 64;

impl Reach {
    /// What `condition` can read.
    pub fn of(condition: &Expr) -> Self {
        let mut reach = Self::default();
        reach.read(condition, Use::Whole);
        reach
    }

    /// Adds what another can read.
    pub fn merge(&mut self, other: &Self) {
        self.principal.merge(&other.principal);
        self.action.merge(&other.action);
        self.resource.merge(&other.resource);
        self.context.merge(&other.context);
        self.elsewhere.merge(&other.elsewhere);
        self.unbounded |= other.unbounded;
        for (uid, node) in &other.literals {
            self.literals.entry(uid.clone()).or_default().merge(node);
        }
    }

    /// Whether a value left out of the context, at `path`, could be read.
    pub fn reads_context(&self, path: &[SmolStr]) -> bool {
        self.context.reads(path, true) || self.elsewhere.reads_anywhere(path)
    }

    /// Whether a value left out of an entity's attributes, at `path`, could be read. The entity may be reached by
    /// any path, so the steps count wherever they stand.
    pub fn reads_entity(&self, path: &[SmolStr]) -> bool {
        [&self.principal, &self.action, &self.resource, &self.context, &self.elsewhere]
            .into_iter()
            .chain(self.literals.values())
            .any(|node| node.reads_anywhere(path))
    }

    /// Reads an expression and uses its value.
    fn read(&mut self, expr: &Expr, used: Use) {
        for origin in self.origins(expr) {
            self.mark(&origin, used);
        }
    }

    /// Where the expression's value comes from. What is read on the way is noted.
    fn origins(&mut self, expr: &Expr) -> Vec<Origin> {
        match expr.expr_kind() {
            ExprKind::Var(var) => vec![Origin { root: Root::Var(*var), steps: Vec::new() }],
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                vec![Origin { root: Root::Entity(uid.as_ref().clone()), steps: Vec::new() }]
            }
            ExprKind::GetAttr { expr, attr } => self.step(expr, &Step::Attribute(attr.clone())),
            ExprKind::HasAttr { expr, attr } => {
                self.has(expr, std::iter::once(attr));
                Vec::new()
            }
            ExprKind::ExtHasAttr { expr, attrs } => {
                self.has(expr, attrs.iter());
                Vec::new()
            }
            ExprKind::BinaryApp { op: BinaryOp::GetTag, arg1, arg2 } => {
                self.read(arg2, Use::Whole);
                self.step(arg1, &Step::Tag)
            }
            ExprKind::If { test_expr, then_expr, else_expr } => {
                self.read(test_expr, Use::Whole);
                let mut origins = self.origins(then_expr);
                origins.extend(self.origins(else_expr));
                self.bounded(origins)
            }
            other => self.operator(other),
        }
    }

    /// Operators whose value is no entity and no record of the request: they use their operands.
    fn operator(&mut self, kind: &ExprKind) -> Vec<Origin> {
        match kind {
            ExprKind::And { left, right } | ExprKind::Or { left, right } => {
                self.read(left, Use::Whole);
                self.read(right, Use::Whole);
            }
            ExprKind::BinaryApp { op: BinaryOp::In | BinaryOp::HasTag, arg1, arg2 } => {
                self.read(arg1, Use::Entity);
                self.read(arg2, Use::Whole);
            }
            ExprKind::BinaryApp { arg1, arg2, .. } => {
                self.read(arg1, Use::Whole);
                self.read(arg2, Use::Whole);
            }
            ExprKind::UnaryApp { arg: expr, .. }
            | ExprKind::Like { expr, .. }
            | ExprKind::Is { expr, .. } => {
                self.read(expr, Use::Whole);
            }
            ExprKind::ExtensionFunctionApp { args, .. } => {
                args.iter().for_each(|arg| self.read(arg, Use::Whole));
            }
            // A set's elements can't be taken out again, a record's can.
            ExprKind::Set(elements) => elements.iter().for_each(|element| self.read(element, Use::Whole)),
            ExprKind::Record(members) => {
                members.values().for_each(|member| self.read(member, Use::Whole));
                return vec![Origin { root: Root::Unknown, steps: Vec::new() }];
            }
            ExprKind::Lit(_) => {}
            _ => return vec![Origin { root: Root::Unknown, steps: Vec::new() }],
        }
        Vec::new()
    }

    fn step(&mut self, base: &Expr, step: &Step) -> Vec<Origin> {
        let origins = self.origins(base);
        self.advance(origins, step)
    }

    fn has<'a>(&mut self, base: &Expr, attributes: impl Iterator<Item = &'a SmolStr>) {
        let mut origins = self.origins(base);
        for attribute in attributes {
            origins = self.advance(origins, &Step::Attribute(attribute.clone()));
        }
    }

    fn advance(&mut self, mut origins: Vec<Origin>, step: &Step) -> Vec<Origin> {
        for origin in &mut origins {
            self.mark(origin, Use::Entity);
            origin.steps.push(step.clone());
            self.touch(origin);
        }
        self.bounded(origins)
    }

    /// Origins as they are; where they are many, or far from where they began, they count as used whole, and what
    /// follows as one whose origin can't be followed. The work stays in proportion to the policy's text.
    fn bounded(&mut self, origins: Vec<Origin>) -> Vec<Origin> {
        if origins.len() <= ORIGINS && origins.iter().all(|origin| origin.steps.len() <= STEPS) {
            return origins;
        }
        for origin in &origins {
            self.mark(origin, Use::Whole);
            self.mark(origin, Use::Entity);
        }
        vec![Origin { root: Root::Unknown, steps: Vec::new() }]
    }

    fn touch(&mut self, origin: &Origin) {
        self.node(origin);
    }

    fn mark(&mut self, origin: &Origin, used: Use) {
        if matches!(origin.root, Root::Unknown) && matches!(used, Use::Entity) {
            self.unbounded = true;
        }
        let node = self.node(origin);
        match used {
            Use::Whole => node.whole = true,
            Use::Entity => node.entity = true,
        }
    }

    fn node(&mut self, origin: &Origin) -> &mut Node {
        let mut node = match &origin.root {
            Root::Var(Var::Principal) => &mut self.principal,
            Root::Var(Var::Action) => &mut self.action,
            Root::Var(Var::Resource) => &mut self.resource,
            Root::Var(Var::Context) => &mut self.context,
            Root::Entity(uid) => self.literals.entry(uid.clone()).or_default(),
            Root::Unknown => &mut self.elsewhere,
        };
        for step in &origin.steps {
            node = match step {
                Step::Attribute(name) => node.attributes.entry(name.clone()).or_default(),
                Step::Tag => node.tags.get_or_insert_default(),
            };
        }
        node
    }
}

impl Node {
    fn merge(&mut self, other: &Self) {
        self.entity |= other.entity;
        self.whole |= other.whole;
        for (name, node) in &other.attributes {
            self.attributes.entry(name.clone()).or_default().merge(node);
        }
        if let Some(tags) = &other.tags {
            self.tags.get_or_insert_default().merge(tags);
        }
    }

    /// Whether `path` from here on is read. `record` says that the value here is a record, whose members are
    /// read when it is used as a whole; an entity used as a whole is only its id.
    fn reads(&self, path: &[SmolStr], record: bool) -> bool {
        if record && self.whole {
            return true;
        }
        match path.split_first() {
            None => true,
            Some((name, rest)) => self.attributes.get(name).is_some_and(|node| node.reads(rest, true)),
        }
    }

    /// Whether `path` is read from here or from anything below.
    fn reads_anywhere(&self, path: &[SmolStr]) -> bool {
        self.reads(path, false)
            || self.attributes.values().any(|node| node.reads_anywhere(path))
            || self.tags.as_ref().is_some_and(|node| node.reads_anywhere(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(condition: &str) -> Reach {
        let expr = condition.parse::<Expr>().unwrap();
        Reach::of(&expr)
    }

    fn path(text: &str) -> Vec<SmolStr> {
        text.split('.').map(SmolStr::new).collect()
    }

    #[test]
    fn a_path_is_read_with_its_prefixes_and_what_is_below() {
        let reach = reach("context.order.amount > 5");
        assert!(reach.reads_context(&path("order.amount")));
        assert!(reach.reads_context(&path("order")));
        assert!(reach.reads_context(&path("order.amount.cents")));
        assert!(!reach.reads_context(&path("order.currency")));
        assert!(!reach.reads_context(&path("amount")));
    }

    #[test]
    fn a_test_for_presence_reads() {
        assert!(reach("context has amount && true").reads_context(&path("amount")));
        assert!(reach("context has order.amount").reads_context(&path("order.amount")));
    }

    #[test]
    fn a_record_used_as_a_whole_is_read_with_all_its_members() {
        let reach = reach("context == {\"a\": 1}");
        assert!(reach.reads_context(&path("anything")));
    }

    #[test]
    fn an_entity_used_as_a_whole_is_only_its_id() {
        let reach = reach("principal == resource.owner");
        assert!(!reach.reads_entity(&path("level")));
        assert!(reach.reads_entity(&path("owner")));
    }

    #[test]
    fn attributes_are_read_by_any_path_to_the_entity() {
        assert!(reach("resource.owner.level > 1").reads_entity(&path("level")));
        assert!(reach("(if context.a then principal else resource).level > 1").reads_entity(&path("level")));
    }

    #[test]
    fn an_entity_taken_out_of_a_record_has_no_bounds() {
        let reach = reach("{\"who\": principal}.who.level > 1");
        assert!(reach.unbounded);
        assert!(reach.reads_entity(&path("level")));
    }

    #[test]
    fn what_is_not_followed_to_its_end_counts_as_read() {
        let long = format!("principal{} > 1", ".a".repeat(500));
        assert!(reach(&long).unbounded);
        assert!(reach(&long).reads_entity(&["a".into(), "a".into()]));
        assert!(reach(&format!("context{}.z", ".a".repeat(500))).reads_context(&vec!["a".into(); 200]));
        assert!(reach(&format!("context has {}", ["a"; 500].join("."))).unbounded);
        let many: String = (0..500).map(|n| format!("if context.c{n} then User::\"{n}\" else ")).collect();
        let many = reach(&format!("({many} context.who).level > 1"));
        assert!(many.unbounded && many.reads_entity(&path("level")));
        assert!(many.reads_context(&path("who.level")) && many.reads_context(&path("c499")));
    }

    #[test]
    fn the_work_is_in_proportion_to_the_text() {
        let ifs = "if true then principal else ".repeat(60);
        let condition = format!("({ifs}principal){} > 1", ".a".repeat(3_000));
        let nodes = |node: &Node| {
            let (mut count, mut waiting) = (0, vec![node]);
            while let Some(node) = waiting.pop() {
                count += 1;
                waiting.extend(node.attributes.values());
            }
            count
        };
        let reach = crate::policy::bounds::on_deep_stack(|| reach(&condition)).unwrap();
        assert!(nodes(&reach.principal) + nodes(&reach.elsewhere) <= 2 * (STEPS + 2));
    }

    #[test]
    fn membership_looks_the_left_side_up() {
        let reach = reach("resource.owner in Team::\"a\"");
        assert!(reach.resource.attributes["owner"].entity);
        assert!(!reach.unbounded);
    }
}
