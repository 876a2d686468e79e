//! The 403 that a denial turns into, in Kubernetes' own words.
//!
//! k8s.io/apiserver pkg/endpoints/handlers/responsewriters/errors.go ForbiddenStatusError,
//! k8s.io/apimachinery pkg/api/errors/errors.go NewForbidden.

use std::fmt::{self, Write};

use super::{Attributes, ResourceAttributes};
use crate::wire::{
    names::GroupResource,
    status::{Details, Status},
    user::UserInfo,
};

impl Attributes {
    /// The 403 for `user`; `reason` is appended unless it is empty.
    pub fn forbidden(&self, user: &UserInfo, reason: &str) -> Status {
        let user = Quoted(&user.name);
        let suffix = if reason.is_empty() {
            String::new()
        } else {
            format!(": {reason}")
        };
        match self {
            Self::Path { path, verb } => {
                let what = harmless(&format!("User {user} cannot {verb} path {}", Quoted(path)));
                let message = format!("forbidden: {what}{suffix}");
                Status::new(403, "Forbidden", message).with_details(Details::default())
            }
            Self::Resource(resource) => {
                let what = harmless(&format!("User {user} cannot {}", action(resource)));
                let subject = GroupResource {
                    group: resource.group.clone(),
                    resource: resource.resource.clone(),
                };
                let named = if resource.name.is_empty() {
                    String::new()
                } else {
                    format!(" {}", Quoted(&resource.name))
                };
                let message = format!("{subject}{named} is forbidden: {what}{suffix}");
                Status::new(403, "Forbidden", message).with_details(Details {
                    name: resource.name.clone(),
                    group: resource.group.clone(),
                    kind: resource.resource.clone(),
                    ..Details::default()
                })
            }
        }
    }
}

/// `list resource "flunders/status" in API group "g" in the namespace "ns"`.
fn action(attributes: &ResourceAttributes) -> String {
    let resource = if attributes.subresource.is_empty() {
        attributes.resource.clone()
    } else {
        format!("{}/{}", attributes.resource, attributes.subresource)
    };
    let scope = if attributes.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {}", Quoted(&attributes.namespace))
    };
    format!(
        "{} resource {} in API group {} {scope}",
        attributes.verb,
        Quoted(&resource),
        Quoted(&attributes.group)
    )
}

/// Nothing that could be taken for HTML.
fn harmless(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Text in quotes as Go's `%q` prints it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\{character}")?,
                '\x07' => f.write_str("\\a")?,
                '\x08' => f.write_str("\\b")?,
                '\x0b' => f.write_str("\\v")?,
                '\x0c' => f.write_str("\\f")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(character))?,
                ' '..='~' => f.write_char(character)?,
                _ if !is_hidden(character) => f.write_char(character)?,
                '\u{80}'..='\u{ffff}' => write!(f, "\\u{:04x}", u32::from(character))?,
                _ => write!(f, "\\U{:08x}", u32::from(character))?,
            }
        }
        f.write_char('"')
    }
}

/// Beyond ASCII: control characters, all spaces, and what turns or hides other text.
fn is_hidden(character: char) -> bool {
    let format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    format || character.is_control() || character.is_whitespace()
}

#[cfg(test)]
mod tests;
