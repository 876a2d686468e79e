use std::sync::Arc;

use bulward::storage::Storage;
use bulward::storage::memory::Memory;

async fn open() -> (Arc<dyn Storage>, ()) {
    (Arc::new(Memory::new()), ())
}

super::conformance::suite!(open());
