//! Resources that are questions: whoever creates one gets an answer, and nothing is stored.

use crate::wire::names::GroupVersion;

/// A question as one API group and version serves it.
#[derive(Clone, Debug)]
pub struct Review {
    /// For example `authorization.k8s.io/v1`.
    pub group_version: GroupVersion,
    /// `SelfSubjectAccessReview`.
    pub kind: &'static str,
    /// `selfsubjectaccessreview`.
    pub singular: &'static str,
    /// `selfsubjectaccessreviews`.
    pub plural: &'static str,
    /// Whether it is asked in a namespace.
    pub namespaced: bool,
    /// What is asked.
    pub question: Question,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// May the caller do something?
    OwnAccess,
    /// May somebody do something?
    Access,
    /// What may the caller do in a namespace?
    OwnRules,
    /// Who is the caller?
    OwnIdentity,
}

/// The verbs of a question.
pub const REVIEW_VERBS: [&str; 1] = ["create"];
