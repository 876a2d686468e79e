//! Who is who on our own listener, past the aggregator.

use http::Request;

use super::{Answer, FILTERED, SOON, ask, create, get, names, organization};
use crate::harness::{Bulward, eventually};

async fn organizations(client: &kube::Client) -> Answer {
    get(client, &format!("{FILTERED}/organizations")).await
}

fn listed(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.code, 200, "{answer:?}");
    let list = answer.json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_service_accounts_token_works_directly_and_through_the_aggregator() {
    let (plane, server) = Bulward::shared().await;
    let admin = plane.kubectl("admin");
    admin
        .run(["create", "serviceaccount", "robot", "-n", "default"])
        .await
        .ok();
    create(
        plane,
        "alice",
        &organization("of-a-robot", &["alice", "sa:default/robot"]),
    )
    .await;
    create(
        plane,
        "alice",
        &organization("of-all-robots", &["alice", "group:system:serviceaccounts:default"]),
    )
    .await;
    let token = admin.run(["create", "token", "robot", "-n", "default"]).await.ok();
    let token = token.trim();
    let direct = plane.client_with_token(&server.url(), Some(token)).await;
    assert_eq!(listed(&organizations(&direct).await), ["of-a-robot", "of-all-robots"]);
    plane.add_token("robot", token);
    assert_eq!(
        names(&plane.kubectl("robot"), &["organizations"]).await,
        ["of-a-robot", "of-all-robots"]
    );

    let tampered = plane.client_with_token(&server.url(), Some(&format!("{token}x"))).await;
    let answer = organizations(&tampered).await;
    assert_eq!((answer.code, answer.message().as_str()), (401, "Unauthorized"));
}

#[tokio::test]
async fn nobody_gets_nothing_but_the_open_paths() {
    let (plane, server) = Bulward::shared().await;
    let anonymous = plane.client_with_token(&server.url(), None).await;
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(get(&anonymous, path).await.text, "ok", "{path}");
    }
    for path in [
        &format!("{FILTERED}/organizations"),
        "/apis",
        "/metrics",
        "/healthz/etcd",
    ] {
        let answer = get(&anonymous, path).await;
        assert_eq!(answer.code, 403, "{path}: {answer:?}");
        assert!(answer.message().contains("system:anonymous"), "{answer:?}");
    }
}

#[tokio::test]
async fn certificates_are_judged_and_headers_believed_of_the_front_proxy_alone() {
    let (plane, server) = Bulward::shared().await;
    create(plane, "alice", &organization("of-alice-alone", &["alice"])).await;
    let as_alice = async |client: &kube::Client| {
        let request = Request::get(format!("{FILTERED}/organizations")).header("x-remote-user", "alice");
        ask(client, request.header("x-remote-group", "system:authenticated"), "")
            .await
            .unwrap()
    };
    // With the proxy's certificate the headers count, without it they do not.
    let proxy = plane
        .client_past_aggregator(&server.url(), plane.front_proxy_client())
        .await;
    assert!(listed(&as_alice(&proxy).await).contains(&"of-alice-alone".to_owned()));
    let bob = plane
        .client_past_aggregator(&server.url(), &plane.ca().client("bob", &["team-bob"]))
        .await;
    assert!(
        !listed(&as_alice(&bob).await).contains(&"of-alice-alone".to_owned()),
        "bob stays bob"
    );
    let anonymous = plane.client_with_token(&server.url(), None).await;
    assert_eq!(as_alice(&anonymous).await.code, 403);
    assert_eq!(organizations(&proxy).await.code, 401, "the proxy itself is nobody");
    let expired = plane
        .client_past_aggregator(&server.url(), &plane.ca().expired_client("alice", &[]))
        .await;
    assert_eq!(organizations(&expired).await.code, 401);
    // And an ordinary client certificate of the cluster is that user.
    let alice = plane
        .client_past_aggregator(&server.url(), &plane.ca().client("alice", &[]))
        .await;
    let listed_now = async || {
        let names = listed(&organizations(&alice).await);
        if names.contains(&"of-alice-alone".to_owned()) {
            Ok(())
        } else {
            Err(format!("{names:?}"))
        }
    };
    eventually("alice sees hers", SOON, listed_now).await;
}
