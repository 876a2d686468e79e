//! TEMP
#![allow(missing_docs)]
use super::status::Status;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Object,
    Table,
    Partial,
    PartialList,
}
#[derive(Clone, Copy, Debug)]
pub struct Representation {
    pub format: Format,
    pub shape: Shape,
    pub pretty: Option<bool>,
}
impl Representation {
    pub fn mismatch(&self, _kind: &str, _list: bool) -> Status {
        Status::not_acceptable(&["application/json"])
    }
}
pub fn representation(accept: Option<&str>, _watch: bool, named: bool) -> Result<Representation, Status> {
    let a = accept.unwrap_or("");
    let first = a.split(',').next().unwrap_or("");
    let shape = if first.contains("as=Table") {
        Shape::Table
    } else if a.contains("as=PartialObjectMetadataList") && !named {
        Shape::PartialList
    } else if a.contains("as=PartialObjectMetadata") {
        Shape::Partial
    } else {
        Shape::Object
    };
    Ok(Representation {
        format: if first.contains("yaml") {
            Format::Yaml
        } else {
            Format::Json
        },
        shape,
        pretty: None,
    })
}
pub fn pretty(query: Option<&str>, agent: Option<&str>) -> bool {
    query == Some("true") || (query.is_none() && agent.is_some_and(|a| a.starts_with("curl")))
}
#[derive(Clone, Copy, Debug)]
pub enum PatchType {
    Json,
    Merge,
    Apply,
}
impl PatchType {
    pub fn of(ct: Option<&str>) -> Result<Self, Status> {
        match ct.unwrap_or("").split(';').next().unwrap_or("").trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            _ => Err(Status::unsupported_media_type(&[
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/apply-patch+yaml",
            ])),
        }
    }
}
