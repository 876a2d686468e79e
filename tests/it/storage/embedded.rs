use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bulward::storage::embedded::{Embedded, Options};
use bulward::storage::{Error, ListRequest, Storage};
use futures::future::join_all;
use tempfile::TempDir;
use tokio::time::sleep;

use super::conformance::{bytes, next, remove, rest, within, write};

const FILE: &str = "bulward.redb";
/// Tells the test binary, started by a test, to write into this folder until it is killed.
const CHILD: &str = "BULWARD_TEST_EMBEDDED_CHILD";

async fn open() -> (Arc<dyn Storage>, TempDir) {
    let folder = TempDir::new().expect("a temporary folder");
    let storage = Embedded::open(folder.path(), Options::default())
        .await
        .expect("a new storage");
    (Arc::new(storage), folder)
}

super::conformance::suite!(open());

async fn reopen(folder: &Path) -> Embedded {
    Embedded::open(folder, Options::default())
        .await
        .expect("the storage opens again")
}

async fn fails(folder: &Path) -> String {
    match Embedded::open(folder, Options::default()).await {
        Err(Error::Failed(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = TempDir::new().unwrap();
    let storage = reopen(&folder.path().join("made/on/the/way")).await;
    let start = storage.current_revision().await.unwrap();
    let mut revisions = Vec::new();
    for n in 0..30 {
        revisions.push(write(&storage, &format!("k{}", n % 4), &n.to_string()).await);
    }
    revisions.push(remove(&storage, "k1").await);
    storage.compact(revisions[5]).await.unwrap();
    let newest = storage.list(ListRequest::default()).await.unwrap();
    let old = ListRequest {
        revision: Some(revisions[10]),
        ..ListRequest::default()
    };
    let before = storage.list(old.clone()).await.unwrap();
    drop(storage);

    let storage = reopen(&folder.path().join("made/on/the/way")).await;
    assert_eq!(storage.list(ListRequest::default()).await.unwrap(), newest);
    assert_eq!(storage.list(old).await.unwrap(), before);
    assert!(matches!(storage.watch("", start).await, Err(Error::Compacted { .. })));
    let mut watch = storage.watch("", revisions[5]).await.unwrap();
    let last = write(&storage, "after", "1").await;
    assert_eq!(last, newest.revision + 1);
    // From the file, then from memory.
    let seen: Vec<_> = rest(&mut watch, last)
        .await
        .iter()
        .map(|batch| batch.revision)
        .collect();
    let expected: Vec<_> = (revisions[5] + 1..=last).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn dropping_ends_watches_and_frees_the_file() {
    let folder = TempDir::new().unwrap();
    for _ in 0..5 {
        let storage = reopen(folder.path()).await;
        let newest = write(&storage, "k", "1").await;
        let mut watch = storage.watch("", newest).await.unwrap();
        drop(storage);
        let end = within(super::conformance::end(&mut watch)).await;
        assert!(matches!(end, Error::Unavailable(_)), "{end:?}");
        assert!(watch.batches.recv().await.is_none());
    }
}

#[tokio::test]
async fn unusable_folders_are_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    let text = fails(&file.join("below")).await;
    assert!(
        text.contains("cannot keep data in") && text.contains("file/below"),
        "{text}"
    );

    let taken = folder.path().join("taken");
    let _first = reopen(&taken).await;
    let text = fails(&taken).await;
    assert!(
        text.contains("taken/bulward.redb") && text.contains("another process has it open"),
        "{text}"
    );
}

#[tokio::test]
async fn only_the_owner_reads_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let below = folder.path().join("data");
    let _storage = reopen(&below).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&below), mode(&below.join(FILE))), (0o700, 0o600));
}

