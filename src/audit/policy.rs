//! How much is recorded of which request: `audit.k8s.io/v1` Policy (k8s.io/apiserver pkg/audit/policy).

mod read;
mod rule;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::event::{Level, Stage};
use crate::wire::user::UserInfo;

use rule::Rule;

/// What is recorded where no file says otherwise; `bulward audit-policy` prints it.
pub const DEFAULT: &str = include_str!("policy/default.yaml");

/// Why a policy cannot be used; one line that names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// Rules in order: the first that matches a request decides.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
}

/// A request, as rules look at it; all strings are empty where they do not apply.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// Who asks; nobody where that could not be told.
    pub user: Option<&'a UserInfo>,
    /// As RBAC names it; for other paths the method in lower case.
    pub verb: &'a str,
    /// Whether it is about a resource.
    pub is_resource: bool,
    /// The path.
    pub path: &'a str,
    /// The API group.
    pub group: &'a str,
    /// The plural resource.
    pub resource: &'a str,
    /// For example `status`.
    pub subresource: &'a str,
    /// The namespace.
    pub namespace: &'a str,
    /// The object's name.
    pub name: &'a str,
}

/// What a policy says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How much is recorded.
    pub level: Level,
    /// Whether managedFields are left out of objects.
    pub omit_managed_fields: bool,
    omitted: Stages,
}

/// A set of stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stages(u8);

impl Stages {
    fn with(self, stage: Stage) -> Self {
        Self(self.0 | 1 << stage as u8)
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn contains(self, stage: Stage) -> bool {
        self.0 & 1 << stage as u8 != 0
    }
}

impl Verdict {
    /// Whether no event is made of a stage.
    pub fn omits(&self, stage: Stage) -> bool {
        self.omitted.contains(stage)
    }
}

impl Policy {
    /// Reads a policy from YAML or JSON.
    ///
    /// # Errors
    /// What is wrong, by field. Unknown fields are wrong, too: a rule that nobody reads records nothing.
    pub fn parse(text: &str) -> Result<Self, Error> {
        read::policy(text).map_err(Error)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Policy::parse`], or the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| Error(error.to_string()))?;
        Self::parse(&text)
    }

    /// What [`DEFAULT`] says.
    pub fn standard() -> Self {
        Self::parse(DEFAULT).expect("our own policy is one, as a test holds")
    }

    /// What is to be recorded of a request; nothing where no rule matches.
    pub fn evaluate(&self, request: &Request<'_>) -> Verdict {
        let first = self.rules.iter().find(|rule| rule.matches(request));
        first.map_or(
            Verdict {
                level: Level::None,
                omit_managed_fields: false,
                omitted: Stages::default(),
            },
            |rule| rule.verdict,
        )
    }
}
