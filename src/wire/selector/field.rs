//! Field selectors (k8s.io/apimachinery pkg/fields/selector.go).

use std::fmt;

/// A conjunction of terms; the empty one selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

/// `field=value` or `field!=value`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldTerm {
    /// The field, for example `metadata.name`.
    pub field: String,
    /// Whether the field must equal the value, or must not.
    pub equal: bool,
    /// The value; an absent field counts as the empty one.
    pub value: String,
}

impl FieldSelector {
    /// Parses `text`; the empty text selects everything.
    ///
    /// # Errors
    /// The text of Kubernetes' error, for a 400.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, equal, value)) = split_term(part) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            terms.push(FieldTerm {
                field: field.to_owned(),
                equal,
                value: unescape(value)?,
            });
        }
        terms.sort_by_cached_key(ToString::to_string);
        Ok(Self { terms })
    }

    /// The selector of one object by its name.
    pub fn by_name(name: &str) -> Self {
        let term = FieldTerm {
            field: "metadata.name".to_owned(),
            equal: true,
            value: name.to_owned(),
        };
        Self { terms: vec![term] }
    }

    /// Whether everything is selected.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in canonical order.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }

    /// The first field that `allowed` does not know.
    pub fn unknown(&self, allowed: impl Fn(&str) -> bool) -> Option<&str> {
        let unknown = self.terms.iter().find(|term| !allowed(&term.field));
        unknown.map(|term| term.field.as_str())
    }

    /// Whether an object is selected whose fields `lookup` gives.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        let holds = |term: &FieldTerm| (lookup(&term.field).unwrap_or_default() == term.value) == term.equal;
        self.terms.iter().all(holds)
    }

    /// The value that `field` must have, if the selector demands a single one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.equal && term.field == field)?;
        Some(&term.value)
    }

    /// The name that the selector demands, if it does.
    pub fn exact_name(&self) -> Option<&str> {
        self.exact("metadata.name")
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, term) in self.terms.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            term.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.equal { "=" } else { "!=" };
        write!(f, "{}{operator}{}", self.field, escape(&self.value))
    }
}

/// Splits at commas that no backslash precedes; escapes stay as they are.
fn split_terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

/// Splits at the first operator; there are no escapes on the left side.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let equals = term.find('=')?;
    // an operator's first character decides where it starts: "a!=b" at the exclamation mark, "a==b" at the first sign
    if let Some(field) = term[..equals].strip_suffix('!') {
        return Some((field, false, &term[equals + 1..]));
    }
    let value = &term[equals + 1..];
    Some((&term[..equals], true, value.strip_prefix('=').unwrap_or(value)))
}

fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if matches!(c, '\\' | ',' | '=') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn unescape(value: &str) -> Result<String, String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let sequence = other.map_or_else(|| "\\".to_owned(), |c| format!("\\{c}"));
                    return Err(format!("invalid field selector: invalid escape sequence: {sequence}"));
                }
            },
            ',' | '=' => {
                // the original prints the character's number
                let number = u32::from(c);
                return Err(format!(
                    "invalid field selector: unescaped character in value: {number}"
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}
