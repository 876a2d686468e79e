//! Several replicas, one leader; what happens when it dies, and what it may do.

use serde_json::{Value, json};

use super::stage::{SOON, Stage, members, ready};
use crate::harness::tenancy::{organization, project, stored, user};
use crate::harness::{Controllers, eventually};

/// Quick, so that a test need not wait for long; the leader that is killed never renews.
const QUICK: [&str; 3] = [
    "--leader-elect-lease-duration=4s",
    "--leader-elect-renew-deadline=3s",
    "--leader-elect-retry-period=1s",
];

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/bulward-system/leases/bulward-controller-manager";

fn leads(controllers: &Controllers) -> bool {
    controllers.logged().contains("everything is listed, reconciling")
}

/// Killed while it works, the leader is followed by the other replica, which finishes everything; one that is told to end
/// hands the lease on at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_loses_nothing() {
    let stage = Stage::start("leaders", &QUICK).await;
    let admin = stage.admin().await;
    let first = &stage.controllers;
    let leading = async |controllers: &Controllers| {
        let check = async || {
            if leads(controllers) {
                Ok(())
            } else {
                Err(controllers.logged())
            }
        };
        eventually("it leads", SOON, check).await;
    };
    leading(first).await;
    let second = Controllers::start(&stage.plane, &QUICK).await;
    const COUNT: usize = 40;
    let name = |number: usize| format!("lead-{number}");
    for number in 0..COUNT {
        admin.organization(&name(number), &[user("alice")]).await;
        if number == COUNT / 2 {
            admin.ready_organization(&name(0)).await;
            admin.project(&name(0), "web", &[user("alice")]).await;
            admin.delete(&stored(&organization(&name(1)))).await;
            assert!(!leads(&second), "two leaders");
            first.kill();
        }
    }
    admin.bind(&name(0), "bob", &[user("bob")]).await;
    leading(&second).await;
    eventually("it says so", SOON, async || {
        match second.metric("leader_election_master_status").await? {
            1.0 => Ok(()),
            other => Err(format!("{other}")),
        }
    })
    .await;
    for number in (0..COUNT).filter(|number| *number != 1) {
        admin.ready_organization(&name(number)).await;
    }
    admin.ready_project(&name(0), "web").await;
    admin.gone(&stored(&organization(&name(1)))).await;
    let path = stored(&organization(&name(0)));
    admin
        .until(&path, "the grant was seen", |it| members(it) == ["bob"])
        .await;

    // The first one comes back and waits; the second ends in good order, which leaves the lease free.
    let transitions = admin.get(LEASE).await["spec"]["leaseTransitions"].clone();
    first.restart().await;
    let status = second.stop(SOON).await;
    assert_eq!(status.code(), Some(0), "{}", second.logged());
    let free = admin.get(LEASE).await;
    let handed_on =
        |lease: &Value| lease["spec"]["holderIdentity"] == "" || lease["spec"]["leaseTransitions"] != transitions;
    assert!(handed_on(&free), "{free}");
    admin.organization("lead-last", &[user("alice")]).await;
    admin.ready_organization("lead-last").await;
    // Somebody takes the lease away: then it must not act any more.
    let held = |lease: &Value| {
        lease["spec"]["holderIdentity"]
            .as_str()
            .is_some_and(|holder| !holder.is_empty())
    };
    admin.until(LEASE, "held", held).await;
    let spec = json!({
        "holderIdentity": "a thief", "renewTime": "2100-01-01T00:00:00.000000Z", "leaseDurationSeconds": 3600,
    });
    admin.merge(LEASE, json!({ "spec": spec })).await;
    let status = first.ended(SOON).await;
    assert_eq!(status.code(), Some(1), "{}", first.logged());
    assert!(first.logged().contains("leader election lost"), "{}", first.logged());
    // The manifest's rights were enough for all of that.
    for controllers in [first, &second] {
        let logged = controllers.logged();
        assert!(!logged.to_lowercase().contains("forbidden"), "{logged}");
    }
}

