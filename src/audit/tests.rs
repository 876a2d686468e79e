use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::policy::Request;
use super::*;
use crate::telemetry::metrics::Metrics;
use crate::wire::notes::Notes;

/// Keeps what it is given, in batches; delivers only as often as it is let.
struct Kept {
    batches: Mutex<Vec<Vec<Value>>>,
    let_through: Semaphore,
    broken: bool,
}

impl Kept {
    fn new(permits: usize, broken: bool) -> Arc<Self> {
        Arc::new(Self {
            batches: Mutex::default(),
            let_through: Semaphore::new(permits),
            broken,
        })
    }

    fn stages(&self) -> Vec<String> {
        let batches = self.batches.lock();
        let all = batches.iter().flatten();
        all.map(|event| event["stage"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

#[async_trait]
impl Delivery for Kept {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure> {
        self.let_through.acquire().await.expect("never closed").forget();
        if self.broken {
            return Err(Failure("broken".to_owned()));
        }
        let parsed = events.iter().map(|event| serde_json::from_slice(event).expect("JSON"));
        self.batches.lock().push(parsed.collect());
        Ok(())
    }
}

fn auditor(to: &Arc<Kept>, mode: Mode, truncate: Option<Truncate>, level: &str) -> (Arc<Auditor>, Metrics) {
    let metrics = Metrics::new();
    let text = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{{level: {level}}}]");
    let policy = Policy::parse(&text).expect("a policy");
    let backend = Backend::new(to.clone(), mode, truncate, metrics.audit().clone());
    (Auditor::new(policy, vec![backend], metrics.audit().clone()), metrics)
}

fn begin(auditor: &Arc<Auditor>) -> (Recording, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let request = Request {
        verb: "create",
        is_resource: true,
        group: "g",
        resource: "things",
        ..Request::default()
    };
    let arrival = || Arrival {
        audit_id: "id".to_owned(),
        received: Timestamp::UNIX_EPOCH,
        request_uri: "/apis/g/v1/things".to_owned(),
        source_ips: vec!["127.0.0.1".to_owned()],
        user_agent: "ü".repeat(1000),
        user: None,
        version: "v1".to_owned(),
    };
    let recording = auditor.begin(&request, &notes, arrival).expect("recorded");
    (recording, notes)
}

fn counted(metrics: &Metrics, line: &str) -> bool {
    String::from_utf8(metrics.render())
        .expect("text")
        .lines()
        .any(|own| own == line)
}

#[tokio::test]
async fn a_record_has_a_beginning_and_one_end() {
    let kept = Kept::new(100, false);
    let (auditor, metrics) = auditor(&kept, Mode::Blocking, None, "Request");
    let (recording, notes) = begin(&auditor);
    recording.received().await.unwrap();
    notes.annotate("k", "v");
    notes.submit(&json!({"metadata": {"name": "n", "uid": "u", "managedFields": []}}));
    recording.answered(201, Some(json!({"kind": "Thing"})));
    recording.complete().await;
    recording.complete().await;
    drop(recording);
    auditor.flush().await;
    assert_eq!(kept.stages(), ["RequestReceived", "ResponseComplete"]);
    let last = kept.batches.lock()[1][0].clone();
    assert_eq!(last["responseStatus"], json!({"metadata": {}, "code": 201}));
    let about = json!({"resource": "things", "name": "n", "uid": "u", "apiGroup": "g", "apiVersion": "v1"});
    assert_eq!(last["objectRef"], about);
    assert_eq!(last["requestObject"]["metadata"]["name"], "n");
    assert_eq!(
        (&last["responseObject"], &last["user"]),
        (&Value::Null, &json!({})),
        "{last}"
    );
    assert_eq!(last["annotations"], json!({"k": "v"}));
    assert_eq!(last["requestReceivedTimestamp"], "1970-01-01T00:00:00.000000Z");
    assert_eq!(
        last["userAgent"].as_str().unwrap(),
        format!("{}...TRUNCATED", "ü".repeat(512))
    );
    assert!(counted(&metrics, "apiserver_audit_event_total 2"));
    assert!(counted(&metrics, "apiserver_audit_level_total{level=\"Request\"} 1"));
}

#[tokio::test]
async fn who_goes_away_is_recorded_to_the_end() {
    let kept = Kept::new(100, false);
    let (auditor, _) = auditor(&kept, Mode::Blocking, None, "Metadata");
    let (recording, _) = begin(&auditor);
    drop(recording);
    auditor.flush().await;
    let last = kept.batches.lock()[0][0].clone();
    assert_eq!(last["stage"], "ResponseComplete");
    // Nobody knows whether what was asked for has happened, so it is no success.
    let status = json!({"metadata": {}, "status": "Failure", "message": "Connection closed early", "code": 499});
    assert_eq!(last["responseStatus"], status);
}

#[tokio::test]
async fn who_goes_away_while_the_end_is_recorded_is_recorded() {
    for (panics, stage, code) in [(false, "ResponseComplete", 200), (true, "Panic", 500)] {
        let kept = Kept::new(1, false);
        let (auditor, _) = auditor(&kept, Mode::Blocking, None, "Metadata");
        let (recording, _) = begin(&auditor);
        recording.received().await.unwrap();
        recording.answered(200, None);
        let end = async {
            match panics {
                true => recording.panicked("a slip").await,
                false => recording.complete().await,
            }
        };
        assert!(end.now_or_never().is_none(), "it waits for its event");
        drop(recording);
        kept.let_through.add_permits(10);
        auditor.flush().await;
        assert_eq!(kept.stages(), ["RequestReceived", stage]);
        assert_eq!(kept.batches.lock()[1][0]["responseStatus"]["code"], code);
    }
}

#[tokio::test]
async fn events_that_nobody_waits_for_are_bounded() {
    let kept = Kept::new(0, false);
    let (auditor, metrics) = auditor(&kept, Mode::Blocking, None, "Request");
    let object = json!({"metadata": {"name": "n"}, "data": "x".repeat(4 << 20)});
    let (small, mut lost) = (1000, 0);
    for _ in 0..small {
        drop(begin(&auditor));
    }
    let text = |metrics: &Metrics| String::from_utf8(metrics.render()).expect("text");
    for _ in 0..10 {
        let (recording, notes) = begin(&auditor);
        notes.submit(&object);
        drop(recording);
    }
    let told = "apiserver_audit_error_total{plugin=\"buffered\"} ";
    if let Some(line) = text(&metrics).lines().find_map(|line| line.strip_prefix(told)) {
        lost = line.parse().expect("a number");
    }
    assert!((1..10).contains(&lost), "{lost}");
    kept.let_through.add_permits(2000);
    auditor.flush().await;
    assert_eq!(kept.stages().len() + lost, small + 10, "each is delivered or counted");
}

#[tokio::test]
async fn a_request_that_cannot_be_recorded_is_refused_where_that_is_asked_for() {
    for (mode, refused) in [(Mode::Blocking, false), (Mode::BlockingStrict, true)] {
        let kept = Kept::new(100, true);
        let (auditor, metrics) = auditor(&kept, mode, None, "Metadata");
        let (recording, _) = begin(&auditor);
        assert_eq!(recording.received().await.is_err(), refused);
        let rejected = format!("apiserver_audit_requests_rejected_total {}", u8::from(refused));
        assert!(counted(&metrics, &rejected));
        assert!(counted(&metrics, "apiserver_audit_error_total{plugin=\"log\"} 1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_loses_and_counts_and_a_flush_waits() {
    let kept = Kept::new(0, false);
    let options = BatchOptions {
        buffer: 4,
        max_size: 2,
        max_wait: Duration::from_secs(5),
        throttle: None,
        concurrent: false,
        max_bytes: None,
    };
    let (auditor, metrics) = auditor(&kept, Mode::Batch(options), None, "Metadata");
    // The worker takes two, and stops at the delivery that is not let through.
    for _ in 0..2 {
        begin(&auditor).0.received().await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut records = Vec::new();
    for _ in 0..7 {
        let (recording, _) = begin(&auditor);
        recording.end();
        recording.received().await.unwrap();
        records.push(recording);
    }
    // Both of the first two were dropped without an end, which is recorded as well.
    let lost = |count: usize| format!("apiserver_audit_error_total{{plugin=\"buffered\"}} {count}");
    let text = String::from_utf8(metrics.render()).unwrap();
    assert!((3..=9).any(|count| text.contains(&lost(count))), "{text}");
    kept.let_through.add_permits(100);
    auditor.flush().await;
    let sizes: Vec<usize> = kept.batches.lock().iter().map(Vec::len).collect();
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
    let all: usize = sizes.iter().sum();
    let lost_ones = (0..20).find(|count| text.contains(&lost(*count))).unwrap();
    assert_eq!(all + lost_ones, 2 + 2 + 7, "each is delivered or counted");
}

#[tokio::test]
async fn large_events_lose_what_was_sent_and_larger_ones_are_lost() {
    let large = json!({"metadata": {"name": "n"}, "data": "x".repeat(5000)});
    for (max_event, delivered) in [(4000, true), (100, false)] {
        let kept = Kept::new(100, false);
        let (auditor, metrics) = auditor(&kept, Mode::Blocking, Some(Truncate { max_event }), "RequestResponse");
        let (recording, notes) = begin(&auditor);
        notes.submit(&large);
        recording.answered(201, Some(large.clone()));
        recording.complete().await;
        let events: Vec<Value> = kept.batches.lock().iter().flatten().cloned().collect();
        assert_eq!(events.len(), usize::from(delivered));
        for event in events {
            assert_eq!(event["annotations"]["audit.k8s.io/truncated"], "true");
            assert!(event.get("requestObject").is_none() && event.get("responseObject").is_none());
        }
        assert_eq!(
            counted(&metrics, "apiserver_audit_error_total{plugin=\"truncate\"} 1"),
            !delivered
        );
    }
}
