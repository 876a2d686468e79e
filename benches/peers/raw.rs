//! What etcd itself can do: the transaction of a create, by as many clients.

use bytes::Bytes;
use etcd_client::{Client, Compare, CompareOp, GetOptions, Txn, TxnOp};

/// A client with a connection of its own.
pub(crate) struct Raw {
    client: Client,
}

impl Raw {
    /// One for each of `count` clients.
    pub(crate) async fn connections(endpoint: &str, count: usize) -> Vec<Raw> {
        let connect = async || Raw {
            client: Client::connect([endpoint], None).await.expect("connect to etcd"),
        };
        futures::future::join_all((0..count).map(|_| connect())).await
    }

    /// Writes a key that must not exist, as both servers do for a create.
    pub(crate) async fn create(&mut self, key: String, value: Bytes) -> bool {
        let txn = Txn::new()
            .when([Compare::mod_revision(key.clone(), CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key.clone(), value, None)])
            .or_else([TxnOp::get(key, None)]);
        self.client.txn(txn).await.expect("etcd answers").succeeded()
    }

    /// Writes a key.
    pub(crate) async fn put(&mut self, key: String, value: Bytes) {
        self.client.put(key, value, None).await.expect("etcd answers");
    }

    /// Writes all of them in one transaction.
    pub(crate) async fn put_all(&mut self, entries: impl Iterator<Item = (String, Bytes)>) {
        let puts: Vec<TxnOp> = entries.map(|(key, value)| TxnOp::put(key, value, None)).collect();
        let txn = Txn::new().and_then(puts);
        self.client.txn(txn).await.expect("etcd answers");
    }

    /// The one key below `prefix` that ends with `name`, and its value.
    pub(crate) async fn find(&mut self, prefix: &str, name: &str) -> (String, Vec<u8>) {
        // All values together are too large for one answer.
        let options = GetOptions::new().with_prefix().with_keys_only();
        let answer = self.client.get(prefix, Some(options)).await.expect("etcd answers");
        let found = answer.kvs().iter().find(|pair| pair.key().ends_with(name.as_bytes()));
        let found = found.unwrap_or_else(|| panic!("nothing below {prefix} ends with {name}"));
        let key = String::from_utf8(found.key().to_vec()).expect("keys are text");
        let answer = self.client.get(key.clone(), None).await.expect("etcd answers");
        (key, answer.kvs().first().expect("it was there").value().to_vec())
    }
}
