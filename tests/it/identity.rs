//! Identity and permission, asked of a real kube-apiserver.

mod presented;

use std::{sync::Arc, time::Duration};

use bulward::{
    authn::{
        Authenticator, Credentials,
        delegating::DelegatingAuthenticator,
        token::{ClusterTokenReviewer, TokenAuthenticator, TokenOptions},
        trust::{LookupError, TrustBundle, TrustFlags},
    },
    authz::{
        AccessOptions, AlwaysAllowPaths, Attributes, Authorizer, ClusterAccessReviewer, Decision, ResourceAttributes,
        SubjectAccessReviewAuthorizer, Union,
    },
    cluster,
    wire::{status::Status, user::UserInfo},
};
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;

use crate::harness::{ControlPlane, eventually, pki};

const SOON: Duration = Duration::from_secs(30);

/// The identity under which these tests ask the cluster: it may do what an extension API server may, and no more.
const SERVER: &str = "identity-server";

fn chain(pair: &pki::Pair) -> Vec<CertificateDer<'static>> {
    let parsed = CertificateDer::pem_slice_iter(pair.certificate.as_bytes());
    parsed.collect::<Result<_, _>>().expect("our own certificate")
}

async fn ask(
    authenticator: &DelegatingAuthenticator,
    lines: &[(&str, &str)],
    chain: &[CertificateDer<'static>],
) -> Result<UserInfo, Status> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        headers.append(name, HeaderValue::from_str(value).expect("a header value"));
    }
    let mut credentials = Credentials {
        headers: &mut headers,
        certificates: chain,
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        notes: &bulward::wire::notes::Notes::default(),
    };
    authenticator.authenticate(&mut credentials).await
}

async fn server_client(plane: &ControlPlane) -> kube::Client {
    pki::install_tls_provider();
    let kubeconfig = plane.add_user(SERVER, &[]);
    let client = cluster::client("--kubeconfig", Some(&kubeconfig)).await;
    client.expect("the harness writes good kubeconfigs")
}

