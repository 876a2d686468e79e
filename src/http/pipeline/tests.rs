//! Requests on their way, without TLS and with stages that do as they are told.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::*;
use crate::audit::{Backend, Delivery, Failure, Mode, Policy};
use crate::authz::Attributes;
use crate::http::body;
use crate::http::limits::Allowance;
use crate::http::upgrade::Afterwards;

/// What never comes: who asks, whether they may, whether they may act as somebody else, or the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Never {
    Nothing,
    Authenticated,
    Authorized,
    Impersonated,
    Routed,
}

/// What the route answers.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Bytes(usize),
    BreaksOff,
    Panics,
}

/// A pipeline whose every stage is this one.
struct Stages {
    never: Never,
    answer: Answer,
    recorded: Mutex<Vec<Value>>,
}

impl Stages {
    async fn pass(&self, stage: Never) {
        if self.never == stage {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Authenticator for Stages {
    async fn authenticate(&self, _: &mut Credentials<'_>) -> Result<UserInfo, Status> {
        self.pass(Never::Authenticated).await;
        Ok(UserInfo {
            name: "bob".to_owned(),
            uid: String::new(),
            groups: Vec::new(),
            extra: BTreeMap::new(),
        })
    }
}

#[async_trait]
impl Authorizer for Stages {
    async fn authorize(&self, _: &UserInfo, attributes: &Attributes) -> Result<Decision, String> {
        let acting = matches!(attributes, Attributes::Resource(asked) if asked.verb.starts_with("impersonate"));
        self.pass(if acting { Never::Impersonated } else { Never::Authorized })
            .await;
        Ok(Decision::allow())
    }
}

#[async_trait]
impl Route for Stages {
    fn serves(&self, _: &RequestInfo) -> bool {
        true
    }

    async fn route(&self, _: Authorized) -> Response<Body> {
        self.pass(Never::Routed).await;
        match self.answer {
            Answer::Bytes(size) => Response::new(body::full(vec![b' '; size])),
            Answer::Panics => panic!("a slip of the route"),
            Answer::BreaksOff => {
                let half = Ok(Frame::data(Bytes::from_static(b"half")));
                let frames = futures::stream::iter([half, Err("gone".into())]);
                Response::new(Body::new(StreamBody::new(frames)))
            }
        }
    }
}

#[async_trait]
impl Delivery for Stages {
    fn name(&self) -> &'static str {
        "log"
    }

    async fn deliver(&self, events: &[Bytes]) -> Result<(), Failure> {
        let events = events
            .iter()
            .map(|event| serde_json::from_slice::<Value>(event).expect("JSON"));
        self.recorded.lock().extend(events);
        Ok(())
    }
}

struct World {
    stages: Arc<Stages>,
    metrics: Arc<Metrics>,
    pipeline: Arc<Pipeline>,
}

impl World {
    fn new(never: Never, answer: Answer) -> Self {
        let stages = Arc::new(Stages {
            never,
            answer,
            recorded: Mutex::default(),
        });
        let metrics = Arc::new(Metrics::new());
        let policy = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: RequestResponse}]}";
        let backend = Backend::new(stages.clone(), Mode::Blocking, None, metrics.audit().clone());
        let allowance = Allowance {
            reading: 2,
            ..Allowance::default()
        };
        let pipeline = Pipeline {
            authenticator: stages.clone(),
            audit: Some(Auditor::new(
                Policy::parse(policy).expect("a policy"),
                vec![backend],
                metrics.audit().clone(),
            )),
            impersonation: Impersonation::new(stages.clone()),
            authorizer: stages.clone(),
            route: stages.clone(),
            limits: Limits::new(allowance, metrics.clone()),
            traces: None,
            metrics: metrics.clone(),
        };
        Self {
            stages,
            metrics,
            pipeline: Arc::new(pipeline),
        }
    }

    /// A connection that holds little of what is sent.
    fn connect(&self) -> DuplexStream {
        let (client, server) = tokio::io::duplex(4 << 10);
        let pipeline = self.pipeline.clone();
        let peer = Arc::new(Peer {
            remote_addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            certificates: [].into(),
            expires: None,
            drain: CancellationToken::new(),
            afterwards: Afterwards::default(),
        });
        let service = service_fn(move |request| {
            let (pipeline, peer) = (pipeline.clone(), peer.clone());
            async move { Ok::<_, Infallible>(pipeline.handle(request, &peer).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        client
    }

    async fn send(&self, query: &str, headers: &str) -> DuplexStream {
        let mut connection = self.connect();
        let head = format!("GET /apis/g/v1/things{query} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n");
        connection.write_all(head.as_bytes()).await.expect("the server reads");
        connection
    }

    async fn ask(&self, query: &str, headers: &str) -> String {
        let mut answer = Vec::new();
        let mut connection = self.send(query, headers).await;
        connection.read_to_end(&mut answer).await.expect("an answer");
        String::from_utf8(answer).expect("text")
    }

    /// Requests that have a seat.
    fn seated(&self) -> bool {
        let text = String::from_utf8(self.metrics.render()).expect("text");
        text.lines().any(|line| {
            line.starts_with("apiserver_flowcontrol_current_executing_requests{")
                && line.contains("\"readOnly\"")
                && line.ends_with(" 1")
        })
    }

    async fn until_seated(&self, seated: bool) {
        while self.seated() != seated {
            // The clock stands still unless nobody has anything to do.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Stages and codes of what is recorded.
    fn recorded(&self) -> Vec<(String, u64)> {
        let all = self.stages.recorded.lock();
        let told = all.iter().map(|event| {
            let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
            (event["stage"].as_str().unwrap_or_default().to_owned(), code)
        });
        told.collect()
    }
}

fn events(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected
        .iter()
        .map(|(stage, code)| ((*stage).to_owned(), *code))
        .collect()
}

const ACTING: &str = "Impersonate-User: alice\r\nImpersonate-Group: crew\r\n";

#[tokio::test(start_paused = true)]
async fn nothing_on_the_way_lasts_longer_than_the_request_may() {
    for never in [
        Never::Authenticated,
        Never::Impersonated,
        Never::Authorized,
        Never::Routed,
    ] {
        let world = World::new(never, Answer::Bytes(1));
        let began = Instant::now();
        let answer = world.ask("?timeout=7s", ACTING).await;
        assert_eq!(began.elapsed().as_secs(), 7, "{never:?}");
        assert!(answer.starts_with("HTTP/1.1 504 "), "{never:?}: {answer}");
        assert!(
            answer.contains("request did not complete within the allotted timeout"),
            "{answer}"
        );
        assert!(!world.seated(), "{never:?}");
        let expected = match never {
            Never::Authenticated => events(&[("ResponseStarted", 504)]),
            _ => events(&[("RequestReceived", 0), ("ResponseComplete", 504)]),
        };
        assert_eq!(world.recorded(), expected, "{never:?}");
    }
    let world = World::new(Never::Nothing, Answer::Bytes(1));
    assert!(world.ask("?timeout=7s", ACTING).await.starts_with("HTTP/1.1 200 "));
}

/// To find out whether somebody may act as another takes time and questions, which are theirs.
#[tokio::test(start_paused = true)]
async fn whoever_acts_as_somebody_has_a_seat_while_that_is_found_out() {
    let world = World::new(Never::Impersonated, Answer::Bytes(1));
    let first = world.send("", ACTING).await;
    world.until_seated(true).await;
    // One of two seats is all that one caller has.
    let second = world.ask("?timeout=20s", ACTING).await;
    assert!(second.starts_with("HTTP/1.1 429 "), "{second}");
    let own = world.ask("?timeout=20s", "").await;
    assert!(own.starts_with("HTTP/1.1 429 "), "bob's, not alice's: {own}");
    drop(first);
    world.until_seated(false).await;
}

/// An answer keeps its seat until it is sent also when it is recorded, and not for longer than a request may take.
#[tokio::test(start_paused = true)]
async fn answers_that_are_recorded_and_not_read_are_given_up() {
    let world = World::new(Never::Nothing, Answer::Bytes(1 << 20));
    let mut connection = world.send("?timeout=7s", "").await;
    let mut head = [0; 12];
    connection.read_exact(&mut head).await.expect("an answer");
    assert_eq!(&head, b"HTTP/1.1 200");
    assert!(world.seated());
    let began = Instant::now();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(!world.seated(), "after {:?}", began.elapsed());
    let mut rest = Vec::new();
    // The connection is cut: what has come is not the whole.
    let _ = connection.read_to_end(&mut rest).await;
    assert!(rest.len() < 1 << 20, "{}", rest.len());
    assert_eq!(
        world.recorded(),
        events(&[("RequestReceived", 0), ("ResponseComplete", 200)])
    );
}

#[tokio::test]
async fn a_panic_is_recorded_as_one() {
    let world = World::new(Never::Nothing, Answer::Panics);
    let answer = world.ask("", "").await;
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    assert!(answer.contains("This request caused apiserver to panic"), "{answer}");
    assert_eq!(world.recorded(), events(&[("RequestReceived", 0), ("Panic", 500)]));
    let all = world.stages.recorded.lock();
    let told = all[1]["responseStatus"]["message"].as_str().expect("a message");
    assert!(told.starts_with("APIServer panic'd: a slip of the route"), "{told}");
    let counted = String::from_utf8(world.metrics.render()).expect("text");
    assert!(counted.contains("apiserver_request_total{code=\"500\""), "{counted}");
    assert!(
        !counted.contains("apiserver_request_aborts_total{"),
        "its client did not go away"
    );
}

#[tokio::test]
async fn a_timeout_that_is_none_is_recorded() {
    let world = World::new(Never::Nothing, Answer::Bytes(1));
    let answer = world.ask("?timeout=soon", "").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(world.recorded(), events(&[("ResponseStarted", 400)]));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_success() {
    let world = World::new(Never::Nothing, Answer::BreaksOff);
    let answer = world.ask("", "").await;
    assert!(
        answer.starts_with("HTTP/1.1 500 ") && !answer.contains("half"),
        "{answer}"
    );
    assert_eq!(
        world.recorded(),
        events(&[("RequestReceived", 0), ("ResponseComplete", 500)])
    );
}
