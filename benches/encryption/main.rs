//! What encryption at rest costs: `cargo bench --bench encryption`. The same writes and lists on a storage in memory, plain and
//! encrypted, so that what differs is the encryption alone. docs/storage.md has the figures.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use bulward::storage::encrypted::{Encrypted, Keys, parse};
use bulward::storage::memory::Memory;
use bulward::storage::{ListRequest, Storage};
use bytes::Bytes;
use tokio::time::Instant;

const OBJECTS: usize = 20_000;
const ROUNDS: usize = 5;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for size in [500, 2_000, 20_000] {
            // In turns, and the best of each: what else the machine does is no part of it.
            let mut best = [[Duration::MAX; 2]; 2];
            for _ in 0..ROUNDS {
                for (own, encrypt) in best.iter_mut().zip([false, true]) {
                    let took = round(encrypt, size).await;
                    *own = [own[0].min(took[0]), own[1].min(took[1])];
                }
            }
            let [plain, encrypted] = best;
            for (what, at) in [("write", 0), ("list", 1)] {
                let each = |took: Duration| took.as_nanos() as f64 / OBJECTS as f64 / 1_000.0;
                let (plain, encrypted) = (each(plain[at]), each(encrypted[at]));
                println!(
                    "{what} of {size} bytes: {plain:.2} µs plain, {encrypted:.2} µs encrypted, {:.2} µs more",
                    encrypted - plain
                );
            }
        }
    });
}

async fn round(encrypt: bool, size: usize) -> [Duration; 2] {
    let memory: Arc<dyn Storage> = Arc::new(Memory::new());
    let storage = if encrypt {
        Arc::new(Encrypted::new(memory, keys()))
    } else {
        memory
    };
    let value = Bytes::from(vec![b'x'; size]);
    let start = Instant::now();
    for n in 0..OBJECTS {
        let written = storage.create(&format!("organizations/o{n}"), value.clone()).await;
        written.expect("a new key");
    }
    let written = start.elapsed();
    let start = Instant::now();
    let page = storage.list(ListRequest::default()).await.expect("a list");
    let listed = start.elapsed();
    assert_eq!(page.entries.len(), OBJECTS);
    [written, listed]
}

fn keys() -> Arc<Keys> {
    let secret = base64::prelude::BASE64_STANDARD.encode([7; 32]);
    let text = format!(
        "{{apiVersion: apiserver.config.k8s.io/v1, kind: EncryptionConfiguration, resources: [{{resources: ['*.*'], \
         providers: [{{aesgcm: {{keys: [{{name: a, secret: {secret}}}]}}}}]}}]}}"
    );
    Arc::new(Keys::new(parse(&text).unwrap_or_else(|why| panic!("{why}"))))
}
