//! Acting as somebody else: on our own listener, through kube-apiserver, and on the cluster as a caller of ours.

use std::collections::BTreeMap;

use bulward::cluster::impersonate;
use bulward::wire::user::UserInfo;
use http::Method;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use super::{events, of_request, recording};
use crate::harness::in_process::{Caller, DEADLINE, Settings, memory};
use crate::harness::tenancy::{
    World, all_projects, group, organization, organizations, project, service_account, user,
};
use crate::harness::{Bulward, ControlPlane, eventually, guardian};

const POLICY: &str = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata}]}";
const COLLECTOR: &str = "system:serviceaccount:kube-system:generic-garbage-collector";

type Identity<'a> = (&'a str, &'a [&'a str]);

async fn get_as(
    caller: &Caller,
    path: &str,
    (name, groups): Identity<'_>,
    more: &[(&str, &str)],
) -> crate::harness::in_process::Answer {
    let mut headers = vec![("impersonate-user", name)];
    headers.extend(groups.iter().map(|group| ("impersonate-group", *group)));
    headers.extend(more);
    caller.send(Method::GET, path, &headers, "").await
}

/// What can be read is the same as for that user directly, by whoever may act as them; and not a bit more.
#[tokio::test]
async fn who_acts_as_somebody_sees_what_they_see() {
    let folder = guardian::temporary("audit-impersonation");
    let settings = Settings {
        unfiltered_users: vec![COLLECTOR.to_owned()],
        ..recording(folder.path(), POLICY)
    };
    let world = World::with(memory().await, settings).await;
    let robot = service_account("ns", "robot");
    let subjects = [
        user("alice"),
        user("bob"),
        group("team"),
        group("crew"),
        robot,
        group("system:serviceaccounts:ns"),
    ];
    for (n, one) in subjects.iter().enumerate() {
        let other = &subjects[(n + 1) % subjects.len()];
        let name = format!("org-{n}");
        world.organization(&name, std::slice::from_ref(one)).await;
        world.members(&organization(&name), std::slice::from_ref(other)).await;
        world.project(&name, "web", std::slice::from_ref(other)).await;
    }
    world.organization("of-the-administrator", &[user("admin")]).await;
    let identities: [Identity<'_>; 8] = [
        ("alice", &[]),
        ("alice", &["team"]),
        ("bob", &["crew", "team"]),
        ("nobody-in-particular", &[]),
        ("carol", &["system:serviceaccounts:ns"]),
        ("system:serviceaccount:ns:robot", &[]),
        (COLLECTOR, &[]),
        ("admin", &[]),
    ];
    let mut compared = 0;
    for identity in identities {
        let (name, groups) = identity;
        // A service account's groups are known even if nobody names them.
        let implied = ["system:serviceaccounts", "system:serviceaccounts:ns"];
        let account = name.starts_with("system:serviceaccount:ns:");
        let direct = world.server.introduced(name, if account { &implied } else { groups });
        let mut paths = vec![organizations(), all_projects()];
        paths.extend((0..subjects.len()).flat_map(|n| {
            let name = format!("org-{n}");
            [organization(&name), project(&name, "web")]
        }));
        for path in paths {
            let (acting, themselves) = (
                get_as(&world.admin, &path, identity, &[]).await,
                direct.get(&path).await,
            );
            assert_eq!(acting.code, themselves.code, "{name} {groups:?} {path}");
            assert_eq!(acting.body, themselves.body, "{name} {groups:?} {path}");
            compared += 1;
        }
    }
    println!("impersonation: {compared} answers compared with those to the user directly");
    // Who acts as somebody without rights has none, whatever they have themselves.
    let stored = organizations().replace("apiserver.bulward.io", "storage.bulward.io");
    get_as(&world.admin, &stored, ("alice", &[]), &[])
        .await
        .refused(403, "Forbidden");
    world.admin.get(&stored).await.expect(200);
    // Anonymous is nobody, as without credentials.
    let anonymous = get_as(&world.admin, &organizations(), ("system:anonymous", &[]), &[]).await;
    assert_eq!(
        anonymous.code,
        world.server.anonymous().get(&organizations()).await.code
    );

    // Who may not act as others is refused, whatever they ask for, and nothing happens.
    let bob = world.user("bob");
    for identity in identities {
        get_as(&bob, &organizations(), identity, &[])
            .await
            .refused(403, "Forbidden");
    }
    let parts = bob
        .send(
            Method::GET,
            &organizations(),
            &[("impersonate-group", "system:masters")],
            "",
        )
        .await;
    parts.refused(400, "BadRequest");

    let more = [
        ("audit-id", "acting"),
        ("impersonate-uid", "u-1"),
        ("impersonate-extra-example.org%2fwhy", "ü"),
    ];
    assert_eq!(
        get_as(&world.admin, &organizations(), ("alice", &["team"]), &more)
            .await
            .code,
        200
    );
    let own = of_request(&folder.path().join("audit.log"), "acting", "ResponseComplete").await;
    assert!(
        own[0].get("impersonatedUser").is_none(),
        "it came from the administrator"
    );
    assert_eq!(own[1]["user"]["username"], "admin");
    let whom = json!({"username": "alice", "uid": "u-1", "groups": ["team", "system:authenticated"], "extra": {"example.org/why": ["ü"]}});
    assert_eq!(own[1]["impersonatedUser"], whom);
}

