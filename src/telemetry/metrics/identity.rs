//! What is counted of telling callers apart and of deciding what they may do (k8s.io/apiserver pkg/endpoints/filters/metrics.go,
//! pkg/authentication/token/cache/stats.go, pkg/server/options/authentication metrics of the delegated questions).

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::few::Few;
use super::{Metrics, Present, Registrar};

const DURATION: [f64; 15] = [
    0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384,
];
const REVIEW: [f64; 8] = [0.25, 0.5, 0.7, 1.0, 1.5, 3.0, 5.0, 10.0];
const LOOKUP: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// From expired to a year, in seconds.
const EXPIRATION: [f64; 14] = [
    0.0,
    1_800.0,
    3_600.0,
    7_200.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    2_592_000.0,
    7_776_000.0,
    15_552_000.0,
    31_104_000.0,
];
const OUTCOMES: [&str; 3] = ["success", "failure", "error"];
const DECISIONS: [&str; 4] = ["allowed", "denied", "no-opinion", "error"];

#[derive(Debug)]
pub(super) struct Identity {
    users: Few<IntCounter>,
    authentications: Few<IntCounter>,
    authentication_duration: Few<Histogram>,
    authorizations: Few<IntCounter>,
    authorization_duration: Few<Histogram>,
    token_reviews: Few<IntCounter>,
    token_review_duration: Few<Histogram>,
    access_reviews: Few<IntCounter>,
    access_review_duration: Few<Histogram>,
    token_lookups: Few<IntCounter>,
    token_lookup_duration: Few<Histogram>,
    token_fetches: Few<IntCounter>,
    token_fetching: IntGauge,
    certificate_expiration: Histogram,
}

impl Identity {
    pub(super) fn new(it: &Registrar<'_>) -> Self {
        let counters = |name, help, label, known: &[&'static str]| {
            let vec = it.counters(name, help, &[label]);
            Few::new(known, move |value| vec.with_label_values(&[value]))
        };
        let histograms = |name, help, label, known: &[&'static str], buckets| {
            let vec = it.histograms(name, help, &[label], buckets);
            Few::new(known, move |value| vec.with_label_values(&[value]))
        };
        let fetching = it.gauges(
            "authentication_token_cache_active_fetch_count",
            "TokenReviews that are under way.",
            &["status"],
        );
        Self {
            users: counters(
                "authenticated_user_requests",
                "Requests whose sender is known, by a few well-known names; all others are `other`.",
                "username",
                &["other", "email_id", "admin"],
            ),
            authentications: counters(
                "authentication_attempts",
                "Callers told apart: success, failure or error.",
                "result",
                &OUTCOMES,
            ),
            authentication_duration: histograms(
                "authentication_duration_seconds",
                "Time to tell who is asking.",
                "result",
                &OUTCOMES,
                &DURATION,
            ),
            authorizations: counters(
                "authorization_attempts_total",
                "Decisions: allowed, no-opinion (nobody allows it) or error.",
                "result",
                &DECISIONS,
            ),
            authorization_duration: histograms(
                "authorization_duration_seconds",
                "Time to a decision.",
                "result",
                &DECISIONS,
                &DURATION,
            ),
            token_reviews: counters(
                "apiserver_delegated_authn_request_total",
                "TokenReviews sent to the cluster.",
                "code",
                &["201"],
            ),
            token_review_duration: histograms(
                "apiserver_delegated_authn_request_duration_seconds",
                "Time that the cluster took for a TokenReview.",
                "code",
                &["201"],
                &REVIEW,
            ),
            access_reviews: counters(
                "apiserver_delegated_authz_request_total",
                "SubjectAccessReviews sent to the cluster.",
                "code",
                &["201"],
            ),
            access_review_duration: histograms(
                "apiserver_delegated_authz_request_duration_seconds",
                "Time that the cluster took for a SubjectAccessReview.",
                "code",
                &["201"],
                &REVIEW,
            ),
            token_lookups: counters(
                "authentication_token_cache_request_total",
                "Tokens looked up among the answers that are kept: hit or miss.",
                "status",
                &["hit", "miss"],
            ),
            token_lookup_duration: histograms(
                "authentication_token_cache_request_duration_seconds",
                "Time to look a token up, with the review where it was not kept.",
                "status",
                &["hit", "miss"],
                &LOOKUP,
            ),
            token_fetches: counters(
                "authentication_token_cache_fetch_total",
                "Answers to TokenReviews: ok, or error also for a token that is refused.",
                "status",
                &["ok", "error"],
            ),
            token_fetching: fetching.with_label_values(&["in_flight"]),
            certificate_expiration: it.histogram(
                "apiserver_client_certificate_expiration_seconds",
                "How long the certificate of a request's connection is still valid.",
                &EXPIRATION,
            ),
        }
    }
}

impl Metrics {
    /// A caller told apart: `success`, `failure` or `error` (bad credentials).
    pub fn authentication(&self, result: &'static str, elapsed: Duration) {
        self.identity.authentications.at(result).inc();
        let duration = self.identity.authentication_duration.at(result);
        duration.observe(elapsed.as_secs_f64());
    }

    /// Who it was, as far as metrics tell.
    pub fn user(&self, name: &str) {
        self.identity.users.at(compressed(name)).inc();
    }

    /// A client certificate was believed that expires in so many seconds.
    pub fn certificate_expiration(&self, seconds: f64) {
        self.identity.certificate_expiration.observe(seconds);
    }

    /// A decision: `allowed`, `denied`, `no-opinion` or `error`.
    pub fn authorization(&self, result: &'static str, elapsed: Duration) {
        self.identity.authorizations.at(result).inc();
        let duration = self.identity.authorization_duration.at(result);
        duration.observe(elapsed.as_secs_f64());
    }

    /// A TokenReview's HTTP code, `<error>` without one.
    pub fn token_review(&self, code: &str, elapsed: Duration) {
        self.identity.token_reviews.at(code).inc();
        let duration = self.identity.token_review_duration.at(code);
        duration.observe(elapsed.as_secs_f64());
    }

    /// A SubjectAccessReview's HTTP code, `<error>` without one.
    pub fn access_review(&self, code: &str, elapsed: Duration) {
        self.identity.access_reviews.at(code).inc();
        let duration = self.identity.access_review_duration.at(code);
        duration.observe(elapsed.as_secs_f64());
    }

    /// A token was looked up among those known.
    pub fn token_lookup(&self, known: bool, elapsed: Duration) {
        let status = if known { "hit" } else { "miss" };
        self.identity.token_lookups.at(status).inc();
        let duration = self.identity.token_lookup_duration.at(status);
        duration.observe(elapsed.as_secs_f64());
    }

    /// A token is being asked about.
    pub fn token_fetch(&self) -> Present {
        Present::of(self.identity.token_fetching.clone())
    }

    /// What came of that.
    pub fn token_fetched(&self, good: bool) {
        self.identity.token_fetches.at(if good { "ok" } else { "error" }).inc();
    }
}

/// Callers must not be able to fill the memory with names, and names are nobody's business here.
fn compressed(name: &str) -> &str {
    match name {
        "admin" | "client" | "kube_proxy" | "kubelet" | "system:serviceaccount:kube-system:default" => name,
        _ if name.contains('@') => "email_id",
        _ => "other",
    }
}
