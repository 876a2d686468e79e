//! From the parser's tree to the one that is evaluated. What cannot be evaluated here is told now: the expression does not
//! compile.

use std::sync::Arc;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::authorizer::{self, REQUEST_RESOURCE};
use super::library;
use super::node::{Call, Comprehension, Entry, Index, Node, Operator, Over, Pairs, Select};
use super::value::type_named;

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

type Lowered = Result<Node, String>;

pub(super) fn lower(expression: IdedExpr) -> Lowered {
    Ok(match expression.expr {
        Expr::Literal(value) => Node::Literal(literal(value)),
        Expr::Ident(name) => Node::Name(name.trim_start_matches('.').to_owned()),
        Expr::Select(select) => {
            if let Some(name) = qualified(&select.operand.expr) {
                let whole = format!("{name}.{}", select.field);
                if name == "variables" {
                    // One that is declared is there, without a look at its value.
                    return Ok(match select.test {
                        true => Node::Literal(Value::Bool(true)),
                        false => Node::Variable(select.field),
                    });
                }
                if !select.test && (whole == REQUEST_RESOURCE || type_named(&whole).is_some()) {
                    return Ok(Node::Name(whole));
                }
            }
            Node::Select(Box::new(Select {
                operand: lower(*select.operand)?,
                field: Arc::new(select.field),
                test: select.test,
                optional: false,
            }))
        }
        Expr::List(list) => {
            let optional = list.optional_indices;
            let items = list.elements.into_iter().enumerate();
            let items = items.map(|(at, item)| Ok((lower(item)?, optional.contains(&at))));
            Node::List(items.collect::<Result<_, String>>()?)
        }
        Expr::Map(map) => {
            let entries = map.entries.into_iter().map(|entry| match entry.expr {
                EntryExpr::MapEntry(entry) => Ok(Entry {
                    key: lower(entry.key)?,
                    value: lower(entry.value)?,
                    optional: entry.optional,
                }),
                EntryExpr::StructField(field) => Err(unsupported(&field.field)),
            });
            Node::Map(entries.collect::<Result<_, _>>()?)
        }
        Expr::Comprehension(comprehension) => self::comprehension(*comprehension)?,
        Expr::Call(call) => self::call(call)?,
        Expr::Struct(of) => return Err(unsupported(&of.type_name)),
        Expr::Unspecified => return Err(unsupported("an empty expression")),
    })
}

fn unsupported(what: &str) -> String {
    format!("not supported by this server: {what}")
}

/// `a.b.c`, if it is nothing but names.
fn qualified(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) if !select.test => Some(format!("{}.{}", qualified(&select.operand.expr)?, select.field)),
        _ => None,
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

fn comprehension(of: ComprehensionExpr) -> Lowered {
    let condition = match lower(of.loop_cond)? {
        Node::Literal(Value::Bool(true)) => None,
        condition => Some(condition),
    };
    Ok(Node::Comprehension(Box::new(Comprehension {
        range: lower(of.iter_range)?,
        variable: of.iter_var,
        accumulator: of.accu_var,
        init: lower(of.accu_init)?,
        condition,
        step: lower(of.loop_step)?,
        result: lower(of.result)?,
    })))
}

fn call(call: CallExpr) -> Lowered {
    let name = call.func_name.as_str();
    match (call.target, call.args) {
        (None, arguments) => match <[IdedExpr; 3]>::try_from(arguments) {
            Ok(three) if name == operators::CONDITIONAL => {
                let [condition, yes, no] = three;
                Ok(Node::Conditional(Box::new([
                    lower(condition)?,
                    lower(yes)?,
                    lower(no)?,
                ])))
            }
            Ok(three) => plain(name, three),
            Err(arguments) => match <[IdedExpr; 2]>::try_from(arguments) {
                Ok(two) => binary(name, two),
                Err(arguments) => match <[IdedExpr; 1]>::try_from(arguments) {
                    Ok([one]) => unary(name, one),
                    Err(arguments) => plain(name, arguments),
                },
            },
        },
        (Some(target), arguments) => match &target.expr {
            Expr::Ident(space) if space == "cel" && name == "bind" && arguments.len() == 3 => bind(arguments),
            Expr::Ident(space) if NAMESPACES.contains(&space.as_str()) => plain(&format!("{space}.{name}"), arguments),
            _ => method(name, *target, arguments),
        },
    }
}