/// A role says as whom somebody may act, and as nobody else.
#[tokio::test]
async fn roles_say_who_may_act_as_whom() {
    let settings = Settings {
        cluster: true,
        ..Settings::default()
    };
    let world = World::with(memory().await, settings).await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let role = |name: &str, rules: Value| json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules});
    let bind = |role: &str, subject: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": [subject]})
    };
    let reads =
        json!([{"apiGroups": ["apiserver.bulward.io"], "resources": ["organizations"], "verbs": ["get", "list"]}]);
    let acts = json!([
        {"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"], "resourceNames": ["alice"]},
        {"apiGroups": [""], "resources": ["groups"], "verbs": ["impersonate"], "resourceNames": ["team"]},
        {"apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"], "verbs": ["impersonate"], "resourceNames": ["view"]},
    ]);
    for (name, rules, subject) in [
        ("reads", reads, group("system:authenticated")),
        ("acts", acts, user("helper")),
    ] {
        world
            .admin
            .post(&format!("{rbac}/clusterroles"), &role(name, rules))
            .await
            .expect(201);
        world
            .admin
            .post(&format!("{rbac}/clusterrolebindings"), &bind(name, subject))
            .await
            .expect(201);
    }
    world.organization("of-alice", &[user("alice")]).await;
    let helper = world.user("helper");
    let ask =
        async |identity: Identity<'_>, more: &[(&str, &str)]| get_as(&helper, &organizations(), identity, more).await;
    eventually("the roles are in force", DEADLINE, async || {
        let answer = ask(("alice", &[]), &[]).await;
        if answer.code == 200 { Ok(()) } else { Err(answer.text()) }
    })
    .await;
    assert_eq!(
        ask(("alice", &["team"]), &[("impersonate-extra-scopes", "view")])
            .await
            .names(),
        ["of-alice"]
    );
    assert!(
        helper.get(&organizations()).await.names().is_empty(),
        "and is nobody in particular otherwise"
    );
    for (identity, more) in [
        (("bob", &[] as &[&str]), &[] as &[(&str, &str)]),
        (("alice", &["other"]), &[]),
        (("alice", &["system:masters"]), &[]),
        (("alice", &[]), &[("impersonate-uid", "a")]),
        (("alice", &[]), &[("impersonate-extra-scopes", "edit")]),
        (("alice", &[]), &[("impersonate-extra-others", "view")]),
    ] {
        ask(identity, more).await.refused(403, "Forbidden");
    }
}

