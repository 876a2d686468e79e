//! What etcd itself can do: the transaction of a create, by as many clients.

use bytes::Bytes;
use etcd_client::{Client, Compare, CompareOp, Txn, TxnOp};

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
}
