//! Free loopback ports for programs that cannot be told "any".

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};

use parking_lot::Mutex;

/// Below the kernel's range for outgoing connections (from 32768 on Linux): a port that was handed out cannot become the
/// source of somebody's connection before its server binds it, nor while that server is being restarted.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on now and that this test process has not handed out before.
pub(crate) fn free() -> u16 {
    static GIVEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut given = GIVEN.lock();
    let given = given.get_or_insert_default();
    for _ in 0..1_000 {
        let port = rand::random_range(RANGE);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && given.insert(port) {
            return port;
        }
    }
    panic!("no free port in {RANGE:?} after 1000 tries");
}
