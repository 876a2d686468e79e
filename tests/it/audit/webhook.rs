//! A real server that is sent events, and is not always there.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bulward::audit::{BatchOptions, Mode};
use bulward::config::AuditWebhook;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::recording;
use crate::harness::frames::{END_HEADERS, END_STREAM, Frames, HEADERS, RST_STREAM, field};
use crate::harness::in_process::{DEADLINE, Settings, memory};
use crate::harness::tenancy::{World, organization, organizations, user};
use crate::harness::{eventually, guardian};

#[derive(Default)]
struct Received {
    /// Also those that are refused.
    arrived: usize,
    lists: Vec<Value>,
    paths: Vec<String>,
    refusals: usize,
}

/// Refuses what comes first, and keeps the rest; answers as soon as it is let.
async fn receiver(received: Arc<Mutex<Received>>, may: Arc<Semaphore>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (received, may) = (received.clone(), may.clone());
            let service = service_fn(move |request: http::Request<Incoming>| {
                let (received, may) = (received.clone(), may.clone());
                async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await.map(|body| body.to_bytes());
                    received.lock().arrived += 1;
                    let _may = may.acquire().await.expect("never closed");
                    let mut received = received.lock();
                    let mut response = Response::new(Empty::<Bytes>::new());
                    if received.refusals > 0 {
                        received.refusals -= 1;
                        *response.status_mut() = StatusCode::FORBIDDEN;
                    } else if let Ok(body) = body {
                        received.lists.push(serde_json::from_slice(&body).expect("JSON"));
                        received.paths.push(path);
                    }
                    Ok::<_, Infallible>(response)
                }
            });
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection);
        }
    });
    port
}

/// How what alice does is sent to this port when it is done.
fn sending(folder: &Path, port: u16, mode: Mode) -> Settings {
    let kubeconfig = folder.join("webhook.kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:{port}/audit/here'}}}}]\n\
         users: [{{name: a, user: {{}}}}]\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\ncurrent-context: a\n"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let policy = "{apiVersion: audit.k8s.io/v1, kind: Policy, omitStages: [RequestReceived], rules: [{level: Metadata, users: [alice]}]}";
    let mut settings = recording(folder, policy);
    settings.audit.log = None;
    settings.audit.webhook = Some(AuditWebhook {
        config_file: kubeconfig,
        initial_backoff: Duration::from_millis(50),
        mode,
        truncate: None,
    });
    settings
}

/// A client that does not wait until its deletion is recorded does not prevent that.
#[tokio::test]
async fn who_goes_away_before_the_event_has_arrived_is_recorded() {
    let folder = guardian::temporary("audit-webhook");
    let received = Arc::new(Mutex::new(Received {
        refusals: 1,
        ..Received::default()
    }));
    let may = Arc::new(Semaphore::new(0));
    let port = receiver(received.clone(), may.clone()).await;
    let world = World::with(memory().await, sending(folder.path(), port, Mode::Blocking)).await;
    world.organization("acme", &[user("alice")]).await;
    let mut frames = Frames::open(&world.server.door_of("alice", &[]), &[]).await.unwrap();
    let head = [
        (":method", "DELETE"),
        (":scheme", "https"),
        (":path", &organization("acme")),
        (":authority", "localhost"),
        ("audit-id", "gone"),
    ];
    let head: Vec<u8> = head.iter().flat_map(|(name, value)| field(name, value)).collect();
    let stream = frames.begin();
    frames
        .send(HEADERS, END_STREAM | END_HEADERS, stream, &head)
        .await
        .unwrap();
    eventually("the event is on its way", DEADLINE, async || {
        let arrived = received.lock().arrived;
        if arrived == 1 { Ok(()) } else { Err(arrived) }
    })
    .await;
    let cancel = 8_u32.to_be_bytes();
    frames.send(RST_STREAM, 0, stream, &cancel).await.unwrap();
    eventually("the request is given up", DEADLINE, async || {
        let text = world.admin.get("/metrics").await.text();
        let mut lines = text.lines();
        let told = lines.find(|line| line.starts_with("apiserver_request_aborts_total{") && line.contains("DELETE"));
        told.map(|_| ()).ok_or("none was")
    })
    .await;
    // It is refused at first: somebody has to be there to send it once more.
    may.add_permits(1);
    let event = eventually("the event has arrived", DEADLINE, async || {
        let received = received.lock();
        received
            .lists
            .first()
            .map(|list| list["items"][0].clone())
            .ok_or("none has")
    })
    .await;
    assert_eq!((&event["auditID"], &event["verb"]), (&"gone".into(), &"delete".into()));
    assert_eq!(event["responseStatus"]["code"], 200, "{event}");
}

#[tokio::test]
async fn events_arrive_in_lists_however_often_they_have_to_be_sent() {
    let folder = guardian::temporary("audit-webhook");
    let received = Arc::new(Mutex::new(Received {
        refusals: 2,
        ..Received::default()
    }));
    let port = receiver(received.clone(), Arc::new(Semaphore::new(1))).await;
    let mode = Mode::Batch(BatchOptions {
        buffer: 1000,
        max_size: 10,
        max_wait: Duration::from_millis(200),
        throttle: Some((1000.0, 100)),
        concurrent: true,
        max_bytes: None,
    });
    let settings = sending(folder.path(), port, mode);
    let world = World::with(memory().await, settings).await;
    let alice = world.user("alice");
    for n in 0..25 {
        let answer = alice
            .send(
                http::Method::GET,
                &organizations(),
                &[("audit-id", &*format!("w-{n}"))],
                "",
            )
            .await;
        assert_eq!(answer.code, 200);
    }
    let mut ids = eventually("all events have arrived", DEADLINE, async || {
        let received = received.lock();
        let items = received.lists.iter().flat_map(|list| list["items"].as_array().unwrap());
        let ids: Vec<String> = items
            .map(|event| event["auditID"].as_str().unwrap().to_owned())
            .collect();
        if ids.len() >= 25 {
            Ok(ids)
        } else {
            Err(format!("{ids:?}"))
        }
    })
    .await;
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 25, "each once");
    let received = received.lock();
    assert_eq!(received.refusals, 0);
    assert!(
        received.paths.iter().all(|path| path == "/audit/here"),
        "{:?}",
        received.paths
    );
    for list in &received.lists {
        assert_eq!(
            (&list["kind"], &list["apiVersion"]),
            (&"EventList".into(), &"audit.k8s.io/v1".into())
        );
        assert!(list["items"].as_array().unwrap().len() <= 10);
    }
}
