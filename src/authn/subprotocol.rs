//! Bearer tokens of pages in a browser: of a WebSocket's request they can set the protocols and no other header
//! (k8s.io/apiserver pkg/authentication/request/websocket/protocol.go, k8s.io/streaming pkg/httpstream/wsstream).

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::HeaderMap;
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_PROTOCOL, UPGRADE};

use super::Rejection;
use super::token::BearerToken;

#[cfg(test)]
mod tests;

/// What a protocol begins with that is a token.
const PREFIX: &[u8] = b"base64url.bearer.authorization.k8s.io.";
/// As lenient as Go's about the last bits.
const RAW_URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a request asks for a WebSocket.
pub fn asked_for(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let options = text(CONNECTION).unwrap_or_default().split(',');
    text(UPGRADE).is_some_and(|protocol| protocol.eq_ignore_ascii_case("websocket"))
        && options
            .map(str::trim)
            .any(|option| option.eq_ignore_ascii_case("upgrade"))
}

/// The token among the protocols that are offered for a WebSocket, if there is one.
///
/// # Errors
/// It cannot be one, there are several, or there is nothing beside it that could be agreed on.
pub fn token(headers: &HeaderMap) -> Result<Option<BearerToken>, Rejection> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) || !asked_for(headers) {
        return Ok(None);
    }
    let refused = |why: &str| Err(Rejection::Token(format!("WebSocket protocol: {why}")));
    let mut found = None;
    let mut others = false;
    for protocol in protocols(headers) {
        let Some(encoded) = protocol.strip_prefix(PREFIX) else {
            others = true;
            continue;
        };
        if found.is_some() {
            return refused("several tokens");
        }
        let Ok(decoded) = RAW_URL.decode(encoded) else {
            return refused("not base64url");
        };
        match String::from_utf8(decoded) {
            Ok(token) => found = Some(token),
            Err(_) => return refused("not UTF-8"),
        }
    }
    match found.filter(|token| !token.is_empty()) {
        Some(_) if !others => refused("no other protocol beside the token"),
        found => Ok(found.map(BearerToken::new)),
    }
}

/// Takes tokens out of the protocols, whoever the request is from: what is left may be answered and logged. Go leaves those
/// that it had no need of.
pub fn remove(headers: &mut HeaderMap) {
    if !protocols(headers).any(|protocol| protocol.starts_with(PREFIX)) {
        return;
    }
    let others: Vec<&[u8]> = protocols(headers)
        .filter(|protocol| !protocol.starts_with(PREFIX))
        .collect();
    let others = HeaderValue::from_bytes(&others.join(&b','));
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if let Some(others) = others.ok().filter(|others| !others.is_empty()) {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, others);
    }
}

/// Several headers are the same as one with a longer list (RFC 6455, section 11.3.4).
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    lists
        .flat_map(|list| list.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}
