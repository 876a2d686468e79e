//! A plan for people, and for programs.

use std::fmt::Write;

use serde_json::{Value, json};

use super::plan::{Migration, Plan, Step};
use crate::wire::meta;

/// How often each thing is planned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) create: usize,
    pub(super) hand_over: usize,
    pub(super) keep: usize,
    /// Accounts.
    pub(super) refused: usize,
}

impl Plan {
    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for migration in &self.accounts {
            summary.refused += usize::from(!migration.problems.is_empty());
            for step in &migration.steps {
                match step {
                    Step::Create(_) => summary.create += 1,
                    Step::HandOver { .. } => summary.hand_over += 1,
                    Step::Keep(_) => summary.keep += 1,
                }
            }
        }
        summary
    }

    /// A table, one line a step, what is refused with the reasons, and a sentence.
    pub(super) fn table(&self) -> String {
        let mut rows = vec![["ACCOUNT", "ACTION", "KIND", "NAMESPACE", "NAME"].map(str::to_owned)];
        let mut remarks = String::new();
        for migration in &self.accounts {
            let account = &migration.account;
            for step in &migration.steps {
                let (kind, namespace, name) = step.object();
                let cells = [account, step.action(), kind, namespace, name];
                rows.push(cells.map(|cell| {
                    if cell.is_empty() {
                        "-".to_owned()
                    } else {
                        cell.to_owned()
                    }
                }));
            }
            for problem in &migration.problems {
                rows.push([account, "refuse", "Account", "-", account].map(str::to_owned));
                writeln!(remarks, "account {account} is refused: {problem}").expect("a string takes all text");
            }
            for note in &migration.notes {
                writeln!(remarks, "account {account}: note: {note}").expect("a string takes all text");
            }
        }
        rows.dedup();
        let mut out = aligned(&rows);
        out.push_str(&remarks);
        let Summary {
            create,
            hand_over,
            keep,
            refused,
        } = self.summary();
        writeln!(
            out,
            "{create} to create, {hand_over} to hand over, {keep} there already, {refused} accounts refused"
        )
        .expect("a string takes all text");
        out
    }

    /// All of it.
    pub(super) fn json(&self) -> Value {
        let Summary {
            create,
            hand_over,
            keep,
            refused,
        } = self.summary();
        json!({
            "accounts": self.accounts.iter().map(Migration::json).collect::<Vec<_>>(),
            "summary": {"create": create, "handOver": hand_over, "keep": keep, "refused": refused},
        })
    }
}

impl Migration {
    fn json(&self) -> Value {
        json!({
            "account": self.account,
            "organization": self.organization,
            "steps": self.steps.iter().map(Step::json).collect::<Vec<_>>(),
            "problems": self.problems,
            "notes": self.notes,
        })
    }
}

impl Step {
    /// What it does, in a word.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Step::Create(_) => "create",
            Step::HandOver { .. } => "hand-over",
            Step::Keep(_) => "keep",
        }
    }

    /// Kind, namespace (empty for what is in none) and name of what it is about.
    pub(super) fn object(&self) -> (&str, &str, &str) {
        match self {
            Step::Create(object) | Step::Keep(object) => {
                (meta::kind(object), meta::namespace(object), meta::name(object))
            }
            Step::HandOver { name, .. } => ("Namespace", "", name),
        }
    }

    fn json(&self) -> Value {
        let (kind, namespace, name) = self.object();
        let mut step = json!({"action": self.action(), "kind": kind, "name": name});
        if !namespace.is_empty() {
            step["namespace"] = json!(namespace);
        }
        if let Step::Create(object) = self {
            step["object"] = object.clone();
        }
        step
    }
}

/// Columns three spaces apart, as kubectl has them.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or_default());
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            write!(line, "{cell:<width$}   ").expect("a string takes all text");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
