//! Where pods are: every port of each is a free one of this machine.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use parking_lot::Mutex;
use regex::{Captures, Regex};

use crate::harness::ports;

/// The ports that were given.
#[derive(Default)]
pub(super) struct Addresses(Mutex<BTreeMap<(String, u16), u16>>);

impl Addresses {
    /// The port of this machine for a port of a pod, which need not be there yet.
    pub(super) fn port(&self, pod: &str, port: u16) -> u16 {
        let mut given = self.0.lock();
        *given.entry((pod.to_owned(), port)).or_insert_with(ports::free)
    }

    /// An argument of the pod `own` with its addresses as they are here: `--flag=<port>` of its `ports`, what it listens on, and
    /// URLs, in which `<pod>.<set>.<namespace>.svc` is another pod.
    pub(super) fn here(&self, argument: &str, own: &str, ports: &[u16]) -> String {
        static URL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"://([a-z0-9.-]+):([0-9]+)").expect("a pattern"));
        let url = |found: &Captures<'_>| {
            let pod = match &found[1] {
                "0.0.0.0" => own,
                host => host.split('.').next().unwrap_or_default(),
            };
            let port = found[2].parse().expect("a port");
            format!("://127.0.0.1:{}", self.port(pod, port))
        };
        let argument = URL.replace_all(argument, url).replace("=0.0.0.0", "=127.0.0.1");
        match argument.split_once('=') {
            Some((flag, value)) => match value.parse().ok().filter(|port| ports.contains(port)) {
                Some(port) => format!("{flag}={}", self.port(own, port)),
                None => argument,
            },
            None => argument,
        }
    }
}
