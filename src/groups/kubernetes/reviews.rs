//! The questions of `authorization.k8s.io` and `authentication.k8s.io`.

use crate::rest::review::{Question, Review};
use crate::wire::names::GroupVersion;

/// May they.
pub const AUTHORIZATION: &str = "authorization.k8s.io";
/// Who are they.
pub const AUTHENTICATION: &str = "authentication.k8s.io";

/// What callers may do.
pub fn authorization() -> Vec<Review> {
    let review = |kind, singular, plural, question| review(AUTHORIZATION, kind, singular, plural, question);
    vec![
        Review {
            namespaced: true,
            ..review(
                "LocalSubjectAccessReview",
                "localsubjectaccessreview",
                "localsubjectaccessreviews",
                Question::Access,
            )
        },
        review(
            "SelfSubjectAccessReview",
            "selfsubjectaccessreview",
            "selfsubjectaccessreviews",
            Question::OwnAccess,
        ),
        review(
            "SelfSubjectRulesReview",
            "selfsubjectrulesreview",
            "selfsubjectrulesreviews",
            Question::OwnRules,
        ),
        review(
            "SubjectAccessReview",
            "subjectaccessreview",
            "subjectaccessreviews",
            Question::Access,
        ),
    ]
}

/// Who they are.
pub fn authentication() -> Vec<Review> {
    vec![review(
        AUTHENTICATION,
        "SelfSubjectReview",
        "selfsubjectreview",
        "selfsubjectreviews",
        Question::OwnIdentity,
    )]
}

fn review(group: &str, kind: &'static str, singular: &'static str, plural: &'static str, question: Question) -> Review {
    Review {
        group_version: GroupVersion::new(group, "v1"),
        kind,
        singular,
        plural,
        namespaced: false,
        question,
    }
}
