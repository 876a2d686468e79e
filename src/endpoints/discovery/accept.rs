//! The `Accept` header, as far as documents need it.
//!
//! Ported: github.com/munnerz/goautoneg autoneg.go (parsing, order) and k8s.io/apiserver pkg/endpoints/handlers/negotiation/negotiate.go
//! (media type parameters; a clause whose transformation is unknown is passed over).

/// One media range of an `Accept` header.
#[derive(Debug, PartialEq)]
pub(in crate::endpoints) struct Clause<'a> {
    kind: &'a str,
    subtype: &'a str,
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

/// How a discovery document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
    Protobuf,
}

/// What a discovery endpoint answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) format: Format,
    /// Whether `APIGroupDiscoveryList` is wanted.
    pub(super) aggregated: bool,
    /// Whether the media type asked for `pretty=1`.
    pub(super) pretty: bool,
}

/// The clauses of `header`, the most wanted first; clauses that do not parse are left out.
pub(in crate::endpoints) fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header.split(',').filter_map(clause).collect();
    clauses.sort_by(|a, b| {
        b.quality
            .total_cmp(&a.quality)
            .then_with(|| a.wildcards().cmp(&b.wildcards()))
    });
    clauses
}

fn clause(text: &str) -> Option<Clause<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next()?;
    let (kind, subtype) = match range.split_once('/') {
        Some((kind, subtype)) if !subtype.contains('/') => (kind.trim(), subtype.trim()),
        None if range == "*" => ("*", "*"),
        _ => return None,
    };
    let mut quality = 1.0;
    let mut parameters = Vec::new();
    for (key, value) in parts.filter_map(|part| part.split_once('=')) {
        match key.trim() {
            "q" => quality = value.trim().parse().unwrap_or(0.0),
            key => parameters.push((key, value.trim())),
        }
    }
    Some(Clause {
        kind,
        subtype,
        quality,
        parameters,
    })
}

impl Clause<'_> {
    /// Whether the clause covers the media type `kind`/`subtype`.
    pub(in crate::endpoints) fn covers(&self, kind: &str, subtype: &str) -> bool {
        (self.kind == "*" || self.kind == kind) && (self.subtype == "*" || self.subtype == subtype)
    }

    fn wildcards(&self) -> u8 {
        u8::from(self.kind == "*") + u8::from(self.subtype == "*")
    }

    fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(key, _)| *key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// What to answer with to `header`, or `None` for 406. `aggregated` says whether the endpoint can answer with `APIGroupDiscoveryList`.
pub(super) fn choose(header: Option<&str>, aggregated: bool) -> Option<Choice> {
    let header = header
        .map(str::trim)
        .filter(|header| !header.is_empty())
        .unwrap_or("*/*");
    let clauses = clauses(header);
    // Aggregated discovery stands before the other and is asked first, whatever the client would rather have
    // (k8s.io/apiserver pkg/endpoints/discovery/aggregated/wrapper.go).
    let first = clauses
        .iter()
        .find_map(|clause| choice(clause, true))
        .filter(|_| aggregated);
    first.or_else(|| clauses.iter().find_map(|clause| choice(clause, false)))
}

/// What a clause comes to, if it asks for the one or the other form.
fn choice(clause: &Clause<'_>, aggregated: bool) -> Option<Choice> {
    let format = if clause.covers("application", "json") {
        Format::Json
    } else if clause.covers("application", "yaml") {
        Format::Yaml
    } else if clause.covers("application", "vnd.kubernetes.protobuf") {
        Format::Protobuf
    } else {
        return None;
    };
    let asked = match ["g", "v", "as"].map(|name| clause.parameter(name)) {
        ["", "", ""] => false,
        ["apidiscovery.k8s.io", "v2", "APIGroupDiscoveryList"] => true,
        _ => return None,
    };
    let pretty = clause.parameter("pretty") == "1";
    (asked == aggregated).then_some(Choice {
        format,
        aggregated,
        pretty,
    })
}
