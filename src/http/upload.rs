//! A request's body, which whoever answers may leave unread.

use std::sync::Arc;
use std::time::Duration;

use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::{Mutex, MutexGuard};

/// As much is read of a body that nobody wanted, in bytes, so that its connection can be used again (Go net/http server.go).
const LEFTOVER: usize = 256 << 10;
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's body. Clones are one and the same.
#[derive(Clone, Debug)]
pub struct Upload(Arc<Mutex<Incoming>>);

impl Upload {
    /// The body of a request that has arrived.
    pub fn new(incoming: Incoming) -> Self {
        Self(Arc::new(Mutex::new(incoming)))
    }

    /// What is left of the body, for reading it.
    pub async fn open(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().await
    }

    /// Reads what is left of the body, if it is not much. A client that is still sending would otherwise see its
    /// connection reset before it reads the answer.
    pub(super) async fn discard(&self) {
        let Ok(mut incoming) = self.0.try_lock() else { return };
        let mut left = LEFTOVER;
        let read = async {
            while !incoming.is_end_stream() {
                let Some(Ok(frame)) = incoming.frame().await else {
                    return;
                };
                let size = frame.data_ref().map_or(0, bytes::Bytes::len);
                match left.checked_sub(size) {
                    Some(rest) => left = rest,
                    None => return,
                }
            }
        };
        // A client that does not send on loses its connection instead.
        let _ = tokio::time::timeout(PATIENCE, read).await;
    }
}
