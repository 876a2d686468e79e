//! From the parser's tree to the one that is evaluated.

use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::authorizer::REQUEST_RESOURCE;
use super::node::{Call, Comprehension, Entry, Index, Node, Operator, Over, Pairs, Select};

/// Names that open functions with a dot in their name (`math.greatest`).
const NAMESPACES: [&str; 9] = [
    "base64",
    "format",
    "ip",
    "jsonpatch",
    "lists",
    "math",
    "optional",
    "sets",
    "strings",
];

pub(super) fn lower(expression: IdedExpr) -> Node {
    match expression.expr {
        Expr::Literal(value) => Node::Literal(literal(value)),
        Expr::Ident(name) => Node::Name(name.trim_start_matches('.').to_owned()),
        Expr::Select(select) => match *select.operand {
            IdedExpr {
                expr: Expr::Ident(name),
                ..
            } if name == "variables" && !select.test => Node::Variable(select.field),
            IdedExpr {
                expr: Expr::Ident(name),
                ..
            } if name == "authorizer" && select.field == "requestResource" => Node::Name(REQUEST_RESOURCE.to_owned()),
            operand => Node::Select(Box::new(Select {
                operand: lower(operand),
                field: Arc::new(select.field),
                test: select.test,
                optional: false,
            })),
        },
        Expr::List(list) => {
            let optional = list.optional_indices;
            let items = list.elements.into_iter().enumerate();
            Node::List(items.map(|(at, item)| (lower(item), optional.contains(&at))).collect())
        }
        Expr::Map(map) => {
            let entries = map.entries.into_iter().map(|entry| match entry.expr {
                EntryExpr::MapEntry(entry) => Ok(Entry {
                    key: lower(entry.key),
                    value: lower(entry.value),
                    optional: entry.optional,
                }),
                EntryExpr::StructField(field) => Err(Node::Unsupported(field.field)),
            });
            entries.collect::<Result<_, _>>().map_or_else(|node| node, Node::Map)
        }
        Expr::Comprehension(comprehension) => self::comprehension(*comprehension),
        Expr::Call(call) => self::call(call),
        Expr::Struct(of) => Node::Unsupported(of.type_name),
        Expr::Unspecified => Node::Unsupported(String::new()),
    }
}

fn literal(value: LiteralValue) -> Value {
    match value {
        LiteralValue::Boolean(value) => Value::Bool(value.into_inner()),
        LiteralValue::Bytes(value) => Value::Bytes(Arc::new(value.into_inner())),
        LiteralValue::Double(value) => Value::Float(value.into_inner()),
        LiteralValue::Int(value) => Value::Int(value.into_inner()),
        LiteralValue::Null => Value::Null,
        LiteralValue::String(value) => Value::String(Arc::new(value.into_inner())),
        LiteralValue::UInt(value) => Value::UInt(value.into_inner()),
    }
}

fn comprehension(of: ComprehensionExpr) -> Node {
    let condition = match lower(of.loop_cond) {
        Node::Literal(Value::Bool(true)) => None,
        condition => Some(condition),
    };
    Node::Comprehension(Box::new(Comprehension {
        range: lower(of.iter_range),
        variable: of.iter_var,
        accumulator: of.accu_var,
        init: lower(of.accu_init),
        condition,
        step: lower(of.loop_step),
        result: lower(of.result),
    }))
}

fn call(call: CallExpr) -> Node {
    let name = call.func_name.as_str();
    match (call.target, call.args) {
        (None, arguments) => match <[IdedExpr; 3]>::try_from(arguments) {
            Ok(three) if name == operators::CONDITIONAL => Node::Conditional(Box::new(three.map(lower))),
            Ok(three) => plain(name.to_owned(), None, three.into()),
            Err(arguments) => match <[IdedExpr; 2]>::try_from(arguments) {
                Ok(two) => binary(name, two),
                Err(arguments) => match <[IdedExpr; 1]>::try_from(arguments) {
                    Ok([one]) => unary(name, one),
                    Err(arguments) => plain(name.to_owned(), None, arguments),
                },
            },
        },
        (Some(target), arguments) => match &target.expr {
            Expr::Ident(space) if space == "cel" && name == "bind" && arguments.len() == 3 => bind(arguments),
            Expr::Ident(space) if NAMESPACES.contains(&space.as_str()) => {
                plain(format!("{space}.{name}"), None, arguments)
            }
            _ => method(name, *target, arguments),
        },
    }
}

fn unary(name: &str, operand: IdedExpr) -> Node {
    match name {
        operators::LOGICAL_NOT => Node::Not(Box::new(lower(operand))),
        operators::NEGATE => Node::Negate(Box::new(lower(operand))),
        operators::NOT_STRICTLY_FALSE => Node::NotStrictlyFalse(Box::new(lower(operand))),
        _ => plain(name.to_owned(), None, vec![operand]),
    }
}

