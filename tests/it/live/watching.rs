//! Watches across grant and revocation, through the aggregator: kubectl, and a client-go informer.

use serde_json::json;

use super::{SOON, create, organization, set_status, subjects};
use crate::harness::{Bulward, Informer, Watched};

#[tokio::test]
async fn kubectl_hears_of_grant_and_revocation() {
    let (plane, _server) = Bulward::shared().await;
    create(plane, "bob", &organization("marker-of-bob", &["bob"])).await;
    create(plane, "alice", &organization("shared-later", &["alice"])).await;
    let watch = [
        "get",
        "organizations",
        "--watch",
        "--output-watch-events",
        "--no-headers",
    ];
    let (mut bob, mut alice) = (plane.kubectl("bob").spawn(watch), plane.kubectl("alice").spawn(watch));
    let about = |name: &'static str| {
        move |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words.get(1) == Some(&name)).then(|| words[0].to_owned())
        }
    };
    assert_eq!(
        bob.stdout.wait_for("his own", SOON, about("marker-of-bob")).await,
        "ADDED"
    );
    assert_eq!(
        alice.stdout.wait_for("hers", SOON, about("shared-later")).await,
        "ADDED"
    );
    set_status(plane, "shared-later", json!({"members": subjects(&["bob"])})).await;
    assert_eq!(
        bob.stdout.wait_for("the grant", SOON, about("shared-later")).await,
        "ADDED"
    );
    assert_eq!(
        alice.stdout.wait_for("the grant", SOON, about("shared-later")).await,
        "MODIFIED"
    );
    set_status(plane, "shared-later", json!({"members": []})).await;
    assert_eq!(
        bob.stdout.wait_for("the revocation", SOON, about("shared-later")).await,
        "DELETED"
    );
    assert_eq!(
        alice
            .stdout
            .wait_for("the revocation", SOON, about("shared-later"))
            .await,
        "MODIFIED"
    );
}

#[tokio::test]
async fn informers_follow_with_and_without_watch_list() {
    let (plane, _server) = Bulward::shared().await;
    create(plane, "alice", &organization("informed", &["alice"])).await;
    for watch_list in [true, false] {
        let watched = Watched {
            resource: "apiserver.bulward.io/v1alpha1/organizations",
            namespace: "",
            watch_list,
        };
        let name = format!("carol-{watch_list}");
        let mut informer = Informer::start(&name, &plane.kubeconfig("carol"), watched).await;
        let initial = informer.synced(SOON).await;
        assert!(!initial.iter().any(|event| event.name == "informed"), "{initial:?}");
        set_status(plane, "informed", json!({"members": subjects(&["group:team-carol"])})).await;
        let added = informer
            .wait_for("the grant", SOON, |event| event.name == "informed")
            .await;
        assert_eq!(added.kind, "ADD");
        set_status(plane, "informed", json!({"members": []})).await;
        let deleted = informer
            .wait_for("the revocation", SOON, |event| event.name == "informed")
            .await;
        assert_eq!(
            (deleted.kind.as_str(), deleted.stale, &deleted.uid),
            ("DELETE", false, &added.uid)
        );
        assert!(deleted.revision() > added.revision());
    }
}
