//! `/healthz`, `/livez` and `/readyz`, with their texts to the letter (k8s.io/apiserver pkg/server/healthz/healthz.go).

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::future::{BoxFuture, join_all};
use http::{HeaderValue, Response, StatusCode, header};
use percent_encoding::percent_decode_str;

use super::{
    body::{self, Body},
    shutdown::Shutdown,
};
use crate::telemetry::metrics::Metrics;

/// Where a check counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/healthz`: both of the others, for those who know no better.
    Healthz,
    /// `/livez`: restart me when it fails.
    Livez,
    /// `/readyz`: send me no requests while it fails.
    Readyz,
}

/// The checks of one server.
pub struct Health {
    checks: Vec<Check>,
    /// One check may take this long; after that it has failed.
    timeout: Duration,
    metrics: Option<Arc<Metrics>>,
}

struct Check {
    name: String,
    endpoints: Vec<Endpoint>,
    run: Box<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Healthz, Self::Livez, Self::Readyz];

    /// The last word of its path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

// === impl Health ===

impl Health {
    /// The checks that every server has: `ping` and `log`, which fail when the process cannot even say so.
    pub fn new() -> Self {
        let none = Self {
            checks: Vec::new(),
            timeout: Duration::from_secs(5),
            metrics: None,
        };
        none.with("ping", &Endpoint::ALL, || async { Ok(()) })
            .with("log", &Endpoint::ALL, || async { Ok(()) })
    }

    /// Adds a check; they are listed in the order in which they were added. What a failing check says goes to the log,
    /// and to those who may ask for the check by its own path.
    #[must_use]
    pub fn with<F, R>(mut self, name: impl Into<String>, endpoints: &[Endpoint], run: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push(Check {
            name: name.into(),
            endpoints: endpoints.to_vec(),
            run: Box::new(move || Box::pin(run())),
        });
        self
    }

    /// Counts what the checks say.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// Adds `shutdown`, which makes `/readyz` fail as soon as the server has been told to end. Belongs last.
    #[must_use]
    pub fn with_shutdown(self, shutdown: &Shutdown) -> Self {
        let initiated = shutdown.initiated().clone();
        self.with("shutdown", &[Endpoint::Readyz], move || {
            let ends = initiated.is_cancelled();
            async move {
                if ends {
                    Err("process is shutting down".to_owned())
                } else {
                    Ok(())
                }
            }
        })
    }

    /// Every path answered, for the list at `/`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for endpoint in Endpoint::ALL {
            paths.push(format!("/{}", endpoint.name()));
            let checks = self
                .at(endpoint)
                .map(|check| format!("/{}/{}", endpoint.name(), check.name));
            paths.extend(checks);
        }
        paths
    }

    /// Answers a request for one of these paths; `None` for any other path.
    pub async fn respond(&self, path: &str, query: Option<&str>) -> Option<Response<Body>> {
        let (endpoint, name) = Endpoint::ALL.into_iter().find_map(|endpoint| {
            let rest = path.strip_prefix('/')?.strip_prefix(endpoint.name())?;
            if rest.is_empty() {
                Some((endpoint, None))
            } else {
                Some((endpoint, Some(rest.strip_prefix('/')?)))
            }
        })?;
        match name {
            None => Some(self.all(endpoint, query.unwrap_or_default()).await),
            Some(name) => {
                let check = self.at(endpoint).find(|check| check.name == name)?;
                Some(match self.result(endpoint, check).await {
                    Ok(()) => text(StatusCode::OK, "ok".to_owned()),
                    Err(why) => failure(format!("internal server error: {why}")),
                })
            }
        }
    }

    fn at(&self, endpoint: Endpoint) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(move |check| check.endpoints.contains(&endpoint))
    }

    async fn result(&self, endpoint: Endpoint, check: &Check) -> Result<(), String> {
        let result = tokio::time::timeout(self.timeout, (check.run)()).await;
        let result = result.unwrap_or_else(|_| Err(format!("no answer within {:?}", self.timeout)));
        if let Some(metrics) = &self.metrics {
            metrics.health_check(&check.name, endpoint.name(), result.is_ok());
        }
        result
    }

    async fn all(&self, endpoint: Endpoint, query: &str) -> Response<Body> {
        let mut excluded: BTreeSet<String> = parameters(query, "exclude").collect();
        let verbose = parameters(query, "verbose").next().is_some();
        let name = endpoint.name();
        let results = join_all(self.at(endpoint).map(async |check| {
            let skip = excluded.contains(&check.name);
            (
                check,
                if skip {
                    None
                } else {
                    Some(self.result(endpoint, check).await)
                },
            )
        }))
        .await;

        let (mut lines, mut failed) = (String::new(), Vec::new());
        for (check, result) in results {
            let check = check.name.as_str();
            match result {
                None => lines.push_str(&format!("[+]{check} excluded: ok\n")),
                Some(Ok(())) => lines.push_str(&format!("[+]{check} ok\n")),
                Some(Err(why)) => {
                    lines.push_str(&format!("[-]{check} failed: reason withheld\n"));
                    failed.push(format!("{check}: {why}"));
                }
            }
        }
        excluded.retain(|name| self.at(endpoint).all(|check| check.name != *name));
        if !excluded.is_empty() {
            let names: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
            let names = names.join(",");
            lines.push_str(&format!(
                "warn: some health checks cannot be excluded: no matches for {names}\n"
            ));
        }
        if !failed.is_empty() {
            tracing::info!(endpoint = name, failed = failed.join("; "), "health check failed");
            return failure(format!("{lines}{name} check failed"));
        }
        let body = if verbose {
            format!("{lines}{name} check passed\n")
        } else {
            "ok".to_owned()
        };
        nosniff(text(StatusCode::OK, body))
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

/// The values of a query parameter, present without a value as empty.
fn parameters<'a>(query: &'a str, wanted: &'a str) -> impl Iterator<Item = String> + 'a {
    query.split('&').filter_map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = value.replace('+', " ");
        (name == wanted).then(|| percent_decode_str(&value).decode_utf8_lossy().into_owned())
    })
}

/// Go's http.Error.
fn failure(message: String) -> Response<Body> {
    nosniff(text(StatusCode::INTERNAL_SERVER_ERROR, message + "\n"))
}

fn text(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(body::full(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn nosniff(mut response: Response<Body>) -> Response<Body> {
    let value = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, value);
    response
}
