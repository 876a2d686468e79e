//! Somebody who sends requests.

use base64::Engine;
use bulward::certs::Pair;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use kube::client::Body;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::Value;

use super::{Answer, DEADLINE, Watching};

const JSON: &str = "application/json";

/// One identity with its own connections.
#[derive(Clone)]
pub(crate) struct Caller {
    client: kube::Client,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Caller {
    pub(super) fn new(port: u16, authority: &str, identity: Option<&Pair>, headers: &[(&str, &str)]) -> Self {
        let url = format!("https://127.0.0.1:{port}").parse().expect("a URL");
        let mut config = kube::Config::new(url);
        let root = CertificateDer::from_pem_slice(authority.as_bytes()).expect("the authority is PEM");
        config.root_cert = Some(vec![root.to_vec()]);
        config.connect_timeout = Some(DEADLINE);
        config.read_timeout = None;
        // A test sees what the server answered, also a 504.
        config.default_retry = false;
        if let Some(pair) = identity {
            let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
            config.auth_info.client_certificate_data = Some(encode(&pair.certificate_pem));
            config.auth_info.client_key_data = Some(encode(&pair.key_pem).into());
        }
        let header = |(name, value): &(&str, &str)| {
            let name = HeaderName::try_from(*name).expect("a header name");
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header value");
            (name, value)
        };
        Self {
            client: kube::Client::try_from(config).expect("a client"),
            headers: headers.iter().map(header).collect(),
        }
    }

    /// Whoever `client` is, on whatever server.
    pub(crate) fn through(client: kube::Client) -> Self {
        Self {
            client,
            headers: Vec::new(),
        }
    }

    /// Somebody whom this front proxy introduces, with any number of groups.
    pub(crate) fn introducing(mut self, name: &str, groups: &[&str]) -> Self {
        let header = |name, value: &str| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).expect("a name"),
            )
        };
        let groups = groups.iter().chain(&["system:authenticated"]);
        self.headers = vec![header("x-remote-user", name)];
        self.headers.extend(groups.map(|group| header("x-remote-group", group)));
        self
    }

    /// The same identity through kube's typed interface.
    pub(crate) fn kube(&self) -> kube::Client {
        self.client.clone()
    }

    /// Sends any request and reads the whole answer.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let answer = self.attempt(method, path, headers, body).await;
        answer.unwrap_or_else(|why| panic!("{why}"))
    }

    /// As [`Caller::send`], where it is no failure that the connection breaks or nobody is there.
    pub(crate) async fn attempt(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let body: Bytes = body.into();
        let request = format!(
            "{method} {path} {}",
            String::from_utf8_lossy(&body[..body.len().min(300)])
        );
        let exchange = async {
            let response = self.begin(method, path, headers, body).await?;
            answer(request.clone(), response).await
        };
        let answered = tokio::time::timeout(DEADLINE, exchange).await;
        let answered = answered.unwrap_or_else(|_| panic!("{request}: no answer within {DEADLINE:?}"));
        answered.map_err(|error| format!("{request}: {error}"))
    }

    /// As [`Caller::watch_as`], where it is no failure that it is refused, the connection breaks or nobody is there.
    pub(crate) async fn attempt_watch(&self, path: &str, accept: &str) -> Result<Result<Watching, Answer>, String> {
        let request = format!("GET {path}");
        let exchange = async {
            let headers = [("accept", accept)];
            let response = self.begin(Method::GET, path, &headers, Bytes::new()).await?;
            match response.status().as_u16() {
                200 => Ok(Ok(Watching::new(request.clone(), response))),
                _ => answer(request.clone(), response).await.map(Err),
            }
        };
        let answered = tokio::time::timeout(DEADLINE, exchange).await;
        let answered = answered.unwrap_or_else(|_| panic!("{request}: no answer within {DEADLINE:?}"));
        answered.map_err(|error: kube::Error| format!("{request}: {error}"))
    }

    async fn begin(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<http::Response<Body>, kube::Error> {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = if body.is_empty() {
            Body::empty()
        } else {
            Body::from(body)
        };
        self.client.send(request.body(body).expect("a request")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// GET with an Accept header.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Answer {
        self.send(Method::GET, path, &[("accept", accept)], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.with_body(Method::POST, path, JSON, body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.with_body(Method::PUT, path, JSON, body).await
    }

    /// JSON merge patch.
    pub(crate) async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.with_body(Method::PATCH, path, "application/merge-patch+json", body)
            .await
    }

    /// JSON Patch.
    pub(crate) async fn json_patch(&self, path: &str, body: &Value) -> Answer {
        self.with_body(Method::PATCH, path, "application/json-patch+json", body)
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }

    /// DELETE with DeleteOptions.
    pub(crate) async fn delete_with(&self, path: &str, options: &Value) -> Answer {
        self.with_body(Method::DELETE, path, JSON, options).await
    }

    pub(crate) async fn with_body(&self, method: Method, path: &str, media: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", media)], body.to_string())
            .await
    }

    /// Opens a watch, which must be granted; `path` is a collection with any query, `watch=true` is added.
    pub(crate) async fn watch(&self, path: &str) -> Watching {
        self.watch_as(path, JSON).await
    }

    /// As [`Caller::watch`], with an Accept header.
    pub(crate) async fn watch_as(&self, path: &str, accept: &str) -> Watching {
        let begun = self.try_watch(path, accept).await;
        begun.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same where the server may be away, or refuse.
    pub(crate) async fn try_watch(&self, path: &str, accept: &str) -> Result<Watching, String> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{separator}watch=true");
        let headers = [("accept", accept)];
        let begun = self.begin(Method::GET, &path, &headers, Bytes::new());
        let begun = tokio::time::timeout(DEADLINE, begun).await;
        let begun = begun.unwrap_or_else(|_| panic!("{path}: no headers within {DEADLINE:?}"));
        let response = begun.map_err(|error| format!("{path}: {error}"))?;
        let code = response.status();
        let watching = Watching::new(path.clone(), response);
        match code.as_u16() {
            200 => Ok(watching),
            code => Err(format!("{path}: {code} {}", watching.rest().await)),
        }
    }
}

async fn answer(request: String, response: http::Response<Body>) -> Result<Answer, kube::Error> {
    let (head, body) = response.into_parts();
    Ok(Answer {
        request,
        code: head.status.as_u16(),
        headers: head.headers,
        body: body.collect_bytes().await?,
    })
}
