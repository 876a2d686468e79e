//! Random histories, replayed on a storage and on a model of a few lines.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use bulward::storage::embedded::{Embedded, Options};
use bulward::storage::etcd::{Config, Etcd};
use bulward::storage::memory::Memory;
use bulward::storage::{Batch, Change, Entry, Error, Event, Expect, ListRequest, Op, Page, Revision, Storage, Watch};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config as Proptest, RngAlgorithm, TestError, TestRng, TestRunner};
use tempfile::TempDir;

use super::conformance::{end, rest, within};
use crate::harness::EtcdCluster;

const KEYS: [&str; 7] = ["a", "a/1", "a/2", "a/2/x", "b", "b/1", "c"];
const PREFIXES: [&str; 5] = ["", "a", "a/", "b/", "d"];

#[derive(Clone, Debug)]
enum Demand {
    Absent,
    Current,
    Earlier(u64),
    Any,
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(usize, Demand, Option<u8>, bool)>),
    Get(usize),
    List {
        prefix: usize,
        after: Option<usize>,
        /// Back from the newest revision; below zero for the future.
        back: Option<i64>,
        limit: usize,
    },
    Watch {
        prefix: usize,
        back: i64,
    },
    Compact {
        back: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let demand = prop_oneof![
        2 => Just(Demand::Absent),
        3 => Just(Demand::Current),
        1 => (1u64..4).prop_map(Demand::Earlier),
        4 => Just(Demand::Any),
    ];
    let op = (0..KEYS.len(), demand, option::weighted(0.6, any::<u8>()), any::<bool>());
    let list = (
        0..PREFIXES.len(),
        option::of(0..KEYS.len()),
        option::of(-2i64..20),
        0usize..5,
    );
    let step = prop_oneof![
        12 => vec(op, 1..5).prop_map(Step::Commit),
        3 => (0..KEYS.len()).prop_map(Step::Get),
        6 => list.prop_map(|(prefix, after, back, limit)| Step::List { prefix, after, back, limit }),
        3 => (0..PREFIXES.len(), -1i64..20).prop_map(|(prefix, back)| Step::Watch { prefix, back }),
        1 => (-1i64..12).prop_map(|back| Step::Compact { back }),
    ];
    vec(step, 1..60)
}

/// The log from the beginning, and nothing else: every answer is worked out anew from it.
struct Model {
    base: Revision,
    compacted: Revision,
    log: Vec<Batch>,
}

impl Model {
    fn newest(&self) -> Revision {
        self.base + self.log.len() as u64
    }

    fn back(&self, back: i64) -> Revision {
        self.newest().saturating_add_signed(-back).max(self.base)
    }

    fn state(&self, revision: Revision) -> BTreeMap<String, Entry> {
        let mut state = BTreeMap::new();
        for batch in self.log.iter().filter(|batch| batch.revision <= revision) {
            for event in &batch.events {
                match &event.value {
                    None => state.remove(&event.key),
                    Some(value) => state.insert(
                        event.key.clone(),
                        Entry {
                            key: event.key.clone(),
                            value: value.clone(),
                            revision: batch.revision,
                        },
                    ),
                };
            }
        }
        state
    }

    fn ops(&self, wanted: &[(usize, Demand, Option<u8>, bool)]) -> Vec<Op> {
        let state = self.state(self.newest());
        let mut ops: Vec<Op> = Vec::new();
        for (key, demand, value, keep) in wanted {
            let key = KEYS[*key].to_owned();
            if ops.iter().any(|op| op.key == key) {
                continue;
            }
            let current = state.get(&key).map(|entry| entry.revision);
            let expect = match demand {
                Demand::Absent => Expect::Absent,
                Demand::Current => current.map_or(Expect::Absent, Expect::At),
                Demand::Earlier(by) => Expect::At(current.unwrap_or(self.newest()).saturating_sub(*by)),
                Demand::Any => Expect::Any,
            };
            let change = match (value, keep) {
                (Some(value), _) => Change::Put(Bytes::from(vec![*value; usize::from(*value % 3)])),
                (None, false) => Change::Delete,
                (None, true) => Change::Keep,
            };
            ops.push(Op { key, expect, change });
        }
        ops
    }

