//! One of the servers that are compared.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use crate::client::{Ask, Connection, Connector};
use crate::machine::Watched;
use crate::objects::{OWNER, TEN, name};

/// A server, its process and how its objects are addressed.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) connector: Connector,
    pub(crate) process: Watched,
    /// The path of the collection.
    pub(crate) collection: &'static str,
    /// What a query needs so that `ten` gets ten objects.
    pub(crate) tens: &'static str,
    /// What a query needs so that the guest gets what was granted.
    pub(crate) guests: &'static str,
    /// What is merged into an object to grant it to a user.
    pub(crate) grant: fn(&str) -> String,
    /// Makes an object: its number, of how many, and the length of its padding.
    pub(crate) object: fn(usize, usize, usize) -> Bytes,
    /// The padding with which objects are as long as wanted.
    pub(crate) padding: usize,
}

impl Peer {
    /// Finds the padding with which an object is served in `bytes` bytes, its newline not counted.
    pub(crate) async fn level(&mut self, bytes: usize) {
        let mut owner = self.known().await;
        let (number, objects) = (9_999_999, 100);
        for _ in 0..2 {
            let body = (self.object)(number, objects, self.padding);
            let (status, text) = owner.text(Ask::post(self.collection.to_owned(), body)).await;
            assert_eq!(status, StatusCode::CREATED, "{}: {text}", self.name);
            let (status, text) = owner.text(self.get(number)).await;
            assert_eq!(status, StatusCode::OK, "{}: {text}", self.name);
            self.remove(&mut owner, number).await;
            let length = text.trim_end().len();
            let padding = (self.padding + bytes).checked_sub(length);
            self.padding = padding.unwrap_or_else(|| panic!("{}: objects have {length} bytes already", self.name));
        }
    }

    /// The owner, once the server believes the front proxy who is asking: it may be ready before it has read whom to believe,
    /// and hang up on those who came too early.
    async fn known(&self) -> Connection {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut owner = self.connector.connect(OWNER.0, OWNER.1).await;
            let answer = owner.try_text(Ask::get(self.tens_path())).await;
            if matches!(answer, Ok((StatusCode::OK, _))) {
                return owner;
            }
            assert!(Instant::now() < deadline, "{}: {answer:?}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The request for an object.
    pub(crate) fn get(&self, number: usize) -> Ask {
        Ask::get(format!("{}/{}", self.collection, name(number)))
    }

    /// The request that makes an object.
    pub(crate) fn create(&self, number: usize, objects: usize) -> Ask {
        let body = (self.object)(number, objects, self.padding);
        Ask::post(self.collection.to_owned(), body)
    }

    /// Deletes an object.
    pub(crate) async fn remove(&self, owner: &mut Connection, number: usize) {
        let path = format!("{}/{}", self.collection, name(number));
        let (status, text) = owner.text(Ask::delete(path)).await;
        assert_eq!(status, StatusCode::OK, "{}: {text}", self.name);
    }

    /// Lists as `ten` and as the owner, and checks what comes.
    pub(crate) async fn check(&self, objects: usize) {
        let count = |text: &str| {
            let list: Value = serde_json::from_str(text).expect("JSON");
            list["items"].as_array().map_or(0, Vec::len)
        };
        let mut ten = self.connector.connect(TEN.0, TEN.1).await;
        let (status, text) = ten.text(Ask::get(self.tens_path())).await;
        assert_eq!(status, StatusCode::OK, "{}: {text}", self.name);
        assert_eq!(count(&text), 10, "{}: ten sees ten", self.name);
        let mut owner = self.connector.connect(OWNER.0, OWNER.1).await;
        let (status, text) = owner.text(Ask::get(self.collection.to_owned())).await;
        assert_eq!(status, StatusCode::OK, "{}", self.name);
        assert_eq!(count(&text), objects, "{}: the owner sees all", self.name);
    }

    /// The path and query that give `ten` ten objects.
    pub(crate) fn tens_path(&self) -> String {
        format!("{}?{}", self.collection, self.tens.trim_start_matches('&'))
    }
}
