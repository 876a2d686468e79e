//! Acting on the main cluster as a caller of ours: what they may do there is decided by their rights, not by ours.
//!
//! The server's own account needs the verb `impersonate` for whom it acts as. Headers as client-go writes them
//! (k8s.io/client-go transport/round_trippers.go).

use std::fmt::Write;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use kube::{Client, client::Body};
use tower_service::Service;

use crate::wire::user::UserInfo;

const USER: HeaderName = HeaderName::from_static("impersonate-user");
const UID: HeaderName = HeaderName::from_static("impersonate-uid");
const GROUP: HeaderName = HeaderName::from_static("impersonate-group");
const EXTRA: &str = "impersonate-extra-";

/// Why nobody can act as a caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Without a name nobody would be impersonated, and the request would be the server's own.
    #[error("the caller has no name to act under")]
    Nobody,
    /// Headers cannot carry it, or not as it is: it would arrive as somebody else.
    #[error("{part} {value:?} cannot be carried by a header")]
    Unspeakable {
        /// Which part of the identity.
        part: &'static str,
        /// The part.
        value: String,
    },
}

/// A client that does everything as `user`, over the connections of `client`: with their uid, their groups, and all else
/// that is known of them.
///
/// # Errors
/// The identity is empty, or cannot be said. There is no client then, rather than one that acts as anybody else.
pub fn client(client: &Client, user: &UserInfo) -> Result<Client, Error> {
    let acting = Acting {
        headers: headers(user)?,
        client: client.clone(),
    };
    Ok(Client::new(acting, client.default_namespace()))
}

/// The headers that say as whom a request is made.
///
/// # Errors
/// As [`client`].
pub fn headers(user: &UserInfo) -> Result<HeaderMap, Error> {
    if user.name.is_empty() {
        return Err(Error::Nobody);
    }
    let mut headers = HeaderMap::new();
    headers.append(USER, value("user name", &user.name)?);
    if !user.uid.is_empty() {
        headers.append(UID, value("uid", &user.uid)?);
    }
    for group in &user.groups {
        headers.append(GROUP, value("group", group)?);
    }
    for (key, values) in &user.extra {
        for one in values {
            headers.append(extra(key)?, value("extra value", one)?);
        }
    }
    Ok(headers)
}

/// A value that arrives as it is: neither empty nor with white space at its ends, which servers take away.
fn value(part: &'static str, text: &str) -> Result<HeaderValue, Error> {
    let unspeakable = || Error::Unspeakable {
        part,
        value: text.to_owned(),
    };
    // An extra may be empty; a group or a name of nothing means somebody else.
    let empty = text.is_empty() && part != "extra value";
    if empty || text.trim_matches([' ', '\t']) != text {
        return Err(unspeakable());
    }
    HeaderValue::from_bytes(text.as_bytes()).map_err(|_| unspeakable())
}

/// The key with everything escaped that a header's name cannot carry; so are capital letters, which would arrive as small.
fn extra(key: &str) -> Result<HeaderName, Error> {
    let mut name = EXTRA.to_owned();
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => name.push(char::from(byte)),
            b'!' | b'#' | b'$' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~' => {
                name.push(char::from(byte));
            }
            byte => {
                let _ = write!(name, "%{byte:02x}");
            }
        }
    }
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::Unspeakable {
        part: "extra key",
        value: key.to_owned(),
    })
}

/// Adds the headers to every request, in place of any that are there.
struct Acting {
    headers: HeaderMap,
    client: Client,
}

impl Service<Request<Body>> for Acting {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, kube::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let own = request.headers_mut();
        let said: Vec<HeaderName> = own
            .keys()
            .filter(|name| name.as_str().starts_with("impersonate-"))
            .cloned()
            .collect();
        for name in said {
            own.remove(name);
        }
        for (name, value) in &self.headers {
            own.append(name, value.clone());
        }
        let client = self.client.clone();
        async move { client.send(request).await }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn user(name: &str, extra: &[(&str, &str)]) -> UserInfo {
        UserInfo {
            name: name.to_owned(),
            uid: "u-1".to_owned(),
            groups: vec!["team".to_owned(), "system:authenticated".to_owned()],
            extra: extra
                .iter()
                .map(|(key, value)| ((*key).to_owned(), vec![(*value).to_owned()]))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn everything_that_is_known_is_said() {
        let said = headers(&user("grüße", &[("example.org/Größe%", "ü 1"), ("plain", "")])).unwrap();
        let text = |name: &str| {
            let values = said.get_all(name).iter();
            values
                .map(|value| String::from_utf8(value.as_bytes().to_vec()).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(text("impersonate-user"), ["grüße"]);
        assert_eq!(text("impersonate-uid"), ["u-1"]);
        assert_eq!(text("impersonate-group"), ["team", "system:authenticated"]);
        assert_eq!(text("impersonate-extra-example.org%2f%47r%c3%b6%c3%9fe%25"), ["ü 1"]);
        assert_eq!(text("impersonate-extra-plain"), [""]);
    }

    #[test]
    fn nobody_acts_as_whom_headers_cannot_name() {
        assert_eq!(headers(&UserInfo::default()), Err(Error::Nobody));
        let refused = |user: UserInfo| matches!(headers(&user), Err(Error::Unspeakable { .. }));
        for name in [" admin", "admin\t", "a\nb", "\0", " "] {
            assert!(refused(user(name, &[])), "{name:?}");
            let grouped = UserInfo {
                groups: vec![name.to_owned()],
                ..user("alice", &[])
            };
            assert!(refused(grouped), "{name:?}");
            assert!(refused(user("alice", &[("k", name)])), "{name:?}");
        }
        let ungrouped = UserInfo {
            groups: vec![String::new()],
            ..user("alice", &[])
        };
        assert!(refused(ungrouped), "a group of nothing");
    }
}
