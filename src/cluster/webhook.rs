//! Questions to the cluster that must be answered before a request can go on: one POST with retries and a deadline.
//!
//! k8s.io/apiserver pkg/util/webhook/webhook.go.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Limited};
use kube::{Client, client::Body};
use serde::{Serialize, de::DeserializeOwned};

use crate::telemetry::traces;

/// Answers larger than this are not read.
const MAX_ANSWER: usize = 4 << 20;

/// How long one delivery may take.
const DELIVERY: Duration = Duration::from_secs(30);

/// How long and how often to try.
#[derive(Clone, Debug)]
pub struct Backoff {
    /// The pause after the first failure; each further one is half as long again, and up to a fifth is added by chance.
    pub first: Duration,
    /// How many attempts there are.
    pub attempts: u32,
    /// The time for all attempts together.
    pub timeout: Duration,
}

/// Why there is no answer.
#[derive(Clone, Debug)]
pub struct CallError {
    code: Option<u16>,
    transient: bool,
    message: String,
}

// === impl Backoff ===

/// 5 attempts from 500 ms on, 10 s in all (k8s.io/apiserver pkg/server/options/authentication.go).
impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            attempts: 5,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Backoff {
    /// As many attempts as are usual, from `first` on, each of which has its time.
    pub fn unhurried(first: Duration) -> Self {
        let usual = Self::default();
        let (mut pause, mut pauses) = (first.as_secs_f64() * 1.2, 0.0);
        for _ in 1..usual.attempts {
            pauses += pause;
            pause *= 1.5;
        }
        let pauses = Duration::try_from_secs_f64(pauses).unwrap_or(Duration::MAX);
        Self {
            first,
            timeout: (DELIVERY * usual.attempts).saturating_add(pauses),
            ..usual
        }
    }
}

// === impl CallError ===

impl CallError {
    /// An error worth another attempt.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            code: None,
            transient: true,
            message: message.into(),
        }
    }

    /// An error that another attempt would only repeat.
    pub fn lasting(message: impl Into<String>) -> Self {
        Self {
            transient: false,
            ..Self::transient(message)
        }
    }

    /// An answer with an HTTP status that is an error.
    pub fn status(code: u16, message: impl Into<String>) -> Self {
        Self {
            code: Some(code),
            transient: code == 429 || code >= 500,
            message: message.into(),
        }
    }

    /// The HTTP status, when there was an answer at all.
    pub fn code(&self) -> Option<u16> {
        self.code
    }

    /// Whether another attempt may help.
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

impl CallError {
    /// The same error, as one that another attempt may help.
    pub fn into_transient(self) -> Self {
        Self {
            transient: true,
            ..self
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CallError {}

impl From<kube::Error> for CallError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::status(status.code, status.message),
            kube::Error::HyperError(_) | kube::Error::Service(_) => Self::transient(chain(&error)),
            other => Self::lasting(chain(&other)),
        }
    }
}

/// The API's own words, or what went wrong before it could say any.
pub(crate) fn told(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => chain(other),
    }
}

/// An error with its causes in one line; "connection refused" hides two levels below.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// Calls until there is an answer, an error that lasts, or no time left.
pub async fn retry<T, F, Call>(backoff: &Backoff, mut call: F) -> Result<T, CallError>
where
    F: FnMut() -> Call,
    Call: Future<Output = Result<T, CallError>>,
{
    let mut last = None;
    let attempts = async {
        let mut pause = backoff.first;
        let mut left = backoff.attempts.max(1);
        loop {
            let outcome = call().await;
            left -= 1;
            match outcome {
                Err(error) if error.is_transient() && left > 0 => last = Some(error),
                outcome => return outcome,
            }
            tokio::time::sleep(pause.mul_f64(1.0 + rand::random_range(0.0..0.2))).await;
            pause = pause.mul_f64(1.5);
        }
    };
    let outcome = tokio::time::timeout(backoff.timeout, attempts).await;
    match outcome {
        Ok(outcome) => outcome,
        // What went wrong before says more than that time is up.
        Err(_) => Err(last.unwrap_or_else(|| CallError::transient(format!("no answer within {:?}", backoff.timeout)))),
    }
}

/// POSTs `question` as JSON to `path` once. Neither question nor answer is ever logged: they may carry tokens, which is
/// also why kube's own typed calls, which log answers that they cannot read, are not used.
pub async fn post<Q: Serialize, A: DeserializeOwned>(
    client: &Client,
    path: &str,
    question: &Q,
) -> Result<A, CallError> {
    let body = serde_json::to_vec(question).map_err(|error| CallError::lasting(error.to_string()))?;
    let bytes = send(client, path, body.into()).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // serde's text may quote the answer; where it is wrong is enough.
        CallError::lasting(format!(
            "{path}: the answer is not understood (column {})",
            error.column()
        ))
    })
}

/// POSTs JSON once to the URL of a kubeconfig, as it stands there; what is answered matters to nobody but for its code.
pub async fn deliver(client: &Client, json: Bytes) -> Result<(), CallError> {
    // An URI without a path: the client puts its own URL there, and nothing behind it.
    let attempt = tokio::time::timeout(DELIVERY, send(client, "webhook", json)).await;
    attempt.map_err(|_| CallError::transient(format!("webhook: no answer within {DELIVERY:?}")))??;
    Ok(())
}

/// The body of an answer that is a success.
async fn send(client: &Client, path: &str, json: Bytes) -> Result<Bytes, CallError> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(Body::from(json))
        .map_err(|error| CallError::lasting(error.to_string()))?;
    traces::inject(request.headers_mut());
    let answer = client.send(request).await?;
    let code = answer.status();
    let bytes = Limited::new(answer.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| CallError::transient(format!("{path}: reading the answer: {error}")))?
        .to_bytes();
    if !code.is_success() {
        return Err(CallError::status(
            code.as_u16(),
            format!("{path}: {code}{}", message(&bytes)),
        ));
    }
    Ok(bytes)
}

/// The message of a Status, if that is what the cluster answered with.
fn message(bytes: &[u8]) -> String {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .ok()
        .and_then(|status| Some(format!(": {}", status.get("message")?.as_str()?)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
