//! Which representation a client accepts and which one it sends
//! (k8s.io/apiserver pkg/endpoints/handlers/negotiation/negotiate.go, with the answers of CustomResources).

mod accept;

use super::options::Query;
use super::status::Status;

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`: for what [`super::protobuf`] knows.
    Protobuf,
}

/// What is written of an object or list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Everything.
    Object,
    /// `Table`.
    Table,
    /// `PartialObjectMetadata`.
    Partial,
    /// `PartialObjectMetadataList`.
    PartialList,
}

/// What the `Accept` header came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Representation {
    /// How bytes are written.
    pub format: Format,
    /// What is written.
    pub shape: Shape,
    /// `apiVersion` of tables and partial metadata: `meta.k8s.io/v1`, or `meta.k8s.io/v1beta1` where it was asked for.
    pub meta_version: &'static str,
    /// Whether the header itself asks for indentation; `None` leaves it to [`pretty`].
    pub pretty: Option<bool>,
}

/// What objects can be written as.
#[derive(Clone, Copy)]
struct Objects {
    protobuf: bool,
}

/// The type of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Server-side apply.
    Apply,
    /// Strategic merge patch.
    Strategic,
}

/// The media types that messages name.
pub const MEDIA_TYPES: [&str; 3] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// The same for watches.
const STREAM_TYPES: [&str; 2] = [
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
/// The patch types, without strategic merge patch: clients then fall back to merge patch.
const PATCH_TYPES: [&str; 3] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
];

impl Format {
    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => super::protobuf::MEDIA_TYPE,
        }
    }
}

impl Representation {
    /// Compact or indented JSON of everything.
    pub const JSON: Self = Self {
        format: Format::Json,
        shape: Shape::Object,
        meta_version: "meta.k8s.io/v1",
        pretty: None,
    };

    /// 406: partial metadata of one object was asked for a list, or the reverse.
    pub fn mismatch(&self, kind: &str, list: bool) -> Status {
        let message = if list {
            format!("you requested PartialObjectMetadata, but the requested object is a list (*{kind}List)")
        } else {
            format!("you requested PartialObjectMetadataList, but the requested object is not a list (*{kind})")
        };
        Status::new(406, "NotAcceptable", message)
    }
}

/// Picks the representation of a response: the clauses of `Accept` in their order, unknown and unsupported ones left out.
/// `protobuf` says whether whole objects can be written so.
/// `watching` is for streams, which are never YAML; `named` for requests whose path names one object, which is never a list.
///
/// # Errors
/// 406.
pub fn representation(
    accept: Option<&str>,
    protobuf: bool,
    watching: bool,
    named: bool,
) -> Result<Representation, Status> {
    let found = accept::pick(accept.unwrap_or_default(), Some(Objects { protobuf }));
    let found = found.ok_or_else(|| Status::not_acceptable(&MEDIA_TYPES))?;
    if watching && found.format == Format::Yaml {
        return Err(Status::not_acceptable(&STREAM_TYPES));
    }
    if (watching || named) && found.shape == Shape::PartialList {
        return Err(found.mismatch("unstructured.Unstructured", false));
    }
    Ok(found)
}

/// Whether `Accept` names one of `available` or everything: what Go asks before a handler is called, and coarser than what
/// the handler asks afterwards (github.com/emicklei/go-restful route.go matchesAccept).
pub fn names_one_of(accept: Option<&str>, available: &[&str]) -> bool {
    let accept = accept.filter(|accept| !accept.is_empty()).unwrap_or("*/*");
    accept.split(',').any(|clause| {
        let media_type = clause.split(';').next().unwrap_or_default().trim_matches(' ');
        media_type == "*/*" || available.contains(&media_type)
    })
}

/// The representation of an error: what `Accept` names, without conversions; indented JSON when nothing fits.
pub fn for_status(accept: Option<&str>) -> Representation {
    let indented = Representation {
        pretty: Some(true),
        ..Representation::JSON
    };
    accept::pick(accept.unwrap_or_default(), None).unwrap_or(indented)
}

/// Whether JSON is indented: as the parameter `pretty` says, else for people's own tools.
pub fn pretty(parameter: Option<&str>, user_agent: Option<&str>) -> bool {
    match parameter {
        None | Some("") => {
            let agent = user_agent.unwrap_or_default();
            ["curl", "Wget", "Mozilla/5.0"]
                .iter()
                .any(|tool| agent.starts_with(tool))
        }
        Some(value) => matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"),
    }
}

/// [`pretty`] of a request.
pub fn pretty_for(query: &Query, user_agent: Option<&str>) -> bool {
    pretty(query.get("pretty"), user_agent)
}

/// Whether a client takes gzip (k8s.io/apiserver pkg/endpoints/handlers/responsewriters/writers.go negotiateContentEncoding).
pub fn accepts_gzip(accept_encoding: Option<&str>) -> bool {
    let codings = accept_encoding.unwrap_or_default().split(',');
    codings.map(str::trim).any(|one| one == "gzip")
}

/// The format of a request's body; JSON where the header is absent.
///
/// # Errors
/// 415.
pub fn request_format(content_type: Option<&str>) -> Result<Format, Status> {
    let Some(text) = content_type.filter(|text| !text.is_empty()) else {
        return Ok(Format::Json);
    };
    let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
    let well_formed = parameters.is_empty()
        || parameters
            .split(';')
            .all(|one| one.trim().is_empty() || one.contains('='));
    match media_type.trim().to_ascii_lowercase().as_str() {
        "application/json" if well_formed => Ok(Format::Json),
        "application/yaml" if well_formed => Ok(Format::Yaml),
        super::protobuf::MEDIA_TYPE if well_formed => Ok(Format::Protobuf),
        _ => Err(Status::unsupported_media_type(&MEDIA_TYPES)),
    }
}

impl PatchType {
    /// The type of a patch, compared as it is spelled. `strategic` is for Kubernetes' own kinds, of which clients know how
    /// their lists are merged.
    ///
    /// # Errors
    /// 415; clients fall back from strategic merge patch to merge patch on it, of kinds that are not built into them.
    pub fn of(content_type: Option<&str>, strategic: bool) -> Result<Self, Status> {
        let text = content_type.unwrap_or_default();
        match text.split(';').next().unwrap_or_default() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            "application/strategic-merge-patch+json" if strategic => Ok(Self::Strategic),
            _ => Err(Status::unsupported_media_type(&PATCH_TYPES)),
        }
    }
}

#[cfg(test)]
mod tests;
