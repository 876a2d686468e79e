//! What a transaction may ask, and whether what it demands holds: one wording for all three storages.

use std::collections::HashSet;

use super::{Change, Entry, Error, Expect, Op};

/// Most operations in one transaction: etcd's default `--max-txn-ops`.
pub const MAX_OPERATIONS: usize = 128;

/// Most bytes, keys and values together, in one transaction: etcd's default `--max-request-bytes`, 1.5 MiB.
pub const MAX_TRANSACTION_BYTES: usize = 3 << 19;

/// Refuses what no storage could carry out: an empty key, a key twice, too many operations.
pub(super) fn shape(ops: &[Op]) -> Result<(), Error> {
    if ops.len() > MAX_OPERATIONS {
        let count = ops.len();
        return Err(Error::Failed(format!(
            "a transaction of {count} operations, at most {MAX_OPERATIONS} are allowed"
        )));
    }
    let mut seen = HashSet::with_capacity(ops.len());
    for op in ops {
        if op.key.is_empty() {
            return Err(Error::Failed("a transaction names an empty key".to_owned()));
        }
        if !seen.insert(op.key.as_str()) {
            return Err(Error::Failed(format!("a transaction names key {} twice", op.key)));
        }
    }
    Ok(())
}

/// Holds the in-process storages to etcd's default limit, so that what works on them works on etcd. etcd is not asked
/// to obey it here: its operator may have set another one.
pub(super) fn size(ops: &[Op]) -> Result<(), Error> {
    let bytes: usize = ops
        .iter()
        .map(|op| match &op.change {
            Change::Put(value) => op.key.len() + value.len(),
            Change::Delete | Change::Keep => op.key.len(),
        })
        .sum();
    if bytes > MAX_TRANSACTION_BYTES {
        return Err(too_large(&format!("{bytes} bytes")));
    }
    Ok(())
}

/// The error for a write that is too large to be stored.
pub(super) fn too_large(what: &str) -> Error {
    Error::Failed(format!(
        "value too large: {what}, a transaction may carry {MAX_TRANSACTION_BYTES} bytes (1.5 MiB, etcd's default \
         --max-request-bytes)"
    ))
}

/// Whether `op`'s demand holds when `current` is what its key has now.
pub(super) fn demand(op: &Op, current: Option<Entry>) -> Result<(), Error> {
    match (op.expect, current) {
        (Expect::Any, _) | (Expect::Absent, None) => Ok(()),
        (Expect::Absent, Some(current)) => Err(Error::Exists { current }),
        (Expect::At(_), None) => Err(Error::NotFound { key: op.key.clone() }),
        (Expect::At(expected), Some(current)) if current.revision == expected => Ok(()),
        (Expect::At(_), Some(current)) => Err(Error::Conflict { current }),
    }
}

/// Whether a new watch after `after` has its history, when `compacted` is the oldest revision that can be read.
pub(super) fn watchable(after: u64, compacted: u64) -> Result<(), Error> {
    if after < compacted {
        return Err(Error::Compacted {
            requested: after,
            oldest: compacted,
        });
    }
    Ok(())
}

/// Whether `requested` can be read at, between the oldest readable revision and the newest one.
pub(super) fn readable(requested: u64, compacted: u64, current: u64) -> Result<(), Error> {
    if requested < compacted {
        return Err(Error::Compacted {
            requested,
            oldest: compacted,
        });
    }
    if requested > current {
        return Err(Error::Future { requested, current });
    }
    Ok(())
}
