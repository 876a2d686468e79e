use super::*;

async fn open(paths: &AlwaysAllowPaths, path: &str) -> bool {
    let attributes = Attributes::Path {
        path: path.to_owned(),
        verb: "get".to_owned(),
    };
    paths.authorize(&UserInfo::anonymous(), &attributes).await.unwrap() == Decision::allow()
}

#[tokio::test]
async fn defaults_match_exactly() {
    let paths = AlwaysAllowPaths::default();
    for path in ["/healthz", "/readyz", "/livez"] {
        assert!(open(&paths, path).await, "{path}");
    }
    for path in ["/healthz/etcd", "/healthz/", "/health", "/metrics", "/", ""] {
        assert!(!open(&paths, path).await, "{path}");
    }
}

#[tokio::test]
async fn star_at_the_end_is_a_prefix() {
    let paths = AlwaysAllowPaths::new(["/healthz*", "version", "/"]).unwrap();
    for path in ["/healthz", "/healthz/etcd", "/version", "/"] {
        assert!(open(&paths, path).await, "{path}");
    }
    assert!(!open(&paths, "/version/x").await);
    assert!(open(&AlwaysAllowPaths::new(["*"]).unwrap(), "/anything").await);
    for bad in ["/a*b", "/a**", "*a"] {
        let error = AlwaysAllowPaths::new([bad]).unwrap_err().to_string();
        assert!(error.contains("only trailing * allowed in"), "{error}");
    }
}

#[tokio::test]
async fn resources_are_never_open() {
    let paths = AlwaysAllowPaths::new(["*"]).unwrap();
    let attributes = Attributes::Resource(super::super::ResourceAttributes::default());
    let decision = paths.authorize(&UserInfo::anonymous(), &attributes).await.unwrap();
    assert_eq!(decision, Decision::deny());
}
