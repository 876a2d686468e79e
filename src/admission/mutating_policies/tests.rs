use std::convert::Infallible;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower_service::Service;

use super::*;
use crate::admission::matching::tests::served;

/// Generous: it matters only in a failure.
const SOON: Duration = Duration::from_secs(60);

/// What a list in a version is answered, when so many have been asked for.
type Answering = dyn Fn(&str, usize) -> (u16, Value) + Send + Sync;

/// A cluster that answers lists as told, by the version and by how often it was asked, and has nothing to add to them.
#[derive(Clone)]
struct Cluster(Arc<Answering>, Arc<parking_lot::Mutex<usize>>);

impl Service<Request<Body>> for Cluster {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if request.uri().query().unwrap_or_default().contains("watch=") {
            return futures::future::pending().boxed();
        }
        let version = request.uri().path().split('/').nth(3).unwrap_or_default().to_owned();
        let mut asked = self.1.lock();
        let (code, body) = self.0(&version, *asked);
        *asked += 1;
        let answer = Response::builder()
            .status(code)
            .body(Body::from(body.to_string().into_bytes()));
        async move { Ok(answer.expect("an answer")) }.boxed()
    }
}

fn policy(name: &str, group: &str) -> Value {
    json!({
        "metadata": {"name": name, "generation": 1},
        "spec": {"matchConstraints": {"resourceRules": [{
            "apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["things"],
        }]}},
    })
}

fn list(version: &str, policies: &[Value]) -> (u16, Value) {
    let body = json!({
        "apiVersion": format!("admissionregistration.k8s.io/{version}"), "kind": "MutatingAdmissionPolicyList",
        "metadata": {"resourceVersion": "7"}, "items": policies,
    });
    (200, body)
}

fn failure(code: u16, message: &str) -> (u16, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message});
    (code, body)
}

/// The first notices.
async fn notices<const N: usize>(answer: impl Fn(&str, usize) -> (u16, Value) + Send + Sync + 'static) -> [Notice; N] {
    let cluster = Cluster(Arc::new(answer), Arc::default());
    let client = Client::new(cluster, "default");
    let resources = Arc::new(served());
    let (tell, mut told) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let tell = move |notice| tell.send(notice).expect("somebody listens");
    tokio::spawn(watch(client, resources, Duration::from_millis(1), tell, stop));
    let mut notices = Vec::new();
    while notices.len() < N {
        let next = tokio::time::timeout(SOON, told.recv()).await.expect("a notice in time");
        notices.push(next.expect("a notice"));
    }
    notices.try_into().expect("as many as asked for")
}

fn both() -> [Value; 3] {
    [
        policy("other", "apps"),
        policy("ours", "b.io"),
        policy("everybody", "*"),
    ]
}

#[tokio::test]
async fn who_matches_is_told_of() {
    let told = notices::<2>(|version, _| list(version, &both())).await;
    assert_eq!(told, ["ours", "everybody"].map(|name| Notice::Matches(name.to_owned())));
}

#[tokio::test]
async fn an_older_version_is_followed_where_the_newest_is_not_served() {
    let told = notices::<2>(|version, _| match version {
        "v1beta1" => list(version, &both()),
        _ => failure(404, "the server could not find the requested resource"),
    });
    assert_eq!(
        told.await,
        ["ours", "everybody"].map(|name| Notice::Matches(name.to_owned()))
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_told_of_once_and_asked_for_again() {
    let told = notices::<3>(|version, asked| match asked {
        0..5 => failure(403, "not yours"),
        _ => list(version, &both()),
    });
    let wanted = [
        Notice::Hidden("not yours".to_owned()),
        Notice::Matches("ours".to_owned()),
        Notice::Matches("everybody".to_owned()),
    ];
    assert_eq!(told.await, wanted);
}
