//! SubjectAccessReview, asked of the cluster.

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::{SubjectAccessReviewSpec, SubjectAccessReviewStatus};
use kube::Client;
use serde::{Deserialize, Serialize};

use super::SubjectAccessReviewer;
use crate::cluster::webhook::{self, CallError};

const PATH: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// Asks kube-apiserver; needs `create` on `subjectaccessreviews`, as the cluster role `system:auth-delegator` gives it.
pub struct ClusterAccessReviewer {
    client: Client,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: &'a SubjectAccessReviewSpec,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: Option<SubjectAccessReviewStatus>,
}

impl ClusterAccessReviewer {
    /// Asks over `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl SubjectAccessReviewer for ClusterAccessReviewer {
    async fn review(&self, spec: &SubjectAccessReviewSpec) -> Result<SubjectAccessReviewStatus, CallError> {
        let question = Question {
            api_version: "authorization.k8s.io/v1",
            kind: "SubjectAccessReview",
            spec,
        };
        let answer: Answer = webhook::post(&self.client, PATH, &question).await?;
        answer
            .status
            .ok_or_else(|| CallError::lasting(format!("{PATH}: the answer has no status")))
    }
}
