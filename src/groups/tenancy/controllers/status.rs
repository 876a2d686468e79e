//! What controllers say about an object: the condition Ready, and the phase derived from it (tenancy.md R6).

use super::super::organization::{Condition, NamespaceReference, Status};
use crate::wire::subject::Subject;

/// The one condition.
pub const READY: &str = "Ready";

/// Why an object is ready or not, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Everything is as it should be.
    SetupComplete,
    /// The object is being deleted.
    Deleting,
    /// Its Namespace is being deleted; it is made again afterwards.
    NamespaceTerminating,
    /// A Namespace of that name belongs to somebody else.
    NamespaceConflict,
    /// The cluster does not let the Namespace be made.
    NamespaceRefused,
    /// Of a Project: the namespace it lies in is not there or is going away.
    ParentUnavailable,
}

/// The condition Ready, without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub reason: Reason,
    /// Why, in a sentence.
    pub message: String,
}

/// What a controller found.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Ready or not, and why.
    pub verdict: Verdict,
    /// The Namespace that carries the object's uid, empty if none does.
    pub namespace: String,
    /// Everybody who sees the object beside its owners.
    pub members: Vec<Subject>,
    /// Those of them who are members by the object's own namespace.
    pub own_members: Vec<Subject>,
    /// The generation that was looked at.
    pub generation: i64,
}

impl Reason {
    /// As the condition carries it.
    pub fn text(self) -> &'static str {
        match self {
            Self::SetupComplete => "SetupComplete",
            Self::Deleting => "Deleting",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::NamespaceConflict => "NamespaceConflict",
            Self::NamespaceRefused => "NamespaceRefused",
            Self::ParentUnavailable => "ParentUnavailable",
        }
    }

    fn phase(self) -> &'static str {
        match self {
            Self::SetupComplete => "Ready",
            Self::Deleting => "Terminating",
            _ => "NotReady",
        }
    }
}

/// The condition Ready, if anybody has said anything.
pub fn ready(status: &Status) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.r#type == READY)
}

/// Whether the condition Ready is true.
pub fn is_ready(status: &Status) -> bool {
    ready(status).is_some_and(|condition| condition.status == "True")
}

/// The status that says so. Conditions of others stay, and so does the time if the condition's status does.
pub fn status(old: &Status, findings: Findings, now: &str) -> Status {
    let Findings {
        verdict: Verdict { reason, message },
        namespace,
        members,
        own_members,
        generation,
    } = findings;
    let ready = if reason == Reason::SetupComplete {
        "True"
    } else {
        "False"
    };
    let mut conditions = old.conditions.clone();
    let at = conditions.iter().position(|condition| condition.r#type == READY);
    let before = at
        .and_then(|at| conditions.get(at))
        .filter(|before| before.status == ready);
    let condition = Condition {
        r#type: READY.to_owned(),
        status: ready.to_owned(),
        last_transition_time: before.map_or_else(|| now.to_owned(), |before| before.last_transition_time.clone()),
        reason: reason.text().to_owned(),
        message,
    };
    match at.and_then(|at| conditions.get_mut(at)) {
        Some(place) => *place = condition,
        None => conditions.push(condition),
    }
    Status {
        own_members: Some(own_members).filter(|own| *own != members),
        members,
        namespace: NamespaceReference { name: namespace },
        conditions,
        phase: reason.phase().to_owned(),
        observed_generation: generation,
    }
}
