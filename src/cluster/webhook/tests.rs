use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use kube::Config;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;

/// A cluster that answers as told and remembers what it was asked.
struct FakeCluster {
    client: Client,
    answers: Mutex<Vec<(u16, &'static str)>>,
    asked: Mutex<Vec<(String, Value)>>,
    calls: AtomicUsize,
}

impl FakeCluster {
    /// Gives the answers in turn, the last one for ever.
    async fn start(answers: &[(u16, &'static str)]) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut config = Config::new(url.parse().unwrap());
        config.default_retry = false;
        let cluster = Arc::new(Self {
            client: Client::try_from(config).unwrap(),
            answers: Mutex::new(answers.to_vec()),
            asked: Mutex::default(),
            calls: AtomicUsize::new(0),
        });
        let served = cluster.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let served = served.clone();
                let service = service_fn(move |request| served.clone().answer(request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service),
                );
            }
        });
        cluster
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        self.asked.lock().push((path, serde_json::from_slice(&body).unwrap()));
        self.calls.fetch_add(1, Ordering::SeqCst);
        let (code, text) = {
            let mut answers = self.answers.lock();
            if answers.len() > 1 {
                answers.remove(0)
            } else {
                answers[0]
            }
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        Ok(response)
    }

    fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().clone()
    }
}

async fn ask(cluster: &FakeCluster) -> Result<Value, CallError> {
    let quick = Backoff {
        first: Duration::from_millis(1),
        ..Backoff::default()
    };
    let question = json!({"secret": "s3cret"});
    retry(&quick, || post(&cluster.client, "/ask", &question)).await
}

#[tokio::test]
async fn transient_statuses_are_retried() {
    let bad = [(500, "{}"), (429, "{}"), (503, "plain text"), (504, "")];
    let mut answers = bad.to_vec();
    answers.push((201, r#"{"ok":true}"#));
    let cluster = FakeCluster::start(&answers).await;
    assert_eq!(ask(&cluster).await.unwrap(), json!({"ok": true}));
    assert_eq!(cluster.calls.load(Ordering::SeqCst), 5);
    assert_eq!(cluster.asked()[4], ("/ask".to_owned(), json!({"secret": "s3cret"})));
}

#[tokio::test]
async fn lasting_statuses_are_told_at_once() {
    let forbidden = r#"{"kind":"Status","message":"tokenreviews is forbidden"}"#;
    let cluster = FakeCluster::start(&[(403, forbidden)]).await;
    let error = ask(&cluster).await.unwrap_err();
    assert_eq!(error.to_string(), "/ask: 403 Forbidden: tokenreviews is forbidden");
    assert_eq!((error.code(), error.is_transient()), (Some(403), false));
    assert_eq!(cluster.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_not_quoted() {
    let cluster = FakeCluster::start(&[(200, r#"{"token": s3cret}"#)]).await;
    let error = ask(&cluster).await.unwrap_err().to_string();
    assert_eq!(error, "/ask: the answer is not understood (column 11)");
}

#[tokio::test]
async fn refused_connections_are_retried_and_told_in_one_line() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
    let attempts = AtomicUsize::new(0);
    let quick = Backoff {
        first: Duration::from_millis(1),
        attempts: 3,
        ..Backoff::default()
    };
    let outcome: Result<Value, _> = retry(&quick, || {
        attempts.fetch_add(1, Ordering::SeqCst);
        post(&client, "/ask", &Value::Null)
    })
    .await;
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("onnection refused") && !error.contains('\n'), "{error}");
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn deadline_tells_the_last_error() {
    let slow = Backoff {
        first: Duration::from_secs(3600),
        attempts: 5,
        timeout: Duration::from_millis(10),
    };
    let outcome: Result<(), _> = retry(&slow, || async { Err(CallError::status(500, "away")) }).await;
    assert_eq!(outcome.unwrap_err().to_string(), "away");
}

/// However long the pauses are, the last attempt comes before the time is up.
#[test]
fn who_is_in_no_hurry_has_time_for_every_attempt() {
    for (first, least) in [(0, 150), (10, 150 + 97), (60, 150 + 585), (u64::MAX, u64::MAX)] {
        let backoff = Backoff::unhurried(Duration::from_secs(first));
        assert_eq!((backoff.first.as_secs(), backoff.attempts), (first, 5));
        assert!(backoff.timeout.as_secs() >= least, "{backoff:?}");
    }
}