    fn commit(&mut self, ops: &[Op]) -> Result<Revision, Error> {
        let state = self.state(self.newest());
        for op in ops {
            match (op.expect, state.get(&op.key).cloned()) {
                (Expect::Absent, Some(current)) => return Err(Error::Exists { current }),
                (Expect::At(_), None) => return Err(Error::NotFound { key: op.key.clone() }),
                (Expect::At(at), Some(current)) if at != current.revision => return Err(Error::Conflict { current }),
                _ => {}
            }
        }
        let mut events = BTreeMap::new();
        for op in ops {
            match &op.change {
                Change::Put(value) => events.insert(op.key.clone(), Some(value.clone())),
                Change::Delete if state.contains_key(&op.key) => events.insert(op.key.clone(), None),
                _ => None,
            };
        }
        if !events.is_empty() {
            let events = events.into_iter().map(|(key, value)| Event { key, value }).collect();
            let revision = self.newest() + 1;
            self.log.push(Batch { revision, events });
        }
        Ok(self.newest())
    }

    fn list(&self, request: &ListRequest) -> Result<Page, Error> {
        let revision = request.revision.unwrap_or(self.newest());
        self.reachable(revision)?;
        let wanted = |entry: &Entry| {
            entry.key.starts_with(&request.prefix) && request.after.as_ref().is_none_or(|after| entry.key > *after)
        };
        let mut entries: Vec<Entry> = self.state(revision).into_values().filter(wanted).collect();
        let more = request.limit > 0 && entries.len() > request.limit;
        if more {
            entries.truncate(request.limit);
        }
        Ok(Page {
            entries,
            revision,
            more,
        })
    }

    fn reachable(&self, requested: Revision) -> Result<(), Error> {
        if requested < self.compacted {
            return Err(Error::Compacted { requested, oldest: 0 });
        }
        if requested > self.newest() {
            return Err(Error::Future { requested, current: 0 });
        }
        Ok(())
    }

    fn watched(&self, prefix: &str, after: Revision) -> Vec<Batch> {
        let seen = |batch: &Batch| Batch {
            revision: batch.revision,
            events: batch
                .events
                .iter()
                .filter(|event| event.key.starts_with(prefix))
                .cloned()
                .collect(),
        };
        let later = self.log.iter().filter(|batch| batch.revision > after);
        later.map(seen).filter(|batch| !batch.events.is_empty()).collect()
    }
}

/// An error without what a storage need not tell.
fn plain<T>(answer: Result<T, Error>) -> Result<T, Error> {
    answer.map_err(|error| match error {
        Error::Compacted { requested, .. } => Error::Compacted { requested, oldest: 0 },
        Error::Future { requested, .. } => Error::Future { requested, current: 0 },
        other => other,
    })
}

