//! TEMP
#![allow(missing_docs)]
use super::status::Status;
#[derive(Clone, Copy, Debug)]
pub enum IncludeObject {
    None,
    Metadata,
    Object,
}
impl IncludeObject {
    pub fn parse(t: Option<&str>) -> Result<Self, Status> {
        match t.unwrap_or("") {
            "" | "Metadata" => Ok(Self::Metadata),
            "None" => Ok(Self::None),
            "Object" => Ok(Self::Object),
            other => Err(Status::bad_request(format!("bad includeObject {other}"))),
        }
    }
}
