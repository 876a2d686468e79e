//! etcd's errors in the storage's words. The texts are those of api/v3rpc/rpctypes/error.go in etcd.

use std::error::Error as _;

use etcd_client::Error as Etcd;

use crate::storage::{Error, Revision, check};

/// What a call on one member ended with.
#[derive(Debug)]
pub(super) struct Failure {
    /// The storage's error; a `Compacted` or `Future` in it lacks the revision that was asked for, see [`at`].
    pub(super) error: Error,
    /// The member refused the connection, so it cannot have seen the request.
    pub(super) unsent: bool,
    /// The token is not accepted, for instance because the member was restarted.
    pub(super) token: bool,
}

/// Translates the error of a request to `endpoint`.
pub(super) fn failure(endpoint: &str, error: &Etcd) -> Failure {
    let Etcd::GRpcStatus(status) = error else {
        let text = format!("etcd at {endpoint}: {error}{}", sources(error.source()));
        return Failure {
            error: match error {
                Etcd::TransportError(_) | Etcd::IoError(_) | Etcd::WatchError(_) | Etcd::Internal(_) => {
                    Error::Unavailable(text)
                }
                _ => Error::Failed(text),
            },
            unsent: false,
            token: false,
        };
    };
    let refused = |source: Cause<'_>| {
        let io = source.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused)
    };
    let text = format!("{}{}", status.message(), sources(status.source()));
    Failure {
        error: if distrusted(&text) {
            Error::Failed(format!("etcd at {endpoint}: {text}"))
        } else {
            refusal(endpoint, Some(i32::from(status.code())), &text)
        },
        unsent: chain(status.source()).any(refused),
        token: status.message().contains("invalid auth token") || status.message().contains("auth store is old"),
    }
}

/// Whether one side does not trust the other's certificate, in rustls' words; hyper passes on nothing but the text.
fn distrusted(text: &str) -> bool {
    let alert = text.contains("received fatal alert") && (text.contains("ertificate") || text.contains("UnknownCA"));
    alert || text.contains("invalid peer certificate")
}

/// Translates the text with which etcd refuses a request or cancels a watch; `code` is gRPC's number,
/// where there is one.
pub(super) fn refusal(endpoint: &str, code: Option<i32>, text: &str) -> Error {
    let full = format!("etcd at {endpoint}: {text}");
    let has = |part: &str| text.contains(part);
    if has("revision has been compacted") {
        return Error::Compacted {
            requested: 0,
            oldest: 0,
        };
    }
    if has("is a future revision") {
        return Error::Future {
            requested: 0,
            current: 0,
        };
    }
    if has("request is too large") || has("received message larger than max") {
        return check::too_large(&full);
    }
    // A token that could not be renewed in this attempt, or load: another attempt may do.
    if has("invalid auth token") || has("auth store is old") || has("too many requests") {
        return Error::Unavailable(full);
    }
    match code {
        Some(code) if lasting(code) => Error::Failed(full),
        None if has("permission denied") || has("user name is empty") => Error::Failed(full),
        _ => Error::Unavailable(full),
    }
}

/// Whether a request that ended with this gRPC status would end so again.
fn lasting(code: i32) -> bool {
    const INVALID_ARGUMENT: i32 = 3;
    const NOT_FOUND: i32 = 5;
    const ALREADY_EXISTS: i32 = 6;
    const PERMISSION_DENIED: i32 = 7;
    const RESOURCE_EXHAUSTED: i32 = 8;
    const FAILED_PRECONDITION: i32 = 9;
    const OUT_OF_RANGE: i32 = 11;
    const UNIMPLEMENTED: i32 = 12;
    const DATA_LOSS: i32 = 15;
    const UNAUTHENTICATED: i32 = 16;
    matches!(
        code,
        INVALID_ARGUMENT
            | NOT_FOUND
            | ALREADY_EXISTS
            | PERMISSION_DENIED
            | RESOURCE_EXHAUSTED
            | FAILED_PRECONDITION
            | OUT_OF_RANGE
            | UNIMPLEMENTED
            | DATA_LOSS
            | UNAUTHENTICATED
    )
}

/// Puts the revision that was asked for into the error.
pub(super) fn at(error: Error, revision: Revision) -> Error {
    match error {
        Error::Compacted { oldest, .. } => Error::Compacted {
            requested: revision,
            oldest,
        },
        Error::Future { current, .. } => Error::Future {
            requested: revision,
            current,
        },
        other => other,
    }
}

/// An error's causes, outermost first.
type Cause<'a> = &'a (dyn std::error::Error + 'static);

fn chain(first: Option<Cause<'_>>) -> impl Iterator<Item = Cause<'_>> {
    std::iter::successors(first, |error: &Cause<'_>| (*error).source())
}

fn sources(first: Option<Cause<'_>>) -> String {
    chain(first).map(|source| format!(": {source}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_their_meaning() {
        let unavailable = [
            (Some(14), "etcdserver: no leader"),
            (Some(14), "etcdserver: request timed out"),
            (Some(4), "context deadline exceeded"),
            (Some(8), "etcdserver: too many requests"),
            (Some(16), "etcdserver: invalid auth token"),
            (Some(3), "etcdserver: revision of auth store is old"),
            (Some(13), "h2 protocol error"),
            (None, "etcdserver: no leader"),
        ];
        for (code, text) in unavailable {
            let error = refusal("http://e", code, text);
            let Error::Unavailable(told) = &error else {
                panic!("{text}: {error:?}")
            };
            assert_eq!(*told, format!("etcd at http://e: {text}"));
        }
        let failed = [
            (Some(8), "etcdserver: mvcc: database space exceeded"),
            (Some(3), "etcdserver: request is too large"),
            (Some(8), "grpc: received message larger than max (9 vs. 8)"),
            (
                Some(3),
                "etcdserver: authentication failed, invalid user ID or password",
            ),
            (Some(9), "etcdserver: authentication is not enabled"),
            (Some(15), "etcdserver: corrupt cluster"),
            (Some(7), "etcdserver: permission denied"),
            (None, "etcdserver: permission denied"),
            (
                None,
                "rpc error: code = InvalidArgument desc = etcdserver: user name is empty",
            ),
        ];
        for (code, text) in failed {
            let error = refusal("http://e", code, text);
            assert!(
                matches!(&error, Error::Failed(told) if told.contains(text)),
                "{text}: {error:?}"
            );
        }
        let out_of_range = |text| at(refusal("http://e", Some(11), text), 7);
        assert_eq!(
            out_of_range("etcdserver: mvcc: required revision has been compacted"),
            Error::Compacted {
                requested: 7,
                oldest: 0
            }
        );
        assert_eq!(
            out_of_range("etcdserver: mvcc: required revision is a future revision"),
            Error::Future {
                requested: 7,
                current: 0
            }
        );
    }
}
