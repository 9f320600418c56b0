//! A policy's condition, compiled once at load.
//!
//! Promises: what it says is what Cedar's evaluator says. It evaluates borrowed values, and allocates only for sets and
//! records that a policy makes of values of the request. Where it has nothing to say (an error, a type that does not fit, too
//! many entities), it gives way: Cedar's own evaluator judges that policy, and its message is the error's. Must never:
//! guess.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy_core::ast::{
    BinaryOp, EntityType, Expr, ExprKind, PartialValue, Pattern, UnaryOp, Value, Var,
};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;

use crate::entity::interned::Interner;

mod pool;
mod run;

pub use pool::Pool;
pub use run::{GivesWay, Subjects, is_within};

/// A condition, compiled.
#[derive(Debug)]
pub struct Compiled(Node);

/// One step. What is made of constants alone is a constant.
#[derive(Debug)]
enum Node {
    Constant(Value),
    Var(Var),
    If(Box<[Node; 3]>),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Negative(Box<Node>),
    IsEmpty(Box<Node>),
    Binary(BinaryOp, Box<[Node; 2]>),
    Attribute(Box<Node>, SmolStr),
    HasAttribute(Box<Node>, SmolStr),
    /// `x has a.b.c`.
    HasPath(Box<Node>, Box<[SmolStr]>),
    Like(Box<Node>, Pattern),
    Is(Box<Node>, EntityType),
    Set(Box<[Node]>),
    Record(Box<[(SmolStr, Node)]>),
    Call(Box<Call>),
}

/// A call of an extension's function, found already.
#[derive(Debug)]
struct Call {
    name: cedar_policy_core::ast::Name,
    arguments: Box<[Node]>,
}

/// Deeper ones are left to Cedar, which watches its stack.
const DEEPEST: usize = 128;

impl Compiled {
    /// Compiles a condition; none when that can't be done.
    pub fn of(condition: &Expr, interner: &mut Interner) -> Option<Self> {
        compile(condition, 0, interner).map(Self)
    }
}

fn compile(expr: &Expr, depth: usize, interner: &mut Interner) -> Option<Node> {
    if depth > DEEPEST {
        return None;
    }
    let mut below = |expr: &Expr| compile(expr, depth + 1, interner);
    Some(match expr.expr_kind() {
        ExprKind::Lit(literal) => Node::Constant(Value::from(interner.literal(literal))),
        ExprKind::Var(var) => Node::Var(*var),
        ExprKind::If { test_expr, then_expr, else_expr } => {
            Node::If(Box::new([below(test_expr)?, below(then_expr)?, below(else_expr)?]))
        }
        ExprKind::And { .. } => Node::And(chain(expr, &mut below, &|expr| match expr.expr_kind() {
            ExprKind::And { left, right } => Some((left, right)),
            _ => None,
        })?),
        ExprKind::Or { .. } => Node::Or(chain(expr, &mut below, &|expr| match expr.expr_kind() {
            ExprKind::Or { left, right } => Some((left, right)),
            _ => None,
        })?),
        ExprKind::UnaryApp { op: UnaryOp::Not, arg } => Node::Not(Box::new(below(arg)?)),
        ExprKind::UnaryApp { op: UnaryOp::Neg, arg } => Node::Negative(Box::new(below(arg)?)),
        ExprKind::UnaryApp { op: UnaryOp::IsEmpty, arg } => Node::IsEmpty(Box::new(below(arg)?)),
        ExprKind::BinaryApp { op, arg1, arg2 } => Node::Binary(*op, Box::new([below(arg1)?, below(arg2)?])),
        ExprKind::GetAttr { expr, attr } => Node::Attribute(Box::new(below(expr)?), attr.clone()),
        ExprKind::HasAttr { expr, attr } => Node::HasAttribute(Box::new(below(expr)?), attr.clone()),
        ExprKind::ExtHasAttr { expr, attrs } => {
            Node::HasPath(Box::new(below(expr)?), attrs.iter().cloned().collect())
        }
        ExprKind::Like { expr, pattern } => Node::Like(Box::new(below(expr)?), pattern.clone()),
        ExprKind::Is { expr, entity_type } => Node::Is(Box::new(below(expr)?), entity_type.clone()),
        ExprKind::Set(items) => set(all(items, below)?),
        ExprKind::Record(members) => record(members, below)?,
        ExprKind::ExtensionFunctionApp { fn_name, args } => call(fn_name, all(args, below)?),
        // Slots are not loaded, and nothing else is in a policy that was parsed.
        _ => return None,
    })
}

fn all(exprs: &[Expr], compile: impl FnMut(&Expr) -> Option<Node>) -> Option<Vec<Node>> {
    exprs.iter().map(compile).collect()
}

/// `a && b && c` in one row, however it was nested to the left.
fn chain<'e>(
    expr: &'e Expr,
    compile: &mut dyn FnMut(&Expr) -> Option<Node>,
    split: &dyn Fn(&'e Expr) -> Option<(&'e Arc<Expr>, &'e Arc<Expr>)>,
) -> Option<Box<[Node]>> {
    let mut reversed = Vec::new();
    let mut left = expr;
    while let Some((further, right)) = split(left) {
        reversed.push(compile(right)?);
        left = further;
    }
    reversed.push(compile(left)?);
    reversed.reverse();
    Some(reversed.into())
}

fn constant(node: &Node) -> Option<&Value> {
    if let Node::Constant(value) = node { Some(value) } else { None }
}

fn set(items: Vec<Node>) -> Node {
    match items.iter().map(|item| constant(item).cloned()).collect::<Option<Vec<_>>>() {
        Some(values) => Node::Constant(Value::set(values, None)),
        None => Node::Set(items.into()),
    }
}

fn record(members: &BTreeMap<SmolStr, Expr>, mut compile: impl FnMut(&Expr) -> Option<Node>) -> Option<Node> {
    let nodes = members.iter().map(|(name, expr)| Some((name.clone(), compile(expr)?)));
    let nodes: Vec<_> = nodes.collect::<Option<_>>()?;
    let constants = nodes.iter().map(|(name, node)| Some((name.clone(), constant(node)?.clone())));
    Some(match constants.collect::<Option<Vec<_>>>() {
        Some(pairs) => Node::Constant(Value::record(pairs, None)),
        None => Node::Record(nodes.into()),
    })
}

/// A call with constants is made now. One that fails fails each time, and Cedar says how.
fn call(name: &cedar_policy_core::ast::Name, arguments: Vec<Node>) -> Node {
    let constants: Option<Vec<Value>> = arguments.iter().map(|node| constant(node).cloned()).collect();
    if let Some(Ok(value)) = constants.map(|values| called(name, &values)) {
        return Node::Constant(value);
    }
    Node::Call(Box::new(Call { name: name.clone(), arguments: arguments.into() }))
}

fn called(name: &cedar_policy_core::ast::Name, values: &[Value]) -> Result<Value, GivesWay> {
    let function = Extensions::all_available().func(name).map_err(|_| GivesWay)?;
    match function.call(values) {
        Ok(PartialValue::Value(value)) => Ok(value),
        _ => Err(GivesWay),
    }
}
