//! The cache on a memory store: history and its bounds, watchers who are slow, gaps, and reads that wait.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::log::Bounds;
use super::watchers::{Offer, Place};
use super::{Cache, Interest, KindSpec, Subscription, reflector};
use crate::storage::memory::Memory;
use crate::storage::{Revision, Storage};
use crate::visibility::{Facts, KindId};
use crate::wire::negotiate::{Representation, Shape};
use crate::wire::subject::SubjectKey;

const THINGS: KindId = KindId(0);

fn facts(object: &Value) -> Facts {
    let owners = object["spec"]["owners"].as_array().into_iter().flatten();
    Facts {
        owners: owners.filter_map(Value::as_str).map(SubjectKey::user).collect(),
        ..Facts::default()
    }
}

fn thing(owner: &str) -> Vec<u8> {
    json!({"metadata": {"name": "x", "uid": "u", "labels": {"a": "b"}}, "spec": {"owners": [owner]}})
        .to_string()
        .into_bytes()
}

struct Fixture {
    storage: Arc<dyn Storage>,
    cache: Arc<Cache>,
    _stop: tokio_util::sync::DropGuard,
}

impl Fixture {
    async fn start(bounds: Bounds) -> Self {
        let storage: Arc<dyn Storage> = Arc::new(Memory::new());
        let spec = KindSpec {
            plural: "things".to_owned(),
            fields: Vec::new(),
            facts,
            through: None,
        };
        let cache = Cache::new(vec![spec], storage.clone(), bounds);
        let stop = CancellationToken::new();
        tokio::spawn(reflector::run(cache.clone(), stop.clone()));
        while !cache.is_ready() {
            tokio::task::yield_now().await;
        }
        Self {
            storage,
            cache,
            _stop: stop.drop_guard(),
        }
    }

    async fn create(&self, name: &str, owner: &str) -> Revision {
        let created = self
            .storage
            .create(&format!("things/{name}"), thing(owner).into())
            .await;
        created.expect("the name is free")
    }

    /// Watches what a user sees.
    fn subscribe(&self, user: &str) -> Subscription {
        let interest = Interest {
            kind: THINGS,
            subjects: Some(vec![SubjectKey::user(user)].into()),
            place: Place::All,
        };
        self.cache.subscribe(interest).expect("ready").0
    }
}

#[tokio::test]
async fn v02_a_fresh_snapshot_holds_what_was_committed_before() {
    let fixture = Fixture::start(Bounds::default()).await;
    for number in 0..50 {
        let revision = fixture.create(&format!("t{number}"), "alice").await;
        let snapshot = fixture.cache.fresh().await.expect("the storage answers");
        assert!(snapshot.revision >= revision);
        assert_eq!(snapshot.count(THINGS), number + 1);
    }
}

#[tokio::test]
async fn offers_go_to_those_who_see_the_object_alone() {
    let fixture = Fixture::start(Bounds::default()).await;
    let mut alice = fixture.subscribe("alice");
    let mut bob = fixture.subscribe("bob");
    let first = fixture.create("a", "alice").await;
    let second = fixture.create("b", "bob").await;
    let Some(Offer::Entry(entry)) = alice.next().await else {
        panic!("alice is told")
    };
    assert_eq!(entry.entry.revision, first);
    let Some(Offer::Entry(entry)) = bob.next().await else {
        panic!("bob is told")
    };
    assert_eq!(entry.entry.revision, second, "bob hears of his own first");
    assert!(alice.is_empty());
    drop((alice, bob));
    assert_eq!(fixture.cache.watchers(), 0, "a dropped watcher leaves nothing behind");
}

#[tokio::test]
async fn offers_are_of_the_place_that_is_watched() {
    let fixture = Fixture::start(Bounds::default()).await;
    let subscribe = |user: Option<&str>, place| {
        let interest = Interest {
            kind: THINGS,
            subjects: user.map(|user| vec![SubjectKey::user(user)].into()),
            place,
        };
        fixture.cache.subscribe(interest).expect("ready").0
    };
    let mut watchers = [
        subscribe(None, Place::All),
        subscribe(None, Place::Namespace("n".into())),
        subscribe(None, Place::Object("n/a".into())),
        subscribe(Some("alice"), Place::Namespace("n".into())),
        subscribe(Some("alice"), Place::Object("n/a".into())),
    ];
    let mut written = Vec::new();
    for (name, owner) in [("m/a", "alice"), ("n/b", "bob"), ("n/c", "alice"), ("n/a", "alice")] {
        written.push(fixture.create(name, owner).await);
    }
    fixture.cache.fresh().await.expect("the storage answers");
    for (watcher, expected) in watchers
        .iter_mut()
        .zip([&[0, 1, 2, 3][..], &[1, 2, 3], &[3], &[2, 3], &[3]])
    {
        let mut heard = Vec::new();
        while !watcher.is_empty() {
            let Some(Offer::Entry(offered)) = watcher.next().await else {
                panic!("there is an entry")
            };
            heard.push(offered.entry.revision);
        }
        let expected: Vec<Revision> = expected.iter().map(|at| written[*at]).collect();
        assert_eq!(heard, expected, "{watcher:?}");
    }
    drop(watchers);
    assert_eq!(fixture.cache.watchers(), 0);
}

