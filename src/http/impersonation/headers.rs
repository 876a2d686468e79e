//! What the headers ask for.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};

use crate::authn::request_header::unescape;
use crate::wire::quote::go_quote;
use crate::wire::status::Status;
use crate::wire::user::UserInfo;

const USER: &str = "impersonate-user";
const UID: &str = "impersonate-uid";
const GROUP: &str = "impersonate-group";
const EXTRA: &str = "impersonate-extra-";

/// Groups and extra values together, at most: the authorizer is asked for each of them, one after the other. Kubernetes has no such
/// bound but that of headers.
pub(super) const PARTS: usize = 500;

/// Whether the header is about acting as somebody else.
pub(super) fn is_own(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, USER | UID | GROUP) || name.starts_with(EXTRA)
}

/// The identity that is wanted, exactly as it is asked for; nobody where no header asks. The headers are gone afterwards.
///
/// # Errors
/// 400 for parts of an identity without a user, for too many of them, and for what is no text: names are compared as text.
pub(super) fn take(headers: &mut HeaderMap) -> Result<Option<UserInfo>, Status> {
    let mut names: Vec<HeaderName> = headers.keys().filter(|name| is_own(name)).cloned().collect();
    if names.is_empty() {
        return Ok(None);
    }
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    let wanted = UserInfo {
        name: values(headers, USER)?.into_iter().next().unwrap_or_default(),
        uid: values(headers, UID)?.into_iter().next().unwrap_or_default(),
        groups: values(headers, GROUP)?,
        extra: extra(headers, &names)?,
    };
    for name in names {
        headers.remove(name);
    }
    if !wanted.name.is_empty() {
        let parts = wanted.groups.len() + wanted.extra.values().map(Vec::len).sum::<usize>();
        return match parts <= PARTS {
            true => Ok(Some(wanted)),
            false => Err(Status::bad_request(format!(
                "requested to impersonate a user with {parts} groups and extra values, at most {PARTS} are allowed"
            ))),
        };
    }
    if wanted == UserInfo::default() {
        return Ok(None);
    }
    let shown = shown(&wanted);
    Err(Status::bad_request(format!(
        "requested {shown} without impersonating a user name"
    )))
}

fn extra(headers: &HeaderMap, names: &[HeaderName]) -> Result<BTreeMap<String, Vec<String>>, Status> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names {
        if let Some(key) = name.as_str().strip_prefix(EXTRA) {
            extra
                .entry(unescape(key))
                .or_default()
                .extend(values(headers, name.as_str())?);
        }
    }
    Ok(extra)
}

fn values(headers: &HeaderMap, name: &str) -> Result<Vec<String>, Status> {
    let values = headers.get_all(name).iter().map(|value| {
        let text = std::str::from_utf8(value.as_bytes());
        text.map(str::to_owned)
            .map_err(|_| Status::bad_request(format!("header {name} is not UTF-8")))
    });
    values.collect()
}

/// As Go's `%#v` has it.
fn shown(user: &UserInfo) -> String {
    let list = |values: &[String]| match values {
        [] => "[]string(nil)".to_owned(),
        values => {
            let quoted: Vec<String> = values.iter().map(|value| go_quote(value)).collect();
            format!("[]string{{{}}}", quoted.join(", "))
        }
    };
    let extra = match user.extra.is_empty() {
        true => "map[string][]string(nil)".to_owned(),
        false => {
            let entries = user.extra.iter();
            let entries = entries.map(|(key, values)| format!("{}:{}", go_quote(key), list(values)));
            format!("map[string][]string{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    };
    format!(
        "&user.DefaultInfo{{Name:{}, UID:{}, Groups:{}, Extra:{extra}}}",
        go_quote(&user.name),
        go_quote(&user.uid),
        list(&user.groups)
    )
}
