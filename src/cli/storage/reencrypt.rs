//! `bulward storage reencrypt`.

use futures::{StreamExt, TryStreamExt, stream};

use super::{Failure, Opened, PAGE, Place};
use crate::storage::{Entry, Error, ListRequest};

/// Values under way at once.
const AT_ONCE: usize = 16;
/// How often a value is tried that others write at the same time.
const ATTEMPTS: usize = 20;

/// The flags.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    place: Place,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Values that were written again.
    pub(super) written: usize,
    /// Values that had the first key already.
    pub(super) current: usize,
    /// Values that no key opens; they are left as they are.
    pub(super) unreadable: Vec<String>,
}

/// Writes again what is not encrypted with the first key.
pub(super) async fn run(arguments: Args) -> Result<(), Failure> {
    let opened = arguments.place.open().await?;
    let Some(keys) = &opened.keys else {
        let why = "--encryption-provider-config: name the configuration with the key to encrypt with";
        return Err(Failure::Usage(why.to_owned()));
    };
    let done = reencrypt(&opened).await?;
    for why in &done.unreadable {
        println!("fault: {why}");
    }
    let (written, first, current) = (done.written, keys.ring().first(), done.current);
    println!("{written} values were written again with {first}, {current} were so already");
    match done.unreadable.len() {
        0 => Ok(()),
        count => Err(Failure::Runtime(format!(
            "{count} values are opened by no key and were left as they are"
        ))),
    }
}

/// Goes through all keys in their order. What is written meanwhile by a server is that server's matter, if it has the same
/// configuration; else it is found and tried again.
pub(super) async fn reencrypt(opened: &Opened) -> Result<Done, Failure> {
    let mut done = Done::default();
    let mut after = None;
    loop {
        let request = ListRequest {
            limit: PAGE,
            after: after.clone(),
            ..ListRequest::default()
        };
        let page = opened.stored.list(request).await?;
        after = page.entries.last().map(|last| last.key.clone());
        let more = page.more;
        let results = stream::iter(page.entries).map(|entry| one(opened, entry));
        let results: Vec<One> = results.buffer_unordered(AT_ONCE).try_collect().await?;
        for result in results {
            match result {
                One::Written => done.written += 1,
                One::Current => done.current += 1,
                One::Unreadable(why) => done.unreadable.push(why),
            }
        }
        if !more || after.is_none() {
            done.unreadable.sort_unstable();
            return Ok(done);
        }
    }
}

enum One {
    Written,
    Current,
    Unreadable(String),
}

async fn one(opened: &Opened, mut entry: Entry) -> Result<One, Failure> {
    let Some(keys) = &opened.keys else {
        return Ok(One::Current);
    };
    for _ in 0..ATTEMPTS {
        let ring = keys.ring().clone();
        // Also of what has the first key's name: it may be damaged, or by another secret of that name.
        let value = match ring.open(&entry.key, entry.value.clone()) {
            Ok(value) => value,
            Err(error) => return Ok(One::Unreadable(error.to_string())),
        };
        if ring.is_current(&entry.value) {
            return Ok(One::Current);
        }
        let sealed = ring.seal(&entry.key, &value)?;
        match opened.stored.compare_and_swap(&entry.key, entry.revision, sealed).await {
            Ok(_) => return Ok(One::Written),
            // Gone meanwhile.
            Err(Error::NotFound { .. }) => return Ok(One::Current),
            Err(Error::Conflict { current }) => entry = current,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::Runtime(format!(
        "key {}: it is written too often by a server with another configuration; give all servers this one first",
        entry.key
    )))
}