#[tokio::test]
async fn a_watcher_holds_no_snapshot() {
    let fixture = Fixture::start(Bounds::default()).await;
    let interest = Interest {
        kind: THINGS,
        subjects: None,
        place: Place::All,
    };
    let (mut watcher, snapshot) = fixture.cache.subscribe(interest).expect("ready");
    let start = Arc::downgrade(&snapshot);
    drop(snapshot);
    fixture.create("a", "alice").await;
    assert!(matches!(watcher.next().await, Some(Offer::Entry(_))));
    // The one who publishes lets go of the old snapshot a moment after the offer.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while start.strong_count() > 0 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the first snapshot is still there"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn watches_of_one_caller_share_their_subjects() {
    let fixture = Fixture::start(Bounds::default()).await;
    let (one, other) = (fixture.subscribe("alice"), fixture.subscribe("alice"));
    assert!(Arc::ptr_eq(&one.subjects(), &other.subjects()));
    assert_ne!(one.subjects(), fixture.subscribe("bob").subjects());
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_cut_off_alone() {
    let fixture = Fixture::start(Bounds::default()).await;
    let mut slow = fixture.subscribe("alice");
    let mut quick = fixture.subscribe("alice");
    let mut heard = 0;
    for number in 0..1_200 {
        fixture.create(&format!("t{number}"), "alice").await;
        assert!(matches!(quick.next().await, Some(Offer::Entry(_))));
        heard += 1;
    }
    assert_eq!(heard, 1_200);
    assert!(slow.next().await.is_none(), "a full queue ends the watch");
    assert_eq!(fixture.cache.watchers(), 1, "and is forgotten");
}

#[tokio::test]
async fn a_watcher_holds_no_history_that_the_log_has_forgotten() {
    let bounds = Bounds {
        entries: 10,
        ..Bounds::default()
    };
    let fixture = Fixture::start(bounds).await;
    let mut slow = fixture.subscribe("alice");
    for number in 0..40 {
        fixture.create(&format!("t{number}"), "alice").await;
    }
    fixture.cache.fresh().await.expect("the storage answers");
    let mut waiting = 0;
    while slow.next().await.is_some() {
        waiting += 1;
    }
    assert!(
        waiting <= 11,
        "{waiting} entries were kept for a watcher that does not read"
    );
}

#[tokio::test]
async fn the_log_forgets_the_oldest_and_says_so() {
    let bounds = Bounds {
        entries: 3,
        ..Bounds::default()
    };
    let fixture = Fixture::start(bounds).await;
    let mut revisions = Vec::new();
    for number in 0..5 {
        revisions.push(fixture.create(&format!("t{number}"), "alice").await);
    }
    let snapshot = fixture.cache.fresh().await.expect("the storage answers");
    let log = snapshot.log();
    assert_eq!((log.len(), log.floor()), (3, revisions[1]));
    assert!(log.since(revisions[0]).is_none(), "history has a gap");
    let replayed: Vec<Revision> = log
        .since(revisions[2])
        .expect("kept")
        .map(|entry| entry.revision)
        .collect();
    assert_eq!(replayed, revisions[3..]);
    assert_eq!(
        log.since(snapshot.revision + 7).expect("the future is empty").count(),
        0
    );
}

#[tokio::test]
async fn history_that_was_compacted_away_is_a_gap() {
    let fixture = Fixture::start(Bounds::default()).await;
    fixture.create("a", "alice").await;
    fixture.cache.fresh().await.expect("the storage answers");
    let mut watcher = fixture.subscribe("alice");
    let current = fixture.cache.current();
    fixture.cache.reset((*current).clone());
    assert!(matches!(watcher.next().await, Some(Offer::Gap)));
    assert!(watcher.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_does_not_come_is_waited_for_three_seconds() {
    let fixture = Fixture::start(Bounds::default()).await;
    let before = tokio::time::Instant::now();
    let error = fixture
        .cache
        .at_least(1_000)
        .await
        .expect_err("nobody writes that much");
    assert_eq!(
        error,
        super::cache::Stale::Behind {
            wanted: 1_000,
            reached: fixture.cache.current().revision
        }
    );
    assert!(before.elapsed() >= Duration::from_secs(3));
}

#[test]
fn objects_are_completed_once_and_spliced() {
    let spec = KindSpec {
        plural: "things".to_owned(),
        fields: vec!["status.phase".to_owned()],
        facts,
        through: None,
    };
    let stored = json!({
        "metadata": {"name": "x", "uid": "u", "annotations": {"resourceVersion": "\"resourceVersion\":\"9\""}},
        "spec": {"owners": ["alice"]},
        "status": {"phase": "Ready"},
    });
    let object = super::Object::parse(&spec, "x".into(), 41, stored.to_string().as_bytes()).expect("an object");
    let mut text = Vec::new();
    object.write(b"{\"kind\":\"Thing\",", &mut text);
    let mut expected = stored.clone();
    expected["kind"] = json!("Thing");
    expected["metadata"]["resourceVersion"] = json!("41");
    assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), expected);
    text.clear();
    object.write_at(b"{\"kind\":\"Thing\",", 1_234_567, &mut text);
    expected["metadata"]["resourceVersion"] = json!("1234567");
    assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), expected);
    assert_eq!(object.field(&spec, "status.phase"), Some("Ready"));
    assert_eq!(object.field(&spec, "spec.nothing"), None);
}

