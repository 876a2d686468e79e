//! The server's own clients of itself.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{Method, Request, Uri};
use kube::{Client, Config};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;

use super::folder::Folder;

/// A request with its answer.
pub(super) async fn call(client: &Client, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
    let answer = send(client, &method, path, body).await;
    answer.map_err(|error| format!("{method} {path}: {error}"))
}

/// As [`call`] of POST for what may be there already.
pub(super) async fn create(client: &Client, path: &str, body: &Value) -> Result<(), String> {
    match send(client, &Method::POST, path, Some(body)).await {
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        answer => answer.map(drop).map_err(|error| format!("POST {path}: {error}")),
    }
}

async fn send(client: &Client, method: &Method, path: &str, body: Option<&Value>) -> Result<Value, kube::Error> {
    let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json").body(body);
    client.request(request.map_err(kube::Error::HttpError)?).await
}

/// A client as one of the users. Not by the kubeconfig: reading one would look for a proxy in the environment.
pub(super) fn client(folder: &Folder, user: &str) -> Result<Client, String> {
    let pair = folder.user(user).ok_or_else(|| format!("no certificate of {user}"))?;
    let uri: Uri = format!("https://{}", folder.address)
        .parse()
        .map_err(|error| format!("{error}"))?;
    let authority = CertificateDer::from_pem_slice(folder.authority.as_bytes()).map_err(|error| error.to_string())?;
    let mut config = Config::new(uri);
    config.root_cert = Some(vec![authority.to_vec()]);
    config.auth_info.client_certificate_data = Some(BASE64_STANDARD.encode(&pair.certificate_pem));
    config.auth_info.client_key_data = Some(BASE64_STANDARD.encode(&pair.key_pem).into());
    config.default_retry = false;
    Client::try_from(config).map_err(|error| error.to_string())
}
