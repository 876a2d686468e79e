//! The `Accept` header (github.com/munnerz/goautoneg, and acceptMediaTypeOptions of k8s.io/apiserver).

use super::{Format, Objects, Representation, Shape};

/// Clauses that are looked at. The header is read of anybody, and the time to sort it grows with the square of their number.
const CLAUSES: usize = 64;

/// One clause of the header.
struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f64,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    /// Whether this clause goes before `other`, as goautoneg has it.
    fn before(&self, other: &Clause<'_>) -> bool {
        self.quality > other.quality
            || self.kind != "*" && other.kind == "*"
            || self.subtype != "*" && other.subtype == "*"
    }

    fn names(&self, subtype: &str) -> bool {
        match (self.kind, self.subtype) {
            ("*", "*") | ("application", "*") => true,
            ("application", own) => own == subtype,
            _ => false,
        }
    }
}

/// The first representation that the header asks for and that there is, of objects, which can be converted to tables and
/// partial metadata, or of an error.
pub(super) fn pick(header: &str, objects: Option<Objects>) -> Option<Representation> {
    if header.is_empty() {
        return Some(Representation::JSON);
    }
    let formats = [
        ("json", Format::Json),
        ("yaml", Format::Yaml),
        ("vnd.kubernetes.protobuf", Format::Protobuf),
    ];
    for clause in parse(header) {
        for (subtype, format) in formats {
            if clause.names(subtype)
                && let Some(found) = accept(&clause, format, objects)
            {
                return Some(found);
            }
        }
    }
    None
}

/// What the parameters of a clause ask for, unless it cannot be had.
fn accept(clause: &Clause<'_>, format: Format, objects: Option<Objects>) -> Option<Representation> {
    let convert = objects.is_some();
    let (mut kind, mut group, mut version) = (None, None, None);
    let mut found = Representation {
        format,
        ..Representation::JSON
    };
    for (key, value) in &clause.parameters {
        match *key {
            "as" => kind = Some(*value),
            "g" => group = Some(*value),
            "v" => version = Some(*value),
            // YAML cannot be streamed
            "stream" if format != Format::Yaml && *value == "watch" || value.is_empty() => {}
            "stream" => return None,
            "sv" if convert && *value == "v1" || value.is_empty() => {}
            "sv" => return None,
            "pretty" => found.pretty = (*value == "1").then_some(true),
            _ => {}
        }
    }
    let protobuf = format == Format::Protobuf;
    if kind.is_none() && group.is_none() && version.is_none() {
        // An error has a protobuf form, most objects have none.
        return (!protobuf || objects.is_none_or(|objects| objects.protobuf)).then_some(found);
    }
    found.meta_version = match (group, version) {
        (Some("meta.k8s.io"), Some("v1")) => "meta.k8s.io/v1",
        (Some("meta.k8s.io"), Some("v1beta1")) => "meta.k8s.io/v1beta1",
        _ => return None,
    };
    found.shape = match kind {
        Some("Table") if !protobuf => Shape::Table,
        Some("PartialObjectMetadata") => Shape::Partial,
        Some("PartialObjectMetadataList") => Shape::PartialList,
        _ => return None,
    };
    convert.then_some(found)
}

/// The clauses, the best first.
fn parse(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header.split(',').take(CLAUSES).filter_map(clause).collect();
    // the order is not a total one: insert one by one, as Go's sort does with short lists
    for start in 1..clauses.len() {
        let mut at = start;
        while at > 0 && clauses[at].before(&clauses[at - 1]) {
            clauses.swap(at, at - 1);
            at -= 1;
        }
    }
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.trim_matches(' ').split(';');
    let media = parts.next()?;
    let (kind, subtype) = match media.split_once('/') {
        Some((kind, subtype)) if !subtype.is_empty() => (kind, subtype),
        _ if media.trim_matches(['/', ' ']) == "*" => ("*", "*"),
        _ => return None,
    };
    if subtype.contains('/') {
        return None;
    }
    let mut clause = Clause {
        kind: kind.trim_matches(' '),
        subtype: subtype.trim_matches(' '),
        quality: 1.0,
        parameters: Vec::new(),
    };
    for part in parts {
        let Some((key, value)) = part
            .split_once('=')
            .filter(|(_, value)| !value.is_empty() && !value.contains('='))
        else {
            continue;
        };
        match key.trim_matches(' ') {
            "q" => clause.quality = value.parse().unwrap_or(0.0),
            key => clause.parameters.push((key, value.trim_matches(' '))),
        }
    }
    Some(clause)
}
