//! A watch as its client reads it: line by line, with a deadline.
//!
//! That nothing was sent is proven by what comes next: a marker, never a pause.

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;

use super::DEADLINE;
use super::answer::{key, revision};

/// One line of a watch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Event {
    /// ADDED, MODIFIED, DELETED, BOOKMARK or ERROR.
    pub(crate) kind: String,
    pub(crate) object: Value,
}

/// A running watch; dropping it closes the connection.
pub(crate) struct Watching {
    path: String,
    body: Body,
    unread: BytesMut,
}

impl Event {
    /// `name` or `namespace/name`.
    pub(crate) fn key(&self) -> String {
        key(&self.object)
    }

    pub(crate) fn revision(&self) -> u64 {
        revision(&self.object)
    }

    /// Whether this bookmark ends the initial events.
    pub(crate) fn ends_initial(&self) -> bool {
        self.kind == "BOOKMARK" && self.object["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
    }
}

impl Watching {
    pub(super) fn new(path: String, response: Response<Body>) -> Self {
        let body = response.into_body();
        Self {
            path,
            body,
            unread: BytesMut::new(),
        }
    }

    /// Whether a further line has come with what was read.
    pub(crate) fn has_line(&self) -> bool {
        self.unread.contains(&b'\n')
    }

    /// The next line; `None` at a clean end.
    pub(crate) async fn line(&mut self) -> Option<Bytes> {
        let line = tokio::time::timeout(DEADLINE, self.try_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{}: nothing within {DEADLINE:?}", self.path));
        line.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The next line, however long it takes, where the connection may break.
    async fn try_line(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.split_to(at + 1).freeze();
                return Ok(Some(line.slice(..at)));
            }
            match self.body.frame().await {
                None if self.unread.is_empty() => return Ok(None),
                None => return Err(format!("{}: ends within a line: {:?}", self.path, self.unread)),
                Some(frame) => {
                    let frame = frame.map_err(|error| format!("{}: {error}", self.path))?;
                    if let Ok(data) = frame.into_data() {
                        self.unread.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    /// The next event; `None` at a clean end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        let line = self.line().await?;
        Some(self.event_of(&line))
    }

    /// The next event, however long it takes, where the connection may break.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Event>, String> {
        let line = self.try_line().await?;
        Ok(line.map(|line| self.event_of(&line)))
    }

    fn event_of(&self, line: &[u8]) -> Event {
        let mut value: Value = serde_json::from_slice(line)
            .unwrap_or_else(|error| panic!("{}: {error}: {}", self.path, String::from_utf8_lossy(line)));
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        let object = value["object"].take();
        Event { kind, object }
    }

    /// The next event, which must be there.
    pub(crate) async fn event(&mut self) -> Event {
        let event = self.next().await;
        event.unwrap_or_else(|| panic!("{}: ended", self.path))
    }

    /// The next event must be this one; answers its object.
    pub(crate) async fn expect(&mut self, kind: &str, key: &str) -> Value {
        let event = self.event().await;
        let got = (event.kind.as_str(), event.key());
        assert_eq!(got, (kind, key.to_owned()), "{}: {}", self.path, event.object);
        event.object
    }

    /// The next event must be a bookmark; answers its revision.
    pub(crate) async fn bookmark(&mut self) -> u64 {
        let event = self.event().await;
        assert_eq!(event.kind, "BOOKMARK", "{}: {}", self.path, event.object);
        event.revision()
    }

    /// The initial events up to their bookmark: names in the order received, and the bookmark's revision.
    pub(crate) async fn initial(&mut self) -> (Vec<String>, u64) {
        let mut names = Vec::new();
        loop {
            let event = self.event().await;
            if event.ends_initial() {
                return (names, event.revision());
            }
            assert_eq!(event.kind, "ADDED", "{}: {}", self.path, event.object);
            names.push(event.key());
        }
    }

    /// Nothing more comes: the stream must end cleanly here.
    pub(crate) async fn end(mut self) {
        let event = self.next().await;
        assert_eq!(event, None, "{}: the watch should have ended", self.path);
    }

    /// The whole rest as text, for failure messages.
    pub(crate) async fn rest(self) -> String {
        let bytes = self.body.collect_bytes().await.unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
