//! Label selectors, equality-based and set-based (k8s.io/apimachinery pkg/labels/selector.go).

use std::fmt;

use super::lexer::{Token, scan};
use crate::wire::quote::parse_int;
use crate::wire::validation::{FieldError, aggregate, names};

/// A conjunction of requirements, sorted by key; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How the values relate to the label.
    pub operator: Operator,
    /// Sorted, without duplicates; empty for [`Operator::Exists`] and [`Operator::DoesNotExist`].
    pub values: Vec<String>,
}

/// How a label relates to the values of a [`Requirement`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `key in (a,b)`.
    In,
    /// `key notin (a,b)`; also holds without the label.
    NotIn,
    /// `key=a`.
    Equals,
    /// `key==a`.
    DoubleEquals,
    /// `key!=a`; also holds without the label.
    NotEquals,
    /// `key`.
    Exists,
    /// `!key`.
    DoesNotExist,
    /// `key>1`.
    GreaterThan,
    /// `key<1`.
    LessThan,
}

impl LabelSelector {
    /// Parses `text`; the empty text selects everything.
    ///
    /// # Errors
    /// The text of Kubernetes' error, for a 400.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser {
            tokens: scan(text),
            position: 0,
        };
        let mut requirements = parser.selector()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// As objects spell it: labels, and expressions of a key, an operator and values
    /// (k8s.io/apimachinery pkg/apis/meta/v1/helpers.go `LabelSelectorAsSelector`).
    ///
    /// # Errors
    /// What makes no sense.
    pub fn of<'a>(
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        expressions: impl Iterator<Item = (&'a str, &'a str, Vec<String>)>,
    ) -> Result<Self, String> {
        let labels = labels.map(|(key, value)| Requirement::new(key, Operator::Equals, vec![value.to_owned()]));
        let expressions = expressions.map(|(key, operator, values)| {
            let operator = match operator {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                other => return Err(format!("\"{other}\" is not a valid label selector operator")),
            };
            Requirement::new(key, operator, values)
        });
        let mut requirements = labels.chain(expressions).collect::<Result<Vec<_>, _>>()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(Self { requirements })
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// The requirements, sorted by key.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether an object is selected whose labels `lookup` gives.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|one| one.matches(lookup(&one.key)))
    }
}

impl Requirement {
    /// Whether a label with this value, or its absence, satisfies the requirement.
    pub fn matches(&self, label: Option<&str>) -> bool {
        // They are sorted: a selector may name thousands, and is asked about every object.
        let listed = |value: &str| self.values.binary_search_by(|one| one.as_str().cmp(value)).is_ok();
        match self.operator {
            Operator::In | Operator::Equals | Operator::DoubleEquals => label.is_some_and(listed),
            Operator::NotIn | Operator::NotEquals => !label.is_some_and(listed),
            Operator::Exists => label.is_some(),
            Operator::DoesNotExist => label.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let label = label.and_then(|value| parse_int(value).ok());
                let bound = self.values.first().and_then(|value| parse_int(value).ok());
                match (label, bound) {
                    (Some(label), Some(bound)) if self.operator == Operator::GreaterThan => label > bound,
                    (Some(label), Some(bound)) => label < bound,
                    _ => false,
                }
            }
        }
    }

    fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Self, String> {
        values.sort();
        values.dedup();
        let mut errors = Vec::new();
        let wrong = names::qualified_name(key);
        if !wrong.is_empty() {
            errors.push(FieldError::invalid("key", key, &wrong.join("; ")));
        }
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            let bad = values.iter().enumerate().filter(|(_, value)| parse_int(value).is_err());
            let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
            errors.extend(bad.map(|(at, value)| FieldError::invalid(format!("values[{at}]"), value, detail)));
        }
        for (at, value) in values.iter().enumerate() {
            let wrong = names::label_value(value);
            if !wrong.is_empty() {
                let path = format!("values[{at}][{key}]");
                errors.push(FieldError::invalid(path, value, &wrong.join("; ")));
            }
        }
        if errors.is_empty() {
            let key = key.to_owned();
            Ok(Self { key, operator, values })
        } else {
            Err(aggregate(&errors))
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            requirement.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, values) = (&self.key, self.values.join(","));
        match self.operator {
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Equals => write!(f, "{key}={values}"),
            Operator::DoubleEquals => write!(f, "{key}=={values}"),
            Operator::NotEquals => write!(f, "{key}!={values}"),
            Operator::Exists => f.write_str(key),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

/// Recursive descent over the tokens; each method mirrors one of the original's.
struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    position: usize,
}