async fn replay(storage: Arc<dyn Storage>, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let base = storage.current_revision().await.expect("a working storage");
    let mut model = Model {
        base,
        compacted: base,
        log: Vec::new(),
    };
    // What is watched, from where, and what has been seen.
    let mut watches: Vec<(&str, Revision, Watch, Vec<Batch>)> = Vec::new();
    for step in &steps {
        match step {
            Step::Commit(wanted) => {
                let ops = model.ops(wanted);
                let expected = model.commit(&ops);
                prop_assert_eq!(storage.commit(ops.clone()).await, expected, "{:?}", ops);
            }
            Step::Get(key) => {
                let expected = model.state(model.newest()).remove(KEYS[*key]);
                prop_assert_eq!(storage.get(KEYS[*key]).await, Ok(expected), "get {}", KEYS[*key]);
            }
            Step::List {
                prefix,
                after,
                back,
                limit,
            } => {
                let request = ListRequest {
                    prefix: PREFIXES[*prefix].to_owned(),
                    after: after.map(|key| KEYS[key].to_owned()),
                    revision: back.map(|back| model.back(back)),
                    limit: *limit,
                };
                let expected = model.list(&request);
                prop_assert_eq!(plain(storage.list(request.clone()).await), expected, "{:?}", request);
            }
            Step::Watch { prefix, back } => {
                let (prefix, after) = (PREFIXES[*prefix], model.back(*back).min(model.newest()));
                if after + 1 == model.compacted {
                    // A storage may have the compacted revision's changes or not.
                    continue;
                }
                let started = storage.watch(prefix, after).await;
                if after < model.compacted {
                    let error = match started {
                        Ok(mut watch) => end(&mut watch).await,
                        Err(error) => error,
                    };
                    let expected = Err(Error::Compacted {
                        requested: after,
                        oldest: 0,
                    });
                    prop_assert_eq!(plain::<()>(Err(error)), expected);
                    continue;
                }
                let mut watch = started.expect("there is the history");
                let seen = rest(&mut watch, model.newest()).await;
                watches.push((prefix, after, watch, seen));
            }
            Step::Compact { back } => {
                let revision = model.back(*back);
                let expected = if revision > model.newest() {
                    Err(Error::Future {
                        requested: revision,
                        current: 0,
                    })
                } else {
                    model.compacted = model.compacted.max(revision);
                    Ok(())
                };
                prop_assert_eq!(plain(storage.compact(revision).await), expected);
            }
        }
        prop_assert_eq!(storage.current_revision().await, Ok(model.newest()));
    }
    for (prefix, after, mut watch, mut seen) in watches {
        seen.extend(rest(&mut watch, model.newest()).await);
        prop_assert_eq!(
            seen,
            model.watched(prefix, after),
            "watch of {:?} after {}",
            prefix,
            after
        );
    }
    Ok(())
}

/// Replays `cases` histories, each on what `open` yields. `BULWARD_TEST_SEED` repeats a run.
fn run<F, K>(cases: u32, open: impl Fn(u32) -> F)
where
    F: Future<Output = (Arc<dyn Storage>, K)>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let seed = match std::env::var("BULWARD_TEST_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => rand::random::<u64>(),
    };
    println!("BULWARD_TEST_SEED={seed}");
    let bytes: Vec<u8> = seed.to_le_bytes().repeat(4);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Proptest {
        cases,
        failure_persistence: None,
        ..Proptest::default()
    };
    let case = std::cell::Cell::new(0);
    let outcome = TestRunner::new_with_rng(config, rng).run(&steps(), |steps| {
        case.set(case.get() + 1);
        runtime.block_on(within(async {
            let (storage, keep) = open(case.get()).await;
            let result = replay(storage, steps).await;
            drop(keep);
            result
        }))
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(why, steps)) => panic!("BULWARD_TEST_SEED={seed}: {why}\n{steps:#?}"),
        Err(error) => panic!("BULWARD_TEST_SEED={seed}: {error}"),
    }
}

#[test]
fn memory_behaves_as_the_model() {
    run(300, |_| async { (Arc::new(Memory::new()) as Arc<dyn Storage>, ()) });
}

#[test]
fn embedded_behaves_as_the_model() {
    run(30, |_| async {
        let folder = TempDir::new().unwrap();
        let storage = Embedded::open(folder.path(), Options::default()).await.unwrap();
        (Arc::new(storage) as Arc<dyn Storage>, folder)
    });
}

#[test]
fn etcd_behaves_as_the_model() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let etcd = runtime.block_on(EtcdCluster::single("storage"));
    run(15, |case| {
        // Every history has a prefix of its own; the revisions go on.
        let config = Config {
            endpoints: etcd.endpoints(),
            prefix: format!("/case/{case}"),
            ..Config::default()
        };
        async { (Arc::new(Etcd::connect(config).await.unwrap()) as Arc<dyn Storage>, ()) }
    });
}
