//! TokenReview, asked of the cluster.

use async_trait::async_trait;
use k8s_openapi::api::authentication::v1::TokenReviewStatus;
use kube::Client;
use serde::{Deserialize, Serialize};

use super::{BearerToken, TokenReviewer};
use crate::cluster::webhook::{self, CallError};

const PATH: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

/// Asks kube-apiserver; needs `create` on `tokenreviews`, as the cluster role `system:auth-delegator` gives it.
pub struct ClusterTokenReviewer {
    client: Client,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    api_version: &'static str,
    kind: &'static str,
    spec: Spec<'a>,
}

#[derive(Serialize)]
struct Spec<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: TokenReviewStatus,
}

impl ClusterTokenReviewer {
    /// Asks over `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

#[async_trait]
impl TokenReviewer for ClusterTokenReviewer {
    async fn review(&self, token: &BearerToken) -> Result<TokenReviewStatus, CallError> {
        let question = Question {
            api_version: "authentication.k8s.io/v1",
            kind: "TokenReview",
            spec: Spec { token: token.expose() },
        };
        let answer: Answer = webhook::post(&self.client, PATH, &question).await?;
        Ok(answer.status)
    }
}