fn binary(name: &str, operands: [IdedExpr; 2]) -> Node {
    let operator = match name {
        operators::ADD => {
            if let [
                IdedExpr {
                    expr: Expr::Ident(left),
                    ..
                },
                IdedExpr {
                    expr: Expr::List(right),
                    ..
                },
            ] = &operands
                && left == "@result"
                && right.elements.len() == 1
                && right.optional_indices.is_empty()
            {
                let [_, right] = operands.map(lower);
                return match right {
                    Node::List(mut items) => Node::Append(Box::new(items.remove(0).0)),
                    other => other,
                };
            }
            Operator::Add
        }
        operators::SUBSTRACT => Operator::Subtract,
        operators::MULTIPLY => Operator::Multiply,
        operators::DIVIDE => Operator::Divide,
        operators::MODULO => Operator::Modulo,
        operators::EQUALS => Operator::Equal,
        operators::NOT_EQUALS => Operator::NotEqual,
        operators::LESS => Operator::Less,
        operators::LESS_EQUALS => Operator::LessOrEqual,
        operators::GREATER => Operator::Greater,
        operators::GREATER_EQUALS => Operator::GreaterOrEqual,
        operators::IN => Operator::In,
        operators::LOGICAL_AND => return Node::And(Box::new(operands.map(lower))),
        operators::LOGICAL_OR => return Node::Or(Box::new(operands.map(lower))),
        operators::INDEX | operators::OPT_INDEX => {
            let [operand, index] = operands.map(lower);
            let optional = name == operators::OPT_INDEX;
            return Node::Index(Box::new(Index {
                operand,
                index,
                optional,
            }));
        }
        operators::OPT_SELECT => {
            let [operand, field] = operands.map(lower);
            let Node::Literal(Value::String(field)) = field else {
                return Node::Unsupported(name.to_owned());
            };
            return Node::Select(Box::new(Select {
                operand,
                field,
                test: false,
                optional: true,
            }));
        }
        _ => return plain(name.to_owned(), None, operands.into()),
    };
    Node::Binary(operator, Box::new(operands.map(lower)))
}

fn bind(mut arguments: Vec<IdedExpr>) -> Node {
    let rest = arguments.split_off(1);
    let name = arguments.pop().and_then(simple);
    match (name, <[IdedExpr; 2]>::try_from(rest)) {
        (Some(name), Ok(rest)) => Node::Bind(name, Box::new(rest.map(lower))),
        _ => Node::Unsupported("cel.bind".to_owned()),
    }
}

fn simple(expression: IdedExpr) -> Option<String> {
    match expression.expr {
        Expr::Ident(name) => Some(name),
        _ => None,
    }
}

fn method(name: &str, target: IdedExpr, mut arguments: Vec<IdedExpr>) -> Node {
    let over = match (name, arguments.len()) {
        ("all", 3) => Over::All,
        ("exists", 3) => Over::Exists,
        ("existsOne" | "exists_one", 3) => Over::ExistsOne,
        ("transformList", 3 | 4) => Over::TransformList,
        ("transformMap", 3 | 4) => Over::TransformMap,
        ("transformMapEntry", 3 | 4) => Over::TransformMapEntry,
        ("optMap" | "optFlatMap", 2) => {
            let flat = name == "optFlatMap";
            let body = arguments.pop();
            let variable = arguments.pop().and_then(simple);
            return match (variable, body) {
                (Some(variable), Some(body)) => {
                    Node::OptionalMap(variable, Box::new([lower(target), lower(body)]), flat)
                }
                _ => Node::Unsupported(name.to_owned()),
            };
        }
        _ => return plain(name.to_owned(), Some(target), arguments),
    };
    let mut arguments = arguments.into_iter();
    let first = arguments.next().and_then(simple);
    let second = arguments.next().and_then(simple);
    let mut rest: Vec<Node> = arguments.map(lower).collect();
    match (first, second, rest.pop()) {
        (Some(first), Some(second), Some(body)) => Node::Pairs(Box::new(Pairs {
            over,
            range: lower(target),
            names: [first, second],
            filter: rest.pop(),
            body,
        })),
        _ => Node::Unsupported(name.to_owned()),
    }
}

fn plain(name: String, target: Option<IdedExpr>, arguments: Vec<IdedExpr>) -> Node {
    let named = |expr| IdedExpr { id: 0, expr };
    let template = named(Expr::Call(CallExpr {
        func_name: name.clone(),
        target: target.as_ref().map(|_| Box::new(named(Expr::Ident(TARGET.to_owned())))),
        args: (0..arguments.len())
            .map(|at| named(Expr::Ident(argument(at))))
            .collect(),
    }));
    Node::Call(Box::new(Call {
        name,
        target: target.map(lower),
        arguments: arguments.into_iter().map(lower).collect(),
        template,
    }))
}

/// The names in a call's template; no expression can spell them.
pub(super) const TARGET: &str = "@target";

pub(super) fn argument(at: usize) -> String {
    format!("@{at}")
}
