//! Kubernetes' AdmissionConfiguration, as far as it is about webhooks: which kubeconfig says who we are to them (k8s.io/apiserver
//! pkg/admission/config.go, pkg/admission/plugin/webhook/config/kubeconfig.go). Whatever else a file asks for is refused, so that
//! nobody believes it.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::credentials::Credentials;

/// The version of both kinds.
const VERSION: &str = "apiserver.config.k8s.io/v1";
/// The plugins that have a configuration here.
const PLUGINS: [&str; 2] = ["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook"];

/// Who we are to the webhooks of each sort.
#[derive(Default)]
pub struct Identities {
    /// To those that change.
    pub mutating: Arc<Credentials>,
    /// To those that judge.
    pub validating: Arc<Credentials>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AdmissionConfiguration {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    plugins: Vec<PluginConfiguration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PluginConfiguration {
    name: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    configuration: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookAdmissionConfiguration {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    kube_config_file: String,
}

impl Identities {
    /// Reads a file, and those that it names.
    ///
    /// # Errors
    /// One line that names the file and the field, and quotes no secret.
    pub fn load(file: &Path) -> Result<Self, String> {
        let at = |why: String| format!("{}: {why}", file.display());
        let read: AdmissionConfiguration = parse(file)?;
        kind(&read.api_version, &read.kind, "AdmissionConfiguration").map_err(at)?;
        let mut identities = Self::default();
        let mut seen = Vec::new();
        for (index, plugin) in read.plugins.into_iter().enumerate() {
            let field = format!("plugins[{index}]");
            let credentials = match plugin.name.as_str() {
                "MutatingAdmissionWebhook" => &mut identities.mutating,
                "ValidatingAdmissionWebhook" => &mut identities.validating,
                name => {
                    let known = PLUGINS.join(", ");
                    return Err(at(format!(
                        "{field}.name: {name:?} has no configuration here, there are {known}"
                    )));
                }
            };
            if seen.contains(&plugin.name) {
                return Err(at(format!("{field}.name: {:?} is there twice", plugin.name)));
            }
            *credentials = Arc::new(plugin.credentials(file, &field).map_err(at)?);
            seen.push(plugin.name);
        }
        Ok(identities)
    }
}

impl PluginConfiguration {
    /// What stands in the file itself comes before another file, as in Go.
    fn credentials(&self, file: &Path, field: &str) -> Result<Credentials, String> {
        let (read, field) = match &self.configuration {
            Some(inline) if !inline.is_null() => {
                let field = format!("{field}.configuration");
                let read = serde_json::from_value(inline.clone()).map_err(|error| format!("{field}: {error}"))?;
                (read, field)
            }
            _ if !self.path.is_empty() => {
                let path = file.parent().unwrap_or(Path::new("")).join(&self.path);
                let read = parse(&path).map_err(|why| format!("{field}.path: {why}"))?;
                (read, format!("{field}.path: {}", path.display()))
            }
            _ => return Ok(Credentials::default()),
        };
        let WebhookAdmissionConfiguration {
            api_version,
            kind: name,
            kube_config_file,
        } = read;
        let at = |why: String| format!("{field}: {why}");
        kind(&api_version, &name, "WebhookAdmissionConfiguration").map_err(at)?;
        if kube_config_file.is_empty() {
            return Ok(Credentials::default());
        }
        let at = |why: String| format!("{field}: kubeConfigFile: {why}");
        let kubeconfig = Path::new(&kube_config_file);
        if !kubeconfig.is_absolute() {
            return Err(at(format!("{kube_config_file:?} must be an absolute file path")));
        }
        Credentials::load(kubeconfig).map_err(at)
    }
}

fn kind(version: &str, kind: &str, wanted: &str) -> Result<(), String> {
    match (version, kind) == (VERSION, wanted) {
        true => Ok(()),
        false => Err(format!(
            "apiVersion {version:?}, kind {kind:?}: must be {VERSION:?} and {wanted:?}"
        )),
    }
}

/// Reads a file, YAML or JSON.
fn parse<T: DeserializeOwned>(file: &Path) -> Result<T, String> {
    let at = |why: String| format!("{}: {why}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| at(error.to_string()))?;
    serde_saphyr::from_str(&text).map_err(|error| at(one_line(&error)))
}

/// What the parser says first; the rest is a picture of the place.
fn one_line(error: &impl Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