impl<'a> Parser<'a> {
    /// The current token, where `in` and `notin` are operators.
    fn operator_ahead(&self) -> (Token, &'a str) {
        self.tokens.get(self.position).copied().unwrap_or((Token::End, ""))
    }

    /// The current token, where `in` and `notin` are identifiers like any other.
    fn ahead(&self) -> (Token, &'a str) {
        match self.operator_ahead() {
            (Token::In | Token::NotIn, literal) => (Token::Identifier, literal),
            other => other,
        }
    }

    fn consume(&mut self) -> (Token, &'a str) {
        let token = self.ahead();
        self.position += 1;
        token
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.ahead() {
                (Token::Identifier | Token::Not, _) => {
                    let requirement = self.requirement();
                    requirements.push(requirement.map_err(|why| format!("unable to parse requirement: {why}"))?);
                    match self.consume() {
                        (Token::End, _) => return Ok(requirements),
                        (Token::Comma, _) => match self.ahead() {
                            (Token::Identifier | Token::Not, _) => {}
                            (_, literal) => return Err(format!("found '{literal}', expected: identifier after ','")),
                        },
                        (_, literal) => return Err(format!("found '{literal}', expected: ',' or 'end of string'")),
                    }
                }
                (Token::End, _) => return Ok(requirements),
                (_, literal) => {
                    return Err(format!(
                        "found '{literal}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut key) = self.consume();
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.consume();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let wrong = names::qualified_name(key);
        if !wrong.is_empty() {
            // the original has no path here, and says so
            return Err(FieldError::invalid("<nil>", key, &wrong.join("; ")).to_string());
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.ahead().0, Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let operator = self.operator()?;
        let values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, String> {
        let (token, literal) = self.operator_ahead();
        self.position += 1;
        Ok(match token {
            Token::In => Operator::In,
            Token::NotIn => Operator::NotIn,
            Token::Equals => Operator::Equals,
            Token::DoubleEquals => Operator::DoubleEquals,
            Token::NotEquals => Operator::NotEquals,
            Token::Greater => Operator::GreaterThan,
            Token::Less => Operator::LessThan,
            _ => return Err(format!("found '{literal}', expected: in, notin, =, ==, !=, gt, lt")),
        })
    }

    fn values(&mut self) -> Result<Vec<String>, String> {
        let (token, literal) = self.consume();
        if token != Token::OpenPar {
            return Err(format!("found '{literal}' expected: '('"));
        }
        match self.ahead() {
            (Token::Identifier | Token::Comma, _) => {
                let values = self.identifiers()?;
                self.position += 1;
                Ok(values)
            }
            (Token::ClosePar, _) => {
                self.position += 1;
                Ok(vec![String::new()])
            }
            (_, literal) => Err(format!("found '{literal}', expected: ',', ')' or identifier")),
        }
    }

    /// A list that may hold empty values, up to its closing parenthesis, which stays.
    fn identifiers(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        loop {
            match self.consume() {
                (Token::Identifier, literal) => {
                    values.push(literal.to_owned());
                    match self.ahead() {
                        (Token::Comma, _) => {}
                        (Token::ClosePar, _) => return Ok(values),
                        (_, literal) => return Err(format!("found '{literal}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    let next = self.ahead().0;
                    if values.is_empty() || matches!(next, Token::ClosePar | Token::Comma) {
                        values.push(String::new());
                    }
                    if next == Token::ClosePar {
                        return Ok(values);
                    }
                }
                (_, literal) => return Err(format!("found '{literal}', expected: ',', or identifier")),
            }
        }
    }

    fn exact_value(&mut self) -> Result<String, String> {
        if matches!(self.ahead().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.consume() {
            (Token::Identifier, literal) => Ok(literal.to_owned()),
            (_, literal) => Err(format!("found '{literal}', expected: identifier")),
        }
    }
}