/// What `bulward manifests` gives to the server, done by hand.
async fn bind(plane: &ControlPlane) {
    let user = format!("--user={SERVER}");
    let admin = plane.kubectl("admin");
    let delegator = "clusterrolebinding identity-delegator --clusterrole=system:auth-delegator";
    let reader = "rolebinding identity-reader -n kube-system --role=extension-apiserver-authentication-reader";
    for binding in [delegator, reader] {
        let arguments = ["create"].into_iter().chain(binding.split(' ')).chain([user.as_str()]);
        admin.run(arguments).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_are_told_by_what_the_cluster_publishes_and_reviews() {
    let plane = ControlPlane::shared().await;
    let client = server_client(plane).await;
    let trust = TrustBundle::from_files(TrustFlags::default()).unwrap();

    let refused = trust.look_up_config_map(&client).await.unwrap_err();
    assert!(matches!(refused, LookupError::Forbidden(_)), "{refused}");
    assert!(
        refused
            .to_string()
            .contains("extension-apiserver-authentication-reader"),
        "{refused}"
    );
    bind(plane).await;
    eventually("the binding works", SOON, async || {
        trust.look_up_config_map(&client).await
    })
    .await;
    let following = tokio::spawn(trust.clone().follow_config_map(client.clone()));

    let reviewer = Arc::new(ClusterTokenReviewer::new(client.clone()));
    let tokens = TokenAuthenticator::new(reviewer, TokenOptions::default());
    let authenticator = DelegatingAuthenticator::new(trust, Some(tokens));

    let proxy = chain(plane.front_proxy_client());
    let told = [
        ("X-Remote-User", "carol"),
        ("X-Remote-Uid", "c-1"),
        ("X-Remote-Group", "team-carol"),
        ("X-Remote-Extra-Example.Org%2fScopes", "view"),
    ];
    let carol = ask(&authenticator, &told, &proxy).await.unwrap();
    assert_eq!((carol.name.as_str(), carol.uid.as_str()), ("carol", "c-1"));
    assert_eq!(carol.groups, ["team-carol", "system:authenticated"]);
    assert_eq!(carol.extra["example.org/scopes"], ["view"]);
    assert_eq!(
        ask(&authenticator, &[], &proxy).await.unwrap_err().code,
        401,
        "the proxy for itself is nobody"
    );

    let alice = ask(
        &authenticator,
        &told,
        &chain(&plane.ca().client("alice", &["team-alice"])),
    )
    .await
    .unwrap();
    assert_eq!(alice.name, "alice");
    assert_eq!(alice.groups, ["team-alice", "system:authenticated"]);
    let expired = chain(&plane.ca().expired_client("alice", &[]));
    assert_eq!(ask(&authenticator, &[], &expired).await.unwrap_err().code, 401);

    let admin = plane.kubectl("admin");
    let token = admin.run(["create", "token", "default", "-n", "default"]).await.ok();
    let token = format!("Bearer {}", token.trim());
    let robot = ask(&authenticator, &[("Authorization", &token)], &[]).await.unwrap();
    assert_eq!(robot.name, "system:serviceaccount:default:default");
    for group in [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ] {
        assert_eq!(
            robot.groups.iter().filter(|own| *own == group).count(),
            1,
            "{group} in {:?}",
            robot.groups
        );
    }
    assert!(!robot.uid.is_empty() && robot.extra.contains_key("authentication.kubernetes.io/credential-id"));
    let tampered = [("Authorization", &*format!("{token}x"))];
    assert_eq!(ask(&authenticator, &tampered, &[]).await.unwrap_err().code, 401);
    assert_eq!(ask(&authenticator, &[], &[]).await.unwrap(), UserInfo::anonymous());

    rotate(plane, &authenticator).await;
    following.abort();
}

/// Adds an authority for front proxies to the ConfigMap and waits until it is believed, the old one still being so.
async fn rotate(plane: &ControlPlane, authenticator: &DelegatingAuthenticator) {
    let admin = plane.kubectl("admin");
    let next = pki::Authority::new("identity-next-front-proxy-ca");
    let map = ["-n", "kube-system", "configmap", "extension-apiserver-authentication"];
    let key = ["-o", r"jsonpath={.data.requestheader-client-ca-file}"];
    let old = admin.run(["get"].iter().chain(&map).chain(&key)).await.ok();
    let patch = json!({"data": {"requestheader-client-ca-file": format!("{old}\n{}", next.pem())}}).to_string();
    let new = chain(&next.client("front-proxy-client", &[]));
    let told = [("X-Remote-User", "carol")];
    let unknown = ask(authenticator, &told, &new).await;
    assert_eq!(unknown.expect_err("not believed yet").code, 401);
    admin
        .run(["patch"].iter().chain(&map).chain(&["-p", &patch]))
        .await
        .ok();
    eventually("the new authority is believed", SOON, async || {
        ask(authenticator, &told, &new).await
    })
    .await;
    let old = ask(authenticator, &told, &chain(plane.front_proxy_client())).await;
    assert_eq!(old.expect("still believed").name, "carol");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_are_those_of_the_clusters_rbac() {
    let plane = ControlPlane::shared().await;
    let client = plane.client("admin").await;
    let fresh = AccessOptions {
        allow_ttl: Duration::ZERO,
        deny_ttl: Duration::ZERO,
        ..AccessOptions::default()
    };
    let reviews = SubjectAccessReviewAuthorizer::new(Arc::new(ClusterAccessReviewer::new(client)), fresh);
    let authorizer = Union::delegating(AlwaysAllowPaths::default(), reviews);
    let user = UserInfo {
        name: "identity-dave".to_owned(),
        groups: vec!["identity-devs".to_owned(), "system:authenticated".to_owned()],
        ..UserInfo::default()
    };
    let attributes = Attributes::Resource(ResourceAttributes {
        verb: "update".to_owned(),
        group: "identity.example.com".to_owned(),
        version: "v1".to_owned(),
        resource: "things".to_owned(),
        subresource: "status".to_owned(),
        namespace: "default".to_owned(),
        name: "one".to_owned(),
        ..ResourceAttributes::default()
    });
    let denied = authorizer.authorize(&user, &attributes).await.unwrap();
    assert_eq!(denied, Decision::deny());
    let open = Attributes::Path {
        path: "/apis".to_owned(),
        verb: "get".to_owned(),
    };
    let discovery = authorizer.authorize(&user, &open).await.unwrap();
    assert!(matches!(discovery, Decision::Allow { .. }), "{discovery:?}");
    let closed = Attributes::Path {
        path: "/metrics".to_owned(),
        verb: "get".to_owned(),
    };
    assert_eq!(authorizer.authorize(&user, &closed).await.unwrap(), Decision::deny());

    let admin = plane.kubectl("admin");
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": "identity-things", "namespace": "default"},
        "rules": [{
            "apiGroups": ["identity.example.com"], "resources": ["things/status"], "resourceNames": ["one"],
            "verbs": ["update"],
        }],
    });
    plane
        .kubectl("admin")
        .stdin(&role.to_string())
        .run(["create", "-f", "-"])
        .await
        .ok();
    let binding = "create rolebinding identity-things -n default --role=identity-things --group=identity-devs";
    admin.run(binding.split(' ')).await.ok();
    let reason = eventually("the role is in force", SOON, async || {
        match authorizer.authorize(&user, &attributes).await? {
            Decision::Allow { reason } => Ok(reason),
            Decision::Deny { reason } => Err(format!("denied: {reason}")),
        }
    })
    .await;
    assert!(reason.contains("RBAC: allowed by RoleBinding"), "{reason}");

    let masters = UserInfo {
        groups: vec!["system:masters".to_owned()],
        ..UserInfo::default()
    };
    assert_eq!(
        authorizer.authorize(&masters, &closed).await.unwrap(),
        Decision::allow()
    );
}

#[tokio::test]
async fn review_that_is_not_permitted_is_an_error_and_no_denial() {
    let plane = ControlPlane::shared().await;
    let reviews = SubjectAccessReviewAuthorizer::new(
        Arc::new(ClusterAccessReviewer::new(plane.client("bob").await)),
        AccessOptions::default(),
    );
    let path = Attributes::Path {
        path: "/x".to_owned(),
        verb: "get".to_owned(),
    };
    let error = reviews.authorize(&UserInfo::anonymous(), &path).await.unwrap_err();
    assert!(
        error.contains(r#"User "bob" cannot create resource "subjectaccessreviews""#),
        "{error}"
    );
    assert!(!error.contains('\n'), "{error}");
}
