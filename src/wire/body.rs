//! TEMP
#![allow(missing_docs)]
use super::{names::GroupVersion, status::Status};
use serde_json::Value;
#[derive(Clone, Copy, Debug)]
pub enum MediaType {
    Json,
    Yaml,
}
impl MediaType {
    pub fn of(ct: Option<&str>) -> Result<Self, Status> {
        match ct.unwrap_or("").split(';').next().unwrap_or("").trim() {
            "" | "application/json" => Ok(Self::Json),
            "application/yaml" => Ok(Self::Yaml),
            _ => Err(Status::unsupported_media_type(&[
                "application/json",
                "application/yaml",
            ])),
        }
    }
}
pub struct Decoded {
    pub value: Value,
    pub duplicates: Vec<String>,
}
pub struct Expected<'a> {
    pub group_version: &'a GroupVersion,
    pub kind: &'a str,
}
pub fn decode(m: MediaType, b: &[u8]) -> Result<Decoded, Status> {
    let value = match m {
        MediaType::Json => serde_json::from_slice(b).map_err(|e| Status::bad_request(e.to_string()))?,
        MediaType::Yaml => serde_saphyr::from_slice(b).map_err(|e| Status::bad_request(e.to_string()))?,
    };
    Ok(Decoded {
        value,
        duplicates: vec![],
    })
}
pub fn decode_object(m: MediaType, b: &[u8], _e: &Expected<'_>) -> Result<Decoded, Status> {
    decode(m, b)
}