/// `kubectl --as` with everything that it can say arrives as that user.
#[tokio::test]
async fn whom_kubectl_acts_as_arrives_as_they_are() {
    let (plane, server) = Bulward::shared().await;
    let acting = [
        "--as=audit-dora",
        "--as-uid=d-1",
        "--as-group=audited",
        "--as-group=crew",
        "--as-user-extra=example.org/Scopes=view",
        "--as-user-extra=example.org/Scopes=edit",
    ];
    let arguments = ["get", "organizations"].into_iter().chain(acting);
    plane.kubectl("admin").run(arguments).await.ok();
    let event = eventually("the request is recorded", DEADLINE, async || {
        let all = events(&server.audit_log());
        let found = all
            .into_iter()
            .find(|event| event["user"]["username"] == "audit-dora" && event["verb"] == "list");
        found.ok_or("no such event")
    })
    .await;
    assert_eq!(event["user"]["uid"], "d-1");
    assert_eq!(
        event["user"]["groups"],
        json!(["audited", "crew", "system:authenticated"])
    );
    assert_eq!(event["user"]["extra"]["example.org/scopes"], json!(["view", "edit"]));
    assert!(event.get("impersonatedUser").is_none(), "to us it is they who ask");
}

/// What we do on the cluster as a caller is done by them, as they are.
#[tokio::test]
async fn the_cluster_takes_us_for_the_caller() {
    let plane = ControlPlane::shared().await;
    let admin = plane.client("admin").await;
    let callers = [
        UserInfo {
            name: "grüße-aus-köln".to_owned(),
            uid: "u-7".to_owned(),
            groups: vec!["team ü".to_owned(), "system:authenticated".to_owned()],
            extra: BTreeMap::from([
                (
                    "example.org/wege%2f".to_owned(),
                    vec!["zu ☃ Fuß".to_owned(), "%41".to_owned()],
                ),
                (
                    "authentication.kubernetes.io/credential-id".to_owned(),
                    vec!["JTI=1".to_owned()],
                ),
            ]),
        },
        UserInfo {
            name: "system:serviceaccount:default:default".to_owned(),
            groups: [
                "system:serviceaccounts",
                "system:serviceaccounts:default",
                "system:authenticated",
            ]
            .map(str::to_owned)
            .into(),
            ..UserInfo::default()
        },
        UserInfo::anonymous(),
    ];
    for caller in callers {
        let client = impersonate::client(&admin, &caller).expect("they can be named");
        let reviews: Api<k8s_openapi::api::authentication::v1::SelfSubjectReview> = Api::all(client);
        let created = reviews.create(&PostParams::default(), &Default::default()).await;
        if caller.name == "system:anonymous" {
            let refused = created.expect_err("nobody may ask who they are");
            assert!(refused.to_string().contains("system:anonymous"), "{refused}");
            continue;
        }
        let told = created
            .expect("everybody may ask who they are")
            .status
            .unwrap()
            .user_info
            .unwrap();
        assert_eq!(told.username.as_deref(), Some(caller.name.as_str()));
        assert_eq!(told.uid.unwrap_or_default(), caller.uid);
        assert_eq!(told.groups.unwrap_or_default(), caller.groups);
        assert_eq!(told.extra.unwrap_or_default(), caller.extra);
    }
    // Whoever may not act as others does nothing in their name, nor in their own.
    let bob = plane.client("bob").await;
    let alice = UserInfo {
        name: "alice".to_owned(),
        ..UserInfo::default()
    };
    let client = impersonate::client(&bob, &alice).expect("she can be named");
    let reviews: Api<k8s_openapi::api::authentication::v1::SelfSubjectReview> = Api::all(client);
    let refused = reviews.create(&PostParams::default(), &Default::default()).await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 403));
    assert!(
        impersonate::client(&admin, &UserInfo::default()).is_err(),
        "nobody is not the server itself"
    );
}
