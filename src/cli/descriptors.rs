//! How many files and connections the process may have open at once.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Kept for what is no client's connection: the store, the cluster, webhooks, files, logs.
const OTHERS: u64 = 256;

/// Raises the limit on open files to the most that the process is allowed, as Go's runtime does when it starts (`os/rlimit.go`), and
/// warns when even that is less than `max_connections` need.
pub(super) fn raise(max_connections: usize) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
    if let Some(complaint) = complaint(getrlimit(Resource::Nofile).current, max_connections) {
        tracing::warn!("{complaint}");
    }
}

/// What is wrong with `limit`, `None` when there is no limit, for a server of so many connections.
fn complaint(limit: Option<u64>, max_connections: usize) -> Option<String> {
    let needed = u64::try_from(max_connections)
        .unwrap_or(u64::MAX)
        .saturating_add(OTHERS);
    let limit = limit.filter(|limit| *limit < needed)?;
    Some(format!(
        "{limit} files may be open at once, and --max-connections={max_connections} needs {needed}: raise the hard limit (ulimit -Hn, \
         LimitNOFILE of systemd or of the container runtime), or lower the flag"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_the_connections_is_told() {
        assert_eq!(complaint(None, 10_000), None);
        assert_eq!(complaint(Some(10_256), 10_000), None);
        let told = complaint(Some(10_255), 10_000).unwrap();
        assert!(
            told.starts_with("10255 files may be open at once, and --max-connections=10000 needs 10256"),
            "{told}"
        );
    }
}
