//! Objects by the hundred thousand: written straight into etcd, as each server itself stores them.

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;

use crate::objects::{self, OWNER};
use crate::peer::Peer;
use crate::raw::Raw;

/// Puts of a transaction: etcd's default limit.
const BATCH: usize = 128;
/// Transactions on the way at once.
const WRITERS: usize = 4;
/// Numbers of the objects that are made to see what the server stores: of a hundred, `ten` sees the first.
const MODELS: [usize; 2] = [9_999_990, 9_999_991];

/// What a server stores for an object that `ten` sees, and for another one.
pub(crate) struct Pattern {
    tens: Stored,
    others: Stored,
}

struct Stored {
    /// Below the server's prefix.
    key: String,
    value: Vec<u8>,
    name: String,
    /// Where the name and the uid stand in the value.
    names: Vec<usize>,
    uids: Vec<usize>,
}

impl Pattern {
    /// Has the server make two objects and looks what is in etcd then.
    pub(crate) async fn learn(peer: &Peer, etcd: &str) -> Pattern {
        let mut owner = peer.connector.connect(OWNER.0, OWNER.1).await;
        let mut raw = Raw::connections(etcd, 1).await.remove(0);
        let prefix = peer.process.flag("etcd-prefix");
        let mut learned = Vec::new();
        for number in MODELS {
            let (status, text) = owner.text(peer.create(number, 100)).await;
            assert_eq!(status, http::StatusCode::CREATED, "{}: {text}", peer.name);
            let name = objects::name(number);
            let (key, value) = raw.find(&format!("{prefix}/"), &name).await;
            peer.remove(&mut owner, number).await;
            let stored: Value = serde_json::from_slice(&value).expect("the server stores JSON");
            let uid = stored["metadata"]["uid"].as_str().expect("a uid");
            learned.push(Stored {
                key: key[prefix.len()..].to_owned(),
                names: places(&value, &name),
                uids: places(&value, uid),
                name,
                value,
            });
        }
        let others = learned.pop().expect("two");
        let tens = learned.pop().expect("two");
        Pattern { tens, others }
    }

    /// Writes `objects` of them below `prefix`.
    pub(crate) async fn sow(&self, etcd: &str, prefix: &str, objects: usize) {
        let started = Instant::now();
        let writers = Raw::connections(etcd, WRITERS).await;
        let writing = writers.into_iter().enumerate().map(|(at, mut raw)| async move {
            let starts = (at * BATCH..objects).step_by(BATCH * WRITERS);
            for start in starts {
                let numbers = start..objects.min(start + BATCH);
                raw.put_all(numbers.map(|number| self.entry(prefix, number, objects)))
                    .await;
            }
        });
        futures::future::join_all(writing).await;
        eprintln!("{objects} objects below {prefix} after {:.1?}", started.elapsed());
    }

    fn entry(&self, prefix: &str, number: usize, objects: usize) -> (String, Bytes) {
        let stored = match objects::is_tens(number, objects) {
            true => &self.tens,
            false => &self.others,
        };
        let name = objects::name(number);
        let uid = format!("{number:08x}-0000-4000-8000-{number:012x}");
        let mut value = stored.value.clone();
        let mut write = |places: &[usize], text: &str| {
            for at in places {
                value[*at..at + text.len()].copy_from_slice(text.as_bytes());
            }
        };
        write(&stored.names, &name);
        write(&stored.uids, &uid);
        let key = stored.key.replace(&stored.name, &name);
        (format!("{prefix}{key}"), Bytes::from(value))
    }
}

fn places(value: &[u8], text: &str) -> Vec<usize> {
    let windows = value.windows(text.len()).enumerate();
    let found = windows.filter(|(_, window)| *window == text.as_bytes());
    found.map(|(at, _)| at).collect()
}
