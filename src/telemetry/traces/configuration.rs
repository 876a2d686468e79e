//! The file of `--tracing-config-file` (k8s.io/component-base tracing/api/v1).

use http::Uri;
use serde::Deserialize;

use crate::wire::validation::{FieldError, aggregate};

/// All requests.
const MILLION: i64 = 1_000_000;
/// Where a collector listens unless it is told otherwise.
const DEFAULT: &str = "localhost:4317";
/// kube-apiserver takes all of them; they say the same.
const VERSIONS: [&str; 3] = [
    "apiserver.config.k8s.io/v1",
    "apiserver.config.k8s.io/v1beta1",
    "apiserver.config.k8s.io/v1alpha1",
];

/// Where traces go, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The collector: `http://host:port` or `unix:///path`.
    pub endpoint: String,
    /// Of a million requests that are part of no trace yet, so many begin one.
    pub per_million: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Text {
    api_version: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    sampling_rate_per_million: Option<i64>,
}

impl Configuration {
    /// Reads a TracingConfiguration, YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it, by field, in one line.
    pub fn read(text: &str) -> Result<Self, String> {
        let read: Text = serde_saphyr::from_str(text).map_err(|error| {
            let text = error.to_string();
            text.lines().next().unwrap_or_default().to_owned()
        })?;
        let (version, kind) = (read.api_version.unwrap_or_default(), read.kind.unwrap_or_default());
        if !VERSIONS.contains(&version.as_str()) || kind != "TracingConfiguration" {
            let wanted = VERSIONS[0];
            return Err(format!(
                "apiVersion {version:?}, kind {kind:?}: must be {wanted:?} and \"TracingConfiguration\""
            ));
        }
        let rate = read.sampling_rate_per_million.unwrap_or_default();
        let mut errors = Vec::new();
        if rate < 0 {
            let why = "sampling rate must be positive";
            errors.push(FieldError::shown("samplingRatePerMillion", &rate.to_string(), why));
        }
        if rate > MILLION {
            let why = "sampling rate per million must be less than or equal to one million";
            errors.push(FieldError::shown("samplingRatePerMillion", &rate.to_string(), why));
        }
        let written = read.endpoint.as_deref().unwrap_or(DEFAULT);
        let endpoint = endpoint(written).unwrap_or_else(|why| {
            errors.push(FieldError::invalid("endpoint", written, &why));
            String::new()
        });
        if !errors.is_empty() {
            return Err(aggregate(&errors));
        }
        let per_million = u32::try_from(rate).map_err(|error| error.to_string())?;
        Ok(Self { endpoint, per_million })
    }
}

/// `host:port`, `dns:///host:port` and `unix:///path` are understood, of the names that gRPC has for a place.
fn endpoint(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("dns", text));
    match scheme {
        "unix" if rest.starts_with('/') => return Ok(format!("unix://{rest}")),
        "unix" => return Err("a unix socket needs its whole path, as in unix:///run/collector.sock".to_owned()),
        "dns" => {}
        other => {
            return Err(format!(
                "unsupported scheme: {other}. Options are none, dns or unix; traces are sent as OTLP over gRPC"
            ));
        }
    }
    let address = rest.trim_start_matches('/');
    let uri = format!("http://{address}");
    let parsed: Uri = uri.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let whole = parsed
        .authority()
        .is_some_and(|authority| authority.as_str() == address);
    match whole && parsed.port_u16().is_some() {
        true => Ok(uri),
        false => Err("must be host:port, as in localhost:4317".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str) -> Result<Configuration, String> {
        Configuration::read(&format!(
            "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n{fields}"
        ))
    }

    #[test]
    fn nothing_said_is_the_usual_place_and_no_trace_of_ones_own() {
        let endpoint = "http://localhost:4317".to_owned();
        assert_eq!(
            read(""),
            Ok(Configuration {
                endpoint,
                per_million: 0
            })
        );
    }

    #[test]
    fn places_are_named_as_grpc_names_them() {
        for (written, understood) in [
            ("collector.example.com:4317", "http://collector.example.com:4317"),
            ("dns:///collector:4317", "http://collector:4317"),
            ("dns://google.com:4317", "http://google.com:4317"),
            ("'[::1]:4317'", "http://[::1]:4317"),
            ("unix:///run/otel.sock", "unix:///run/otel.sock"),
        ] {
            let read = read(&format!("endpoint: {written}\nsamplingRatePerMillion: 1000000"));
            let endpoint = understood.to_owned();
            assert_eq!(
                read,
                Ok(Configuration {
                    endpoint,
                    per_million: 1_000_000
                })
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_by_field() {
        for (fields, why) in [
            (
                "samplingRatePerMillion: -1",
                "samplingRatePerMillion: Invalid value: -1: sampling rate must be positive",
            ),
            (
                "samplingRatePerMillion: 1000001",
                "samplingRatePerMillion: Invalid value: 1000001: sampling rate per million must be less than or equal to one million",
            ),
            (
                "endpoint: http://localhost:4317",
                "endpoint: Invalid value: \"http://localhost:4317\": unsupported scheme: http. Options are none, dns or unix; traces are sent as OTLP over gRPC",
            ),
            (
                "endpoint: localhost",
                "endpoint: Invalid value: \"localhost\": must be host:port, as in localhost:4317",
            ),
            (
                "endpoint: localhost:4317/v1/traces",
                "endpoint: Invalid value: \"localhost:4317/v1/traces\": must be host:port, as in localhost:4317",
            ),
        ] {
            assert_eq!(read(fields), Err(why.to_owned()));
        }
        let both = read("endpoint: ':'\nsamplingRatePerMillion: -5").unwrap_err();
        assert!(
            both.contains("samplingRatePerMillion: ") && both.contains("endpoint: "),
            "{both}"
        );
        let unknown = read("samplingRate: 5").unwrap_err();
        assert!(unknown.contains("samplingRate"), "{unknown}");
    }

    #[test]
    fn other_kinds_are_none() {
        for head in [
            "apiVersion: apiserver.config.k8s.io/v2\nkind: TracingConfiguration",
            "apiVersion: apiserver.config.k8s.io/v1\nkind: Tracing",
            "{}",
        ] {
            let why = Configuration::read(head).unwrap_err();
            assert!(
                why.ends_with("must be \"apiserver.config.k8s.io/v1\" and \"TracingConfiguration\""),
                "{why}"
            );
        }
        let beta = "{apiVersion: apiserver.config.k8s.io/v1beta1, kind: TracingConfiguration}";
        assert!(Configuration::read(beta).is_ok());
    }
}
