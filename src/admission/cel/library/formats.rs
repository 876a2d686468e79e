//! Named formats (k8s.io/apiserver pkg/cel/library/format.go).

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Opaque;

use super::times::Timestamp;
use super::urls;
use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, opaque, optional, strings};
use crate::wire::validation::names::{
    label_value, name_is_dns_label, name_is_dns_subdomain, name_is_dns1035_label, qualified_name,
};

pub(super) const NAMES: &[&str] = &[
    "format.byte",
    "format.date",
    "format.datetime",
    "format.dns1035Label",
    "format.dns1035LabelPrefix",
    "format.dns1123Label",
    "format.dns1123LabelPrefix",
    "format.dns1123Subdomain",
    "format.dns1123SubdomainPrefix",
    "format.labelValue",
    "format.named",
    "format.qualifiedName",
    "format.uri",
    "format.uuid",
    "validate",
];

/// A format, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format(&'static str);

impl Opaque for Format {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.NamedFormat"
    }
}

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    Ok(match (name, arguments) {
        ("format.named", [Value::String(wanted)]) => {
            let format = named(wanted).filter(|format| format.0 != "named");
            Some(optional(format.map(opaque)))
        }
        ("validate", [format, Value::String(text)]) => as_opaque::<Format>(format).map(|format| {
            let wrong = format.validate(text);
            optional((!wrong.is_empty()).then(|| strings(wrong)))
        }),
        (name, []) => name.strip_prefix("format.").and_then(named).map(opaque),
        _ => None,
    })
}

fn named(wanted: &str) -> Option<Format> {
    let mut all = NAMES.iter().filter_map(|name| name.strip_prefix("format."));
    all.find(|name| *name == wanted).map(Format)
}

impl Format {
    fn validate(self, text: &str) -> Vec<String> {
        let unless = |holds: bool, why: &str| if holds { Vec::new() } else { vec![why.to_owned()] };
        match self.0 {
            "byte" => unless(is_base64(text), "invalid base64"),
            "date" => unless(Timestamp::parse(&format!("{text}T00:00:00Z")).is_some(), "invalid date"),
            "datetime" => unless(is_datetime(text), "invalid datetime"),
            "dns1035Label" => name_is_dns1035_label(text, false),
            "dns1035LabelPrefix" => name_is_dns1035_label(text, true),
            "dns1123Label" => name_is_dns_label(text, false),
            "dns1123LabelPrefix" => name_is_dns_label(text, true),
            "dns1123Subdomain" => name_is_dns_subdomain(text, false),
            "dns1123SubdomainPrefix" => name_is_dns_subdomain(text, true),
            "labelValue" => label_value(text),
            "qualifiedName" => qualified_name(text),
            "uri" => urls::complaint(text).into_iter().collect(),
            _ => unless(is_uuid(text), "does not match the UUID format"),
        }
    }
}

/// As go-openapi's strfmt has it: with or without dashes.
fn is_uuid(text: &str) -> bool {
    text.len() >= 32 && uuid::Uuid::try_parse(text).is_ok() && !text.starts_with(['{', 'u'])
}

/// Go's base64.StdEncoding; none is none.
fn is_base64(text: &str) -> bool {
    use base64::Engine;
    !text.is_empty() && base64::engine::general_purpose::STANDARD.decode(text).is_ok()
}

/// As go-openapi's strfmt has it: a date, a `t`, and a time with seconds and zone.
fn is_datetime(text: &str) -> bool {
    Timestamp::parse(&text.to_ascii_uppercase()).is_some()
}
