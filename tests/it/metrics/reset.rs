//! `DELETE /metrics`: counts begin anew, what is there stays.

use http::Method;
use serde_json::json;

use super::scrape::Scrape;
use crate::harness::in_process::{InProcess, memory};

const PATH: &str = "/apis/apiserver.bulward.io/v1alpha1/organizations";
const POST: [(&str, &str); 2] = [("verb", "POST"), ("resource", "organizations")];
const STORED: [(&str, &str); 2] = [("group", "storage.bulward.io"), ("resource", "organizations")];

#[tokio::test]
async fn whoever_may_delete_the_metrics_has_them_counted_anew() {
    let opened = memory().await;
    let server = InProcess::start(opened.storage.clone()).await;
    let (alice, admin) = (server.user("alice", &[]), server.admin());
    let create = async |name: &str| {
        let owner = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"});
        let body = json!({
            "apiVersion": "apiserver.bulward.io/v1alpha1", "kind": "Organization", "metadata": {"name": name},
            "spec": {"owners": [owner], "metadata": {"displayName": name, "description": name}},
        });
        alice.post(PATH, &body).await.expect(201);
    };
    let counts = async || {
        let scrape = Scrape::of(&admin).await;
        let mut slow = POST.to_vec();
        slow.push(("le", "+Inf"));
        [
            scrape.sum("apiserver_request_total", &POST),
            scrape.sum("apiserver_request_duration_seconds_count", &POST),
            scrape.sum("apiserver_request_duration_seconds_bucket", &slow),
            scrape.sum("apiserver_resource_objects", &STORED),
        ]
    };
    for name in ["one", "two", "three"] {
        create(name).await;
    }
    assert_eq!(counts().await, [3.0, 3.0, 3.0, 3.0]);
    let refused = alice.send(Method::DELETE, "/metrics", &[], "").await;
    refused.refused(403, "Forbidden");
    let began = Scrape::of(&admin).await.sum("process_start_time_seconds", &[]);
    assert!(began > 0.0);
    for times in 1..=2 {
        let reset = admin.send(Method::DELETE, "/metrics", &[], "").await;
        assert_eq!((reset.code, reset.text().as_str()), (200, "metrics reset\n"));
        assert_eq!(reset.header("content-type"), Some("text/plain; charset=utf-8"));
        let stored = 2.0 + f64::from(times);
        assert_eq!(counts().await, [0.0, 0.0, 0.0, stored]);
        let scrape = Scrape::of(&admin).await;
        let known = scrape
            .samples("apiserver_request_total")
            .filter(|(labels, _)| labels["verb"] == "POST");
        assert_eq!(known.count(), 0, "what has not been counted since is not there");
        assert_eq!(scrape.sum("process_start_time_seconds", &[]), began);
        create(&format!("after-{times}")).await;
        assert_eq!(counts().await, [1.0, 1.0, 1.0, stored + 1.0]);
    }
}