fn unary(name: &str, operand: IdedExpr) -> Lowered {
    Ok(match name {
        operators::LOGICAL_NOT => Node::Not(Box::new(lower(operand)?)),
        operators::NEGATE => Node::Negate(Box::new(lower(operand)?)),
        operators::NOT_STRICTLY_FALSE => Node::NotStrictlyFalse(Box::new(lower(operand)?)),
        _ => return plain(name, [operand]),
    })
}

fn two([first, second]: [IdedExpr; 2]) -> Result<Box<[Node; 2]>, String> {
    Ok(Box::new([lower(first)?, lower(second)?]))
}

fn binary(name: &str, operands: [IdedExpr; 2]) -> Lowered {
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
                let [_, right] = operands;
                return Ok(match lower(right)? {
                    Node::List(mut items) => Node::Append(Box::new(items.remove(0).0)),
                    other => other,
                });
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
        operators::LOGICAL_AND => return Ok(Node::And(two(operands)?)),
        operators::LOGICAL_OR => return Ok(Node::Or(two(operands)?)),
        operators::INDEX | operators::OPT_INDEX => {
            let [operand, index] = *two(operands)?;
            let optional = name == operators::OPT_INDEX;
            return Ok(Node::Index(Box::new(Index {
                operand,
                index,
                optional,
            })));
        }
        operators::OPT_SELECT => {
            let [operand, field] = *two(operands)?;
            let Node::Literal(Value::String(field)) = field else {
                return Err(unsupported(name));
            };
            return Ok(Node::Select(Box::new(Select {
                operand,
                field,
                test: false,
                optional: true,
            })));
        }
        _ => return plain(name, operands),
    };
    Ok(Node::Binary(operator, two(operands)?))
}

fn bind(mut arguments: Vec<IdedExpr>) -> Lowered {
    let rest = arguments.split_off(1);
    let name = arguments.pop().and_then(simple);
    match (name, <[IdedExpr; 2]>::try_from(rest)) {
        (Some(name), Ok(rest)) => Ok(Node::Bind(name, two(rest)?)),
        _ => Err(unsupported("cel.bind")),
    }
}

fn simple(expression: IdedExpr) -> Option<String> {
    match expression.expr {
        Expr::Ident(name) => Some(name),
        _ => None,
    }
}

fn method(name: &str, target: IdedExpr, mut arguments: Vec<IdedExpr>) -> Lowered {
    let over = match (name, arguments.len()) {
        ("all", 3) => Over::All,
        ("exists", 3) => Over::Exists,
        ("existsOne" | "exists_one", 3) => Over::ExistsOne,
        ("transformList", 3 | 4) => Over::TransformList,
        ("transformMap", 3 | 4) => Over::TransformMap,
        ("transformMapEntry", 3 | 4) => Over::TransformMapEntry,
        ("optMap" | "optFlatMap" | "sortBy", 2) => {
            let body = arguments.pop();
            let variable = arguments.pop().and_then(simple);
            let (Some(variable), Some(body)) = (variable, body) else {
                return Err(unsupported(name));
            };
            let parts = two([target, body])?;
            return Ok(match name {
                "sortBy" => Node::SortBy(variable, parts),
                name => Node::OptionalMap(variable, parts, name == "optFlatMap"),
            });
        }
        _ => return plain(name, std::iter::once(target).chain(arguments)),
    };
    let mut arguments = arguments.into_iter();
    let first = arguments.next().and_then(simple);
    let second = arguments.next().and_then(simple);
    let mut rest = arguments.map(lower).collect::<Result<Vec<Node>, _>>()?;
    match (first, second, rest.pop()) {
        (Some(first), Some(second), Some(body)) => Ok(Node::Pairs(Box::new(Pairs {
            over,
            range: lower(target)?,
            names: [first, second],
            filter: rest.pop(),
            body,
        }))),
        _ => Err(unsupported(name)),
    }
}

fn plain(name: &str, arguments: impl IntoIterator<Item = IdedExpr>) -> Lowered {
    let libraries = library::of(name);
    if libraries.is_empty() && !authorizer::METHODS.contains(&name) {
        return Err(unsupported(&format!("the function {name}")));
    }
    let arguments = arguments.into_iter().map(lower).collect::<Result<_, _>>()?;
    Ok(Node::Call(Box::new(Call {
        name: name.to_owned(),
        arguments,
        libraries,
    })))
}