#[tokio::test]
async fn damage_is_told() {
    let folder = TempDir::new().unwrap();
    let storage = reopen(folder.path()).await;
    for n in 0..200 {
        write(&storage, &format!("k{n}"), &"x".repeat(500)).await;
    }
    let expected = storage.list(ListRequest::default()).await.unwrap();
    drop(storage);
    let file = folder.path().join(FILE);
    let intact = fs::read(&file).unwrap();

    fs::write(&file, "apiVersion: v1\n".repeat(1_000)).unwrap();
    let text = fails(folder.path()).await;
    assert!(text.contains("damaged, or not a storage"), "{text}");

    let everywhere = |damaged: &mut [u8]| damaged[4096..].iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
    let mut damaged = intact.clone();
    everywhere(&mut damaged);
    fs::write(&file, &damaged).unwrap();
    let text = fails(folder.path()).await;
    assert!(text.contains("damaged"), "{text}");

    // A page here and there may be one that is not in use; whatever is used must be found out.
    let mut told = 0;
    for page in (1..intact.len() / 4096).step_by(7) {
        let mut damaged = intact.clone();
        damaged[page * 4096 + 100] ^= 0xff;
        fs::write(&file, &damaged).unwrap();
        match Embedded::open(folder.path(), Options::default()).await {
            Ok(storage) => assert_eq!(storage.list(ListRequest::default()).await.unwrap(), expected),
            Err(Error::Failed(_)) => told += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(told > 0);

    fs::write(&file, &intact).unwrap();
    assert_eq!(
        reopen(folder.path()).await.list(ListRequest::default()).await.unwrap(),
        expected
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_history_goes_by_itself() {
    let folder = TempDir::new().unwrap();
    let options = Options {
        retention: Some(Duration::from_millis(200)),
        ..Options::default()
    };
    let storage = Embedded::open(folder.path(), options).await.unwrap();
    let first = write(&storage, "k", "0").await;
    for n in 0..40 {
        let writes = (0..50).map(async |m| write(&storage, &format!("k{m}"), &n.to_string()).await);
        join_all(writes).await;
    }
    let newest = storage.current_revision().await.unwrap();
    let expected = storage.list(ListRequest::default()).await.unwrap();
    let old = |revision| ListRequest {
        revision: Some(revision),
        ..ListRequest::default()
    };
    // Nothing happens any more, yet the history goes, up to the newest revision.
    let gone = async {
        while storage.list(old(newest - 1)).await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    within(gone).await;
    assert!(matches!(storage.list(old(first)).await, Err(Error::Compacted { .. })));
    assert_eq!(storage.list(ListRequest::default()).await.unwrap(), expected);
    let next = write(&storage, "k", "again").await;
    assert_eq!(next, newest + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compacted_history_leaves_the_file() {
    let folder = TempDir::new().unwrap();
    let storage = reopen(folder.path()).await;
    let value = "x".repeat(10_000);
    let size = || fs::metadata(folder.path().join(FILE)).unwrap().len();
    let mut sizes = Vec::new();
    for _ in 0..12 {
        for n in 0..10 {
            let writes = (0..20).map(async |m| write(&storage, &format!("k{n}/{m}"), &value).await);
            join_all(writes).await;
        }
        let newest = storage.current_revision().await.unwrap();
        storage.compact(newest).await.unwrap();
        // Writers get through while the history leaves.
        let mut watch = storage.watch("", newest).await.unwrap();
        let last = write(&storage, "between", "1").await;
        assert_eq!(next(&mut watch).await.revision, last);
        sizes.push(size());
    }
    // 24 MB were written, 2 MB are current.
    assert!(sizes[11] < 16 << 20, "{sizes:?}");
    assert_eq!(storage.list(ListRequest::default()).await.unwrap().entries.len(), 201);
}

/// Not a test by itself: what the process does that `nothing_acknowledged_is_lost` starts and kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let storage = reopen(Path::new(&folder)).await;
    let base = storage.current_revision().await.unwrap();
    let writer = async |writer: u64| {
        for n in 0u64.. {
            let key = format!("{base}/{writer}/{n}");
            let revision = storage.create(&key, bytes(&key)).await.unwrap();
            let line = format!("\nacknowledged {revision} {key}\n");
            std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
        }
    };
    join_all((0..4).map(writer)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for round in 0..4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["storage::embedded::child_that_is_killed", "--exact", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let before = acknowledged.len();
        for line in lines {
            let line = line.unwrap();
            let Some((revision, key)) = line.strip_prefix("acknowledged ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            acknowledged.push((revision.parse().unwrap(), key.to_owned()));
            if acknowledged.len() == before + 50 {
                let taken = fails(folder.path()).await;
                assert!(taken.contains("another process has it open"), "{taken}");
            }
            if acknowledged.len() == before + 200 + 37 * round {
                // `kill -9`; the loop goes on to the end of what it has said.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(
            acknowledged.len() >= before + 200,
            "the child ended by itself in round {round}"
        );

        let storage = reopen(folder.path()).await;
        let newest = storage.current_revision().await.unwrap();
        let mut watch = storage.watch("", 0).await.unwrap();
        let log = rest(&mut watch, newest).await;
        let revisions: Vec<u64> = log.iter().map(|batch| batch.revision).collect();
        assert!(
            revisions.is_sorted() && revisions.len() as u64 == newest - 1,
            "no revision is missing"
        );
        // The last line may be cut.
        let last = acknowledged.pop();
        let whole = |(revision, key): &(u64, String)| {
            log.iter()
                .any(|batch| batch.revision == *revision && batch.events[0].key == *key)
        };
        acknowledged.extend(last.filter(whole));
        for (revision, key) in &acknowledged {
            let entry = storage
                .get(key)
                .await
                .unwrap()
                .unwrap_or_else(|| panic!("{key} at {revision} is lost"));
            assert_eq!((entry.revision, entry.value), (*revision, bytes(key)));
        }
    }
}
