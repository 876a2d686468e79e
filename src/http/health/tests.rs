use http_body_util::BodyExt;

use super::*;

fn health(shutdown: &Shutdown) -> Health {
    Health::new()
        .with("etcd", &Endpoint::ALL, || async { Ok(()) })
        .with("informer-sync", &[Endpoint::Readyz], || async {
            Err("not yet".to_owned())
        })
        .with_shutdown(shutdown)
}

async fn get(health: &Health, path: &str, query: &str) -> (u16, String) {
    let response = health.respond(path, Some(query)).await.unwrap();
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn texts_as_kubernetes_writes_them() {
    let health = health(&Shutdown::new());
    let ok = |text: &str| (200, text.to_owned());
    assert_eq!(get(&health, "/livez", "").await, ok("ok"));
    assert_eq!(
        get(&health, "/livez", "verbose").await,
        ok("[+]ping ok\n[+]log ok\n[+]etcd ok\nlivez check passed\n")
    );
    assert_eq!(
        get(&health, "/livez", "verbose&exclude=etcd").await,
        ok("[+]ping ok\n[+]log ok\n[+]etcd excluded: ok\nlivez check passed\n")
    );
    assert_eq!(
        get(&health, "/livez", "verbose=1&exclude=nope&exclude=a%20b").await,
        ok("[+]ping ok\n[+]log ok\n[+]etcd ok\n\
            warn: some health checks cannot be excluded: no matches for \"a b\",\"nope\"\nlivez check passed\n")
    );
    // Always verbose on failure.
    assert_eq!(
        get(&health, "/readyz", "").await,
        (
            500,
            "[+]ping ok\n[+]log ok\n[+]etcd ok\n[-]informer-sync failed: reason withheld\n[+]shutdown ok\nreadyz check failed\n"
                .to_owned()
        )
    );
    assert_eq!(get(&health, "/readyz", "exclude=informer-sync").await, ok("ok"));
}

#[tokio::test]
async fn each_check_has_its_own_path() {
    let health = health(&Shutdown::new());
    assert_eq!(get(&health, "/healthz/etcd", "").await, (200, "ok".to_owned()));
    let failed = get(&health, "/readyz/informer-sync", "").await;
    assert_eq!(failed, (500, "internal server error: not yet\n".to_owned()));
    for path in [
        "/livez/informer-sync",
        "/readyz/nope",
        "/healthz/",
        "/healthzz",
        "/readyz/etcd/",
        "/",
        "",
    ] {
        assert!(health.respond(path, None).await.is_none(), "{path}");
    }
    let paths = health.paths();
    for path in ["/healthz", "/livez/ping", "/readyz/shutdown", "/readyz/informer-sync"] {
        assert!(paths.iter().any(|known| known == path), "{path}");
    }
    assert!(!paths.iter().any(|known| known == "/livez/shutdown"));
}

#[tokio::test]
async fn readiness_ends_with_the_first_signal() {
    let shutdown = Shutdown::new();
    let health = Health::new().with_shutdown(&shutdown);
    assert_eq!(get(&health, "/readyz", "").await, (200, "ok".to_owned()));
    let delay = std::time::Duration::from_secs(3600);
    let running = tokio::spawn({
        let shutdown = shutdown.clone();
        async move { shutdown.run(delay).await }
    });
    shutdown.initiated().cancelled().await;
    assert_eq!(get(&health, "/readyz", "").await.0, 500);
    assert_eq!(get(&health, "/livez", "").await, (200, "ok".to_owned()));
    assert!(!shutdown.draining().is_cancelled());
    running.abort();
}

#[tokio::test]
async fn a_check_that_hangs_has_failed() {
    let mut health = Health::new().with("etcd", &Endpoint::ALL, std::future::pending);
    health.timeout = Duration::from_millis(20);
    let (status, text) = get(&health, "/healthz/etcd", "").await;
    assert_eq!(
        (status, text.as_str()),
        (500, "internal server error: no answer within 20ms\n")
    );
}
