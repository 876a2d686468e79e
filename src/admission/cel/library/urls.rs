//! URLs (k8s.io/apiserver pkg/cel/library/urls.go), read as Go's net/url reads them.

use std::collections::HashMap;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::{Key, Opaque};

use super::addresses::parse_ip;
use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, map, opaque, string, strings};
use crate::wire::quote::go_quote;

pub(super) const NAMES: &[&str] = &[
    "getEscapedPath",
    "getHost",
    "getHostname",
    "getPort",
    "getQuery",
    "getScheme",
    "isURL",
    "url",
];

/// A URL in its parts. Two are equal if they are written alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Url {
    scheme: String,
    /// What follows a scheme without a slash.
    rootless: String,
    user: String,
    host: String,
    path: String,
    query: Option<String>,
    fragment: String,
}

impl Opaque for Url {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.URL"
    }
}

/// Where a text with escapes stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Host,
    User,
    Path,
    Query,
    Fragment,
}

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    let [value] = arguments else { return Ok(None) };
    if let ("url" | "isURL", Value::String(text)) = (name, value) {
        let parsed = complaint(text).map_or_else(|| parse_with_fragment(text), Err);
        return match (name, parsed) {
            ("isURL", _) => Ok(Some(Value::Bool(complaint(text).is_none()))),
            (_, Ok(url)) => Ok(Some(opaque(url))),
            (_, Err(why)) => {
                let why = format!("URL parse error during conversion from string: {why}");
                Err(Failure::new(why))
            }
        };
    }
    let Some(url) = as_opaque::<Url>(value) else {
        return Ok(None);
    };
    Ok(Some(match name {
        "getEscapedPath" => string(url.path.as_str()),
        "getHost" => string(url.host.as_str()),
        "getHostname" => string(url.split_host().0),
        "getPort" => string(url.split_host().1),
        "getQuery" => url.queries(),
        "getScheme" => string(url.scheme.as_str()),
        _ => return Ok(None),
    }))
}

/// What Go's ParseRequestURI says against a text.
pub(super) fn complaint(text: &str) -> Option<String> {
    let why = parse(text, true).err()?;
    Some(format!("parse {}: {why}", go_quote(text)))
}

fn parse_with_fragment(text: &str) -> Result<Url, String> {
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let mut url = parse(before, false).map_err(|why| format!("parse {}: {why}", go_quote(before)))?;
    let wrong = |why| format!("parse {}: {why}", go_quote(text));
    unescape(fragment, Part::Fragment).map_err(wrong)?;
    fragment.clone_into(&mut url.fragment);
    Ok(url)
}

fn parse(text: &str, as_request: bool) -> Result<Url, String> {
    if text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    if text.is_empty() && as_request {
        return Err("empty url".to_owned());
    }
    let mut url = Url::default();
    if text == "*" {
        text.clone_into(&mut url.path);
        return Ok(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let mut rest = match rest.split_once('?') {
        Some((rest, query)) => {
            url.query = Some(query.to_owned());
            rest
        }
        None => rest,
    };
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            rest.clone_into(&mut url.rootless);
            return Ok(url);
        }
        if as_request {
            return Err("invalid URI for request".to_owned());
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_authority = !scheme.is_empty() || !as_request && !rest.starts_with("///");
    if let Some(after) = rest.strip_prefix("//").filter(|_| has_authority) {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        rest = path;
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        url.host = parse_host(scheme, host)?;
        if !user
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte))
        {
            return Err("net/url: invalid userinfo".to_owned());
        }
        unescape(user, Part::User)?;
        user.clone_into(&mut url.user);
    }
    url.path = escaped_path(rest)?;
    Ok(url)
}

fn scheme(text: &str) -> Result<(&str, &str), String> {
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&text[..at], &text[at + 1..])),
            _ => break,
        }
    }
    Ok(("", text))
}

fn parse_host(scheme: &str, host: &str) -> Result<String, String> {
    let port = |port: &str| {
        let digits = port.strip_prefix(':').unwrap_or("x");
        if port.is_empty() || digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(())
        } else {
            Err(format!("invalid port {} after host", go_quote(port)))
        }
    };
    match host.rfind('[') {
        Some(0) => {
            let Some(end) = host.rfind(']') else {
                return Err("missing ']' in host".to_owned());
            };
            port(&host[end + 1..])?;
            let name = unescape(&host[1..end], Part::Host)?;
            match parse_ip(&name) {
                Ok(address) if address.is_ipv4() => Err("invalid IP-literal".to_owned()),
                Ok(_) => Ok(format!("[{name}]{}", &host[end + 1..])),
                Err(why) => Err(format!("invalid host: {why}")),
            }
        }
        Some(_) => Err("invalid IP-literal".to_owned()),
        None => {
            let strict = ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str());
            let colon = if strict { host.find(':') } else { host.rfind(':') };
            port(colon.map_or("", |at| &host[at..]))?;
            unescape(host, Part::Host)
        }
    }
}

/// Go's URL.EscapedPath: as it was written, if that is a way to write it.
fn escaped_path(path: &str) -> Result<String, String> {
    let plain = unescaped(path, Part::Path)?;
    let as_written = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:@[]%/".contains(&byte);
    if path.bytes().all(as_written) {
        return Ok(path.to_owned());
    }
    let mut escaped = String::with_capacity(path.len());
    for byte in plain {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(escaped)
}

fn unescape(text: &str, part: Part) -> Result<String, String> {
    unescaped(text, part).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn unescaped(text: &str, part: Part) -> Result<Vec<u8>, String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits = bytes
                    .get(at + 1..at + 3)
                    .and_then(|digits| std::str::from_utf8(digits).ok());
                let value = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
                let value = value.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let wrong = || {
                    let end = (at + 3).min(bytes.len());
                    let shown = String::from_utf8_lossy(&bytes[at..end]);
                    format!("invalid URL escape {}", go_quote(&shown))
                };
                let value = value.ok_or_else(wrong)?;
                if part == Part::Host && value < 0x80 && value != b'%' {
                    return Err(wrong());
                }
                plain.push(value);
                at += 3;
            }
            b'+' if part == Part::Query => {
                plain.push(b' ');
                at += 1;
            }
            byte => {
                let named = byte.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:[]<>\"".contains(&byte);
                if part == Part::Host && byte < 0x80 && !named {
                    let shown = go_quote(&char::from(byte).to_string());
                    return Err(format!("invalid character {shown} in host name"));
                }
                plain.push(byte);
                at += 1;
            }
        }
    }
    Ok(plain)
}

impl Url {
    /// The name, without brackets, and the port.
    fn split_host(&self) -> (&str, &str) {
        let (name, port) = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port),
            _ => (self.host.as_str(), ""),
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        (bare.unwrap_or(name), port)
    }

    /// What cannot be read is left out.
    fn queries(&self) -> Value {
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        let query = self.query.as_deref().unwrap_or_default();
        for pair in query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if let (Ok(key), Ok(value)) = (unescape(key, Part::Query), unescape(value, Part::Query)) {
                all.entry(key).or_default().push(value);
            }
        }
        map(all
            .into_iter()
            .map(|(key, values)| (Key::from(key.as_str()), strings(values)))
            .collect())
    }
}
