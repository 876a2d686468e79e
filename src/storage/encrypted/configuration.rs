//! Kubernetes' EncryptionConfiguration (k8s.io/apiserver pkg/apis/apiserver/v1), as far as it has a meaning here: all values
//! are encrypted alike, by `aesgcm` or not at all. Whatever else a file asks for is refused, so that nobody believes it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use super::Ring;

/// Longest name of a key: it stands before every value.
const LONGEST: usize = 128;

/// Reads a configuration, YAML or JSON.
///
/// # Errors
/// One line that says where and what, and quotes no secret.
pub fn parse(text: &str) -> Result<Ring, String> {
    let options = serde_saphyr::options! { with_snippet: false };
    let document: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        match error.without_snippet().location() {
            Some(at) => format!("line {}: not valid YAML", at.line()),
            None => "not valid YAML".to_owned(),
        }
    })?;
    let root = object("the document", &document, &["apiVersion", "kind", "resources"])?;
    if root.get("kind").and_then(Value::as_str) != Some("EncryptionConfiguration")
        || root.get("apiVersion").and_then(Value::as_str) != Some("apiserver.config.k8s.io/v1")
    {
        return Err("has to be an EncryptionConfiguration of apiserver.config.k8s.io/v1".to_owned());
    }
    let [entry] = list("resources", root.get("resources"))? else {
        return Err("resources: has to have one entry: all values are encrypted alike".to_owned());
    };
    let entry = object("resources[0]", entry, &["resources", "providers"])?;
    let patterns = list("resources[0].resources", entry.get("resources"))?;
    if patterns.len() != 1 || patterns[0].as_str() != Some("*.*") {
        return Err("resources[0].resources: has to be [\"*.*\"]: all values are encrypted alike".to_owned());
    }
    ring(list("resources[0].providers", entry.get("providers"))?)
}

fn ring(providers: &[Value]) -> Result<Ring, String> {
    let name = |provider: &Value| provider.as_object()?.keys().next().cloned();
    let names: Vec<_> = providers.iter().map(name).collect();
    let identity = |name: &Option<String>| name.as_deref() == Some("identity");
    if names.iter().filter(|name| identity(name)).count() > 1 {
        return Err("resources[0].providers: identity is there twice".to_owned());
    }
    let mut ring = Ring::new(names.first().is_some_and(identity), names.iter().any(identity));
    if providers.is_empty() {
        return Err("resources[0].providers: name at least one".to_owned());
    }
    for (index, provider) in providers.iter().enumerate() {
        let path = format!("resources[0].providers[{index}]");
        let members = object(&path, provider, &["aesgcm", "identity", "aescbc", "secretbox", "kms"])?;
        if members.len() != 1 {
            return Err(format!("{path}: has to name one provider"));
        }
        match (members.get("aesgcm"), members.contains_key("identity")) {
            (Some(aesgcm), _) => {
                let path = format!("{path}.aesgcm");
                let aesgcm = object(&path, aesgcm, &["keys"])?;
                let path = format!("{path}.keys");
                let keys = list(&path, aesgcm.get("keys"))?;
                if keys.is_empty() {
                    return Err(format!("{path}: name at least one"));
                }
                for (index, key) in keys.iter().enumerate() {
                    add(&mut ring, &format!("{path}[{index}]"), key)?;
                }
            }
            (None, true) => {}
            (None, false) => return Err(format!("{path}: only aesgcm and identity are provided here")),
        }
    }
    Ok(ring)
}

fn add(ring: &mut Ring, path: &str, key: &Value) -> Result<(), String> {
    let key = object(path, key, &["name", "secret"])?;
    let name = key.get("name").and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && c != ':';
    if name.is_empty() || name.len() > LONGEST || !name.chars().all(plain) {
        return Err(format!(
            "{path}.name: use 1 to {LONGEST} characters of ASCII without spaces and colons"
        ));
    }
    if ring.has(name) {
        return Err(format!("{path}.name: {name:?} is there twice"));
    }
    let secret = key.get("secret").and_then(Value::as_str).unwrap_or_default();
    let secret = BASE64_STANDARD
        .decode(secret)
        .map_err(|_| format!("{path}.secret: not valid base64"))?;
    if !ring.add(name, &secret) {
        let length = secret.len();
        return Err(format!(
            "{path}.secret: has to be 32 (or 16) random bytes in base64, these are {length}: head -c 32 /dev/urandom | base64"
        ));
    }
    Ok(())
}

fn object<'a>(path: &str, value: &'a Value, known: &[&str]) -> Result<&'a Map<String, Value>, String> {
    let members = value
        .as_object()
        .ok_or_else(|| format!("{path}: has to be an object"))?;
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("{path}: {name:?} is not known here")),
        None => Ok(members),
    }
}

fn list<'a>(path: &str, value: Option<&'a Value>) -> Result<&'a [Value], String> {
    value
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .ok_or_else(|| format!("{path}: has to be a list"))
}
