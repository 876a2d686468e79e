//! The front proxy's headers, one `name: value` a line, and the same texts as Go's proxy sends them.

use std::sync::LazyLock;

use bulward::authn::request_header::{authenticate, remove};
use bulward::authn::trust::{CaPool, HeaderNames, RequestHeader};
use bulward::certs::{Authority, Leaf};
use bulward::http::request_info::RequestInfo;
use bulward::wire::options::Query;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::headers;

/// What k8s.io/client-go transport.headerKeyEscape escapes: everything but the token characters, and the percent sign.
const KEY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'*')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');
/// What Go's url.PathEscape escapes, and a little more.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'/')
    .add(b'?')
    .add(b'#')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'\\')
    .add(b'^')
    .add(b'{')
    .add(b'|')
    .add(b'}');

struct World {
    proxy: RequestHeader,
    chain: Vec<CertificateDer<'static>>,
    foreign: Vec<CertificateDer<'static>>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let issued = |authority: &Authority, name: &str| {
        let pair = authority.issue(&Leaf::client(name, &[])).expect("a certificate");
        vec![CertificateDer::from_pem_slice(pair.certificate_pem.as_bytes()).expect("PEM")]
    };
    let authority = Authority::new("front-proxy-ca").expect("an authority");
    let other = Authority::new("other-ca").expect("an authority");
    let list = |name: &str| vec![name.to_owned()];
    let headers = HeaderNames::parse(
        "test",
        &list("X-Remote-User"),
        &list("X-Remote-Uid"),
        &list("X-Remote-Group"),
        &list("X-Remote-Extra-"),
    );
    World {
        proxy: RequestHeader {
            ca: CaPool::from_pem("test", authority.certificate_pem().as_bytes()).expect("PEM"),
            allowed_names: list("front-proxy-client"),
            headers: headers.expect("names"),
        },
        chain: issued(&authority, "front-proxy-client"),
        foreign: issued(&other, "front-proxy-client"),
    }
});

pub(super) fn target(data: &[u8]) -> bool {
    let headers = headers::read(data);
    let understood = believed(&headers);
    if let Ok(text) = std::str::from_utf8(data) {
        round_trip(text);
    }
    understood
}

/// What a proxy's headers say is what was sent, and nobody but the proxy is believed.
fn believed(all: &HeaderMap) -> bool {
    let world = &*WORLD;
    let now = UnixTime::now();
    assert_eq!(authenticate(&world.proxy, all, &[], now).ok(), Some(None));
    assert!(authenticate(&world.proxy, all, &world.foreign, now).is_err());
    // Of a name and a uid the first line counts, even if it is empty.
    let first = |name: &str| all.get(name).map_or(&[][..], HeaderValue::as_bytes);
    let sent = |name: &str| -> Vec<&[u8]> {
        let values = all.get_all(name).iter().map(HeaderValue::as_bytes);
        values.filter(|value| !value.is_empty()).collect()
    };
    let extras = all
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-remote-extra-"));
    let extras: Vec<&[u8]> = extras.map(|(_, value)| value.as_bytes()).collect();
    let told = authenticate(&world.proxy, all, &world.chain, now);
    let mut understood = false;
    match told {
        Ok(Some(user)) => {
            understood = true;
            assert!(!user.name.is_empty());
            assert_eq!(user.name.as_bytes(), first("x-remote-user"));
            let groups: Vec<&[u8]> = user.groups.iter().map(String::as_bytes).collect();
            assert_eq!(groups, sent("x-remote-group"), "as many groups as were sent, and these");
            assert_eq!(user.uid.as_bytes(), first("x-remote-uid"));
            let mut values: Vec<&[u8]> = user.extra.values().flatten().map(String::as_bytes).collect();
            let mut wanted = extras;
            values.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(values, wanted);
        }
        Ok(None) => assert!(first("x-remote-user").is_empty()),
        Err(_) => {
            let given = [
                sent("x-remote-user"),
                sent("x-remote-group"),
                sent("x-remote-uid"),
                extras,
            ]
            .concat();
            assert!(given.iter().any(|value| std::str::from_utf8(value).is_err()), "{all:?}");
        }
    }
    let mut left = all.clone();
    remove(&mut left, Some(&world.proxy.headers));
    assert!(left.keys().all(|name| !headers::introduces(name.as_str())), "{left:?}");
    let others = all.iter().filter(|(name, _)| !headers::introduces(name.as_str()));
    assert!(left.len() >= others.count(), "nothing else is taken");
    understood
}

/// A text through Go's proxy: as a name, a group, the key of an extra, and a name in the path.
fn round_trip(text: &str) {
    let world = &*WORLD;
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", HeaderValue::from_static("alice"));
    let value = HeaderValue::from_bytes(text.as_bytes())
        .ok()
        .filter(|value| !value.is_empty());
    if let Some(value) = &value {
        headers.append("x-remote-group", value.clone());
    }
    let key = utf8_percent_encode(text, KEY).to_string();
    let name = HeaderName::from_bytes(format!("x-remote-extra-{key}").as_bytes());
    if let Ok(name) = &name {
        headers.append(name, HeaderValue::from_static("v"));
    }
    let told = authenticate(&world.proxy, &headers, &world.chain, UnixTime::now());
    let user = told.ok().flatten().expect("a caller");
    assert_eq!(user.groups.first().map(String::as_str), value.map(|_| text));
    if name.is_ok() {
        // Header names have no case, so what was a letter comes in the lower one.
        let keys: Vec<&String> = user.extra.keys().collect();
        assert_eq!(keys, [&text.to_ascii_lowercase()]);
    }
    let segment = utf8_percent_encode(text, SEGMENT).to_string();
    if !text.is_empty() && !text.contains('/') {
        let path = format!("/apis/apiserver.bulward.io/v1alpha1/organizations/{segment}");
        let info = RequestInfo::parse(&Method::GET, &path, &Query::default());
        assert_eq!(
            (info.name.as_str(), info.resource.as_str(), info.verb.as_str()),
            (text, "organizations", "get")
        );
    }
}