#[tokio::test]
async fn metrics_are_called_as_client_go_calls_them() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    admin.organization("oper-counted", &[user("alice")]).await;
    admin.ready_organization("oper-counted").await;
    admin.project("oper-counted", "web", &[user("alice")]).await;
    admin.ready_project("oper-counted", "web").await;
    let controllers = &stage.controllers;
    for queue in ["organization", "project"] {
        for metric in [
            "workqueue_adds_total",
            "workqueue_queue_duration_seconds_count",
            "workqueue_work_duration_seconds_count",
        ] {
            let counted = async || match controllers.metric(&format!("{metric}{{name=\"{queue}\"}}")).await? {
                count if count >= 1.0 => Ok(()),
                count => Err(format!("{count}")),
            };
            eventually(&format!("{metric} of {queue}"), SOON, counted).await;
        }
        let text = controllers.metrics().await.unwrap();
        for metric in [
            "workqueue_depth",
            "workqueue_retries_total",
            "workqueue_unfinished_work_seconds",
            "workqueue_longest_running_processor_seconds",
        ] {
            let line = format!("{metric}{{name=\"{queue}\"}} ");
            assert!(text.lines().any(|l| l.starts_with(&line)), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("oper-counted"), "no names of objects");
    }
}

/// The manifest's role is all that the process has: nothing was refused to it, and it has nothing of what it must not have.
#[tokio::test]
async fn it_has_the_rights_that_it_uses_and_no_more() {
    let stage = Stage::shared().await;
    let admin = stage.admin().await;
    // Everything that it does, once.
    admin.organization("oper-rights", &[user("alice")]).await;
    admin.ready_organization("oper-rights").await;
    admin.project("oper-rights", "web", &[user("alice")]).await;
    admin.ready_project("oper-rights", "web").await;
    let labels = json!({"metadata": {"labels": {"bulward.io/organization": null}}});
    admin.merge(&super::stage::namespace("oper-rights"), labels).await;
    let labelled = |it: &Value| it["metadata"]["labels"]["bulward.io/organization"] == "oper-rights";
    admin
        .until(&super::stage::namespace("oper-rights"), "repaired", labelled)
        .await;
    admin.delete(&stored(&organization("oper-rights"))).await;
    let deleting = |it: &Value| ready(it) == "False/Deleting";
    let gone = async || {
        let answer = admin.caller.get(&stored(&project("oper-rights", "web"))).await;
        match answer.code {
            404 => Ok(()),
            _ if deleting(&answer.json()) => Err("deleting"),
            _ => Err("not told yet"),
        }
    };
    eventually("the project goes", SOON, gone).await;
    admin.gone(&stored(&organization("oper-rights"))).await;
    let logged = stage.controllers.logged();
    assert!(!logged.to_lowercase().contains("forbidden"), "{logged}");

    let may = async |group: &str, resource: &str, verb: &str| {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "spec": {
                "user": "system:serviceaccount:bulward-system:bulward-controller-manager",
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {"group": group, "resource": resource, "verb": verb},
            },
        });
        let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
        let answer = admin.caller.post(path, &review).await.expect(201);
        answer["status"]["allowed"] == true
    };
    assert!(may("storage.bulward.io", "organizations", "patch").await);
    assert!(may("rbac.authorization.k8s.io", "roles", "escalate").await);
    for (group, resource, verb) in [
        ("storage.bulward.io", "organizations", "delete"),
        ("storage.bulward.io", "organizations", "create"),
        ("", "secrets", "get"),
        ("", "serviceaccounts", "impersonate"),
        ("", "users", "impersonate"),
        ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
        ("rbac.authorization.k8s.io", "clusterroles", "bind"),
        ("bulward.io", "organizationroletemplates", "delete"),
        ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
    ] {
        assert!(!may(group, resource, verb).await, "{verb} {resource}.{group}");
    }
}
