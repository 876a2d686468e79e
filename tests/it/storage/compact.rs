//! `bulward storage compact` on an etcd, which has one history for all its keys.

use std::process::{Command, Output, Stdio};

use bulward::storage::etcd::{Config, Etcd as Direct};
use bulward::storage::{Error, ListRequest, Storage};

use crate::harness::Etcd;

const PREFIX: &str = "/compacted";

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_is_compacted_by_those_who_say_that_they_mean_all_of_it() {
    let etcd = Etcd::start("compact").await.unwrap();
    let connect = async |prefix: &str| {
        let config = Config {
            endpoints: vec![etcd.endpoint()],
            prefix: prefix.to_owned(),
            ..Config::default()
        };
        Direct::connect(config).await.expect("etcd serves")
    };
    let (ours, theirs) = (connect(PREFIX).await, connect("/of-others").await);
    let mut revisions = Vec::new();
    for n in 0..3 {
        revisions.push(ours.create(&format!("organizations/o{n}"), "{}".into()).await.unwrap());
        theirs
            .create(&format!("organizations/t{n}"), "{}".into())
            .await
            .unwrap();
    }
    let at = async |storage: &Direct, revision| {
        let request = ListRequest {
            revision: Some(revision),
            ..ListRequest::default()
        };
        storage.list(request).await.map(|page| page.entries.len())
    };
    let flags = [
        format!("--etcd-servers={}", etcd.endpoint()),
        format!("--etcd-prefix={PREFIX}"),
    ];
    let compact = async |rest: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulward"));
        command
            .args(["storage", "compact"])
            .args(&flags)
            .args(rest)
            .stdin(Stdio::null());
        let run = tokio::task::spawn_blocking(move || command.output());
        run.await.expect("a thread").expect("our binary")
    };
    let refused = compact(&[]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("--whole-etcd"), "{}", text(&refused));
    assert_eq!(at(&ours, revisions[0]).await, Ok(1));

    let done = compact(&["--whole-etcd", &format!("--revision={}", revisions[1])]).await;
    assert!(done.status.success(), "{}", text(&done));
    let said = format!("compacted up to revision {}", revisions[1]);
    assert!(text(&done).contains(&said), "{}", text(&done));
    // History before it is gone, for everybody; what there is stays, from that revision on.
    for storage in [&ours, &theirs] {
        let gone = at(storage, revisions[0]).await;
        assert!(matches!(gone, Err(Error::Compacted { .. })), "{gone:?}");
    }
    assert_eq!(at(&ours, revisions[1]).await, Ok(2));
    let done = compact(&["--whole-etcd"]).await;
    assert!(done.status.success(), "{}", text(&done));
    let gone = at(&ours, revisions[1]).await;
    assert!(matches!(gone, Err(Error::Compacted { .. })), "{gone:?}");
    for storage in [&ours, &theirs] {
        assert_eq!(storage.list(ListRequest::default()).await.unwrap().entries.len(), 3);
    }
}