#[test]
fn metadata_is_cut_from_the_stored_bytes_and_what_is_stored_has_no_revision() {
    let spec = KindSpec {
        plural: "things".to_owned(),
        fields: Vec::new(),
        facts,
        through: None,
    };
    for metadata in [
        json!({}),
        json!({"name": "x"}),
        json!({"uid": "u"}),
        json!({"name": "x", "uid": "u"}),
    ] {
        let stored = json!({"data": [1], "metadata": metadata, "spec": {"owners": ["alice"]}});
        let parse =
            |bytes: &[u8], revision| super::Object::parse(&spec, "x".into(), revision, bytes).expect("an object");
        let object = parse(stored.to_string().as_bytes(), 0);
        let bytes = object.stored();
        assert_eq!(serde_json::from_slice::<Value>(&bytes).expect("JSON"), stored);

        let object = object.at(4_711);
        let read = parse(&bytes, 4_711);
        assert_eq!(object.value(), read.value());
        for (revision, written) in [(4_711, "4711"), (5, "5"), (123_456_789, "123456789")] {
            let mut expected = json!({"kind": "Partial", "metadata": metadata});
            expected["metadata"]["resourceVersion"] = json!(written);
            for object in [&object, &read] {
                let mut text = Vec::new();
                object.write_metadata_at(b"{\"kind\":\"Partial\",", revision, &mut text);
                assert_eq!(serde_json::from_slice::<Value>(&text).expect("JSON"), expected);
            }
        }
    }
}

#[tokio::test]
async fn an_event_is_encoded_once_for_all_who_are_sent_the_same() {
    let fixture = Fixture::start(Bounds::default()).await;
    let mut watchers: Vec<_> = (0..3).map(|_| fixture.subscribe("alice")).collect();
    fixture.create("a", "alice").await;
    let mut encoded = 0;
    let (one, other) = (
        Representation::JSON,
        Representation {
            shape: Shape::Partial,
            ..Representation::JSON
        },
    );
    for watcher in &mut watchers {
        let Some(Offer::Entry(offered)) = watcher.next().await else {
            panic!("alice is told")
        };
        for form in [(1, one), (1, other), (2, one)] {
            let bytes = offered.encoded.get(0, "ADDED", form, || {
                encoded += 1;
                format!("{form:?}").into_bytes()
            });
            assert_eq!(bytes, format!("{form:?}"), "each form has its own bytes");
        }
    }
    assert_eq!(encoded, 3);
}

#[tokio::test]
async fn a_caller_sees_theirs_in_key_order_however_many_they_are() {
    let fixture = Fixture::start(Bounds::default()).await;
    let owner = |number: usize| {
        ["all", "second", "seventh", "twentieth"][[1, 2, 7, 20]
            .iter()
            .rposition(|part| number.is_multiple_of(*part))
            .expect("of 1")]
    };
    for number in (0..60).rev() {
        fixture
            .create(&format!("ns{}/t{number:02}", number % 3), owner(number))
            .await;
    }
    let snapshot = fixture.cache.fresh().await.expect("the storage answers");
    for names in [
        &["all"][..],
        &["second"],
        &["seventh"],
        &["twentieth"],
        &["all", "second", "seventh", "twentieth"],
        &["nobody"],
    ] {
        let mut subjects: Vec<SubjectKey> = names.iter().map(|name| SubjectKey::user(name)).collect();
        subjects.sort();
        for namespace in [None, Some("ns1"), Some("ns"), Some("ns2")] {
            let mut expected = snapshot.list(THINGS, namespace);
            expected.retain(|object| object.facts.owned_by(&subjects));
            let keys =
                |objects: &[Arc<super::Object>]| objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>();
            let visible = snapshot.list_visible(THINGS, &subjects, namespace);
            assert_eq!(keys(&visible), keys(&expected), "{names:?} in {namespace:?}");
            assert_eq!(visible.is_empty(), names[0] == "nobody" || namespace == Some("ns"));
        }
    }
}
