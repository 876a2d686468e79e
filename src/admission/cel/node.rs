//! An expression as it is evaluated.

use std::sync::Arc;

use kube::core::cel::cel::Value;

use super::library::Library;

/// One step.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Value),
    /// A name of a macro around, an input, or a type.
    Name(String),
    /// `variables.name`
    Variable(String),
    Select(Box<Select>),
    Index(Box<Index>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    Not(Box<Node>),
    Negate(Box<Node>),
    NotStrictlyFalse(Box<Node>),
    Conditional(Box<[Node; 3]>),
    Binary(Operator, Box<[Node; 2]>),
    List(Vec<(Node, bool)>),
    Map(Vec<Entry>),
    Comprehension(Box<Comprehension>),
    /// `@result + [item]` of a macro: in place, where a sum would copy the list.
    Append(Box<Node>),
    Pairs(Box<Pairs>),
    /// `cel.bind(name, value, body)`
    Bind(String, Box<[Node; 2]>),
    /// `target.optMap(name, body)`; `true`: `optFlatMap`.
    OptionalMap(String, Box<[Node; 2]>, bool),
    Call(Box<Call>),
    /// `list.sortBy(name, key)`
    SortBy(String, Box<[Node; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
}

#[derive(Debug)]
pub(super) struct Select {
    pub(super) operand: Node,
    pub(super) field: Arc<String>,
    /// `has(operand.field)`
    pub(super) test: bool,
    /// `operand.?field`
    pub(super) optional: bool,
}

#[derive(Debug)]
pub(super) struct Index {
    pub(super) operand: Node,
    pub(super) index: Node,
    /// `operand[?index]`
    pub(super) optional: bool,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) value: Node,
    pub(super) optional: bool,
}

#[derive(Debug)]
pub(super) struct Comprehension {
    pub(super) range: Node,
    pub(super) variable: String,
    pub(super) accumulator: String,
    pub(super) init: Node,
    /// `None`: always true.
    pub(super) condition: Option<Node>,
    pub(super) step: Node,
    pub(super) result: Node,
}

/// A macro over keys (or indices) and values.
#[derive(Debug)]
pub(super) struct Pairs {
    pub(super) over: Over,
    pub(super) range: Node,
    pub(super) names: [String; 2],
    pub(super) filter: Option<Node>,
    pub(super) body: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    All,
    Exists,
    ExistsOne,
    TransformList,
    TransformMap,
    TransformMapEntry,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    /// What it is called on comes first.
    pub(super) arguments: Vec<Node>,
    pub(super) libraries: Vec<Library>,
}
