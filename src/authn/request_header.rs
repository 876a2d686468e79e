//! The front proxy: kube-apiserver's aggregator says in headers who is asking, and proves itself by its certificate.
//!
//! k8s.io/apiserver pkg/authentication/request/headerrequest/requestheader.go.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    Rejection,
    trust::{HeaderNames, RequestHeader},
    x509,
};
use crate::wire::user::UserInfo;

/// Headers that no handler may ever see, whatever the configured ones are called.
const STANDARD: [&str; 3] = ["x-remote-user", "x-remote-uid", "x-remote-group"];
const STANDARD_EXTRA_PREFIX: &str = "x-remote-extra-";

/// The caller whom the front proxy names. None when no certificate was presented, or the proxy names nobody.
pub fn authenticate(
    proxy: &RequestHeader,
    headers: &HeaderMap,
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Option<UserInfo>, Rejection> {
    let Some(leaf) = chain.first() else {
        return Ok(None);
    };
    proxy.ca.verify(chain, now)?;
    if !proxy.allowed_names.is_empty() {
        let name = x509::common_name(leaf)?;
        if !proxy.allowed_names.contains(&name) {
            return Err(Rejection::ProxyName(name));
        }
    }
    let names = &proxy.headers;
    let name = first(headers, &names.username)?;
    if name.is_empty() {
        return Ok(None);
    }
    Ok(Some(UserInfo {
        name,
        uid: first(headers, &names.uid)?,
        groups: all(headers, &names.group)?,
        extra: extra(headers, &names.extra_prefix)?,
    }))
}

/// Removes everything that names a caller: nothing below may believe it, and nobody but the proxy may say it.
pub fn remove(headers: &mut HeaderMap, configured: Option<&HeaderNames>) {
    let prefixed = |name: &HeaderName| {
        let configured = configured.iter().flat_map(|names| &names.extra_prefix);
        let mut prefixes = configured.map(String::as_str).chain([STANDARD_EXTRA_PREFIX]);
        prefixes.any(|prefix| name.as_str().starts_with(prefix))
    };
    let extras: Vec<HeaderName> = headers.keys().filter(|name| prefixed(name)).cloned().collect();
    for name in extras {
        headers.remove(name);
    }
    for name in STANDARD {
        headers.remove(name);
    }
    if let Some(names) = configured {
        for name in names.username.iter().chain(&names.uid).chain(&names.group) {
            headers.remove(name);
        }
    }
}

/// The first value of the first header that has one.
fn first(headers: &HeaderMap, names: &[HeaderName]) -> Result<String, Rejection> {
    for name in names {
        if let Some(value) = headers.get(name).filter(|value| !value.is_empty()) {
            return text(name, value.as_bytes());
        }
    }
    Ok(String::new())
}

/// All values of all headers, in order, but empty ones.
fn all(headers: &HeaderMap, names: &[HeaderName]) -> Result<Vec<String>, Rejection> {
    let values = names
        .iter()
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)));
    values
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| text(name, value.as_bytes()))
        .collect()
}

/// Headers whose names differ may mean the same key once decoded; then their values add up, by header name.
fn extra(headers: &HeaderMap, prefixes: &[String]) -> Result<BTreeMap<String, Vec<String>>, Rejection> {
    let mut names: Vec<&HeaderName> = headers.keys().collect();
    names.sort_unstable_by_key(|name| name.as_str());
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for prefix in prefixes {
        for name in &names {
            let Some(key) = name.as_str().strip_prefix(prefix.as_str()) else {
                continue;
            };
            let values = extra.entry(unescape(key)).or_default();
            for value in headers.get_all(*name) {
                values.push(text(name, value.as_bytes())?);
            }
        }
    }
    Ok(extra)
}

/// The key as it was before it was made to fit into a header name. A malformed one is kept as it is rather than lost.
pub(crate) fn unescape(key: &str) -> String {
    let decodes = |(at, _): (usize, &str)| {
        let digits = key.as_bytes().get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !key.match_indices('%').all(decodes) {
        return key.to_owned();
    }
    match percent_decode_str(key).decode_utf8() {
        Ok(decoded) => decoded.into_owned(),
        Err(_) => key.to_owned(),
    }
}

/// Names are compared as text, so bytes that are none must not be guessed at.
fn text(name: &HeaderName, value: &[u8]) -> Result<String, Rejection> {
    match std::str::from_utf8(value) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(Rejection::Header(name.to_string())),
    }
}

#[cfg(test)]
mod tests;
