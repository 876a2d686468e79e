//! Requests that mean one thing to one reader and another to the next: in their headers, their paths, and where they end.
//!
//! eve sees nothing of alice's, whatever she writes; and who comes through the front proxy gets one answer for one request.

use http::Method;

use crate::harness::in_process::memory;
use crate::harness::raw::{Door, Raw};
use crate::harness::tenancy::{World, an_organization, organization, organizations, stored, user};

const HIDDEN: &str = "quetzal";

async fn world() -> World {
    let world = World::new(memory().await).await;
    world.organization(HIDDEN, &[user("alice")]).await;
    world
}

/// Sends a head (and a body) as it is and reads one answer: its code, 0 where there is none, and everything up to the end of
/// the connection.
async fn answer(door: &Door, bytes: &[u8]) -> (u16, String) {
    let mut raw = door.open().await;
    // The server may have hung up already.
    let _ = raw.try_send(bytes).await;
    let text = String::from_utf8_lossy(&raw.rest().await).into_owned();
    let code = text.get(9..12).and_then(|code| code.parse().ok());
    (code.unwrap_or(0), text)
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Connection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn headers_make_nobody_somebody_else() {
    let world = world().await;
    let door = world.server.door_of("eve", &[]);
    let path = organization(HIDDEN);
    let (code, text) = answer(&world.server.door_of("alice", &[]), &get(&path, "")).await;
    assert_eq!(code, 200, "{text}");
    for headers in [
        "X-Remote-User: alice\r\n",
        "x-remote-user: alice\r\nX-REMOTE-USER: alice\r\nX-Remote-Group: system:masters\r\n",
        "X_Remote_User: alice\r\nX-Remote_User: alice\r\nHTTP_X_REMOTE_USER: alice\r\n",
        "X-Remote-User : alice\r\n",
        " X-Remote-User: alice\r\n",
        "X-Other: a\r\n X-Remote-User: alice\r\n",
        "X-Other: a\rX-Remote-User: alice\r\n",
        "X-Other: a\nX-Remote-User: alice\r\n",
        "X-Remote-Extra-Authentication.kubernetes.io%2fcredential-id: x\r\nX-Remote-Uid: alice\r\n",
        "Connection: X-Remote-User, keep-alive\r\nX-Remote-User: alice\r\n",
        "Impersonate-User: alice\r\n",
        "Impersonate-User: eve\r\nImpersonate-User: alice\r\n",
        "Impersonate-Group: system:masters\r\n",
        "impersonate_user: alice\r\n",
        "Authorization: Bearer alice\r\n",
        "Authorization: Basic YWxpY2U6YWxpY2U=\r\n",
        "Forwarded: for=127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-User: alice\r\nRemote-User: alice\r\n",
        "X-Original-URL: /healthz\r\nX-Rewrite-URL: /healthz\r\nX-HTTP-Method-Override: DELETE\r\n",
        "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    ] {
        let (code, text) = answer(&door, &get(&path, headers)).await;
        assert!(matches!(code, 400 | 401 | 403 | 404), "{headers:?}: {text}");
        assert!(!text.contains("\"owners\""), "{headers:?}: {text}");
    }
    // Nothing has happened to it, either.
    world.user("alice").get(&path).await.expect(200);
}

#[tokio::test]
async fn whatever_spells_a_path_is_judged_by_what_it_means() {
    let world = world().await;
    let (eve, alice) = (world.server.door_of("eve", &[]), world.server.door_of("alice", &[]));
    let plain = organization(HIDDEN);
    let base = "/apis/apiserver.bulward.io/v1alpha1";
    let hidden = stored(&plain);
    let collection = stored(&organizations());
    let mut spelled = vec![
        hidden.clone(),
        collection.clone(),
        format!("{collection}?watch=true&timeoutSeconds=1"),
        hidden.replacen("storage", "%73torage", 1),
        hidden.replacen("/v1alpha1", "%2Fv1alpha1", 1),
        hidden.replacen("/v1alpha1", "/v1alpha1/watch", 1),
        hidden.to_uppercase(),
        format!("/{hidden}"),
        format!("//{hidden}//"),
        format!("/.{hidden}"),
        format!("/healthz/..{hidden}"),
        format!("/healthz/%2e%2e{hidden}"),
        format!("/healthz%2f..{hidden}"),
        format!("/healthz;{hidden}"),
        format!("/healthz?x={hidden}"),
        format!("/livez%00{hidden}"),
        format!("{base}/organizations/..{hidden}"),
        format!("{base}/organizations/x/../../../..{hidden}"),
        format!("{base}/organizations/..%2f..%2f..%2f..{hidden}"),
        format!("{base}/namespaces/x/organizations/{HIDDEN}"),
        format!("{base}/namespaces//organizations/{HIDDEN}"),
        format!("{base}/organizations/{HIDDEN}/status"),
        format!("{base}/organizations/{HIDDEN}%2Fstatus"),
        format!("{base}/organizations/{HIDDEN}%00"),
        format!("{base}/organizations/{HIDDEN}%20"),
        format!("{base}/organizations/{HIDDEN};v=1"),
        format!("{base}/organizations/%71uetzal"),
        format!("{base}/watch/organizations/{HIDDEN}?timeoutSeconds=1"),
        format!("{base}/proxy/organizations/{HIDDEN}"),
        format!("{base}%2forganizations%2f{HIDDEN}"),
        format!("{base}/organizations/{HIDDEN}?pretty=1&namespace=x&name=x"),
        format!("http://localhost{hidden}"),
        format!("https://alice@localhost{hidden}"),
        format!("http://127.0.0.1:1{plain}"),
    ];
    for backslash in ["\\", "%5c", "%255c", "%252f"] {
        spelled.push(hidden.replace('/', backslash));
    }
    for path in &spelled {
        let (code, text) = answer(&eve, &get(path, "")).await;
        let open = path.starts_with("/healthz?");
        // A watch of one name is a list of it, and her list is empty.
        let empty = path.contains("/v1alpha1/watch/") && code == 200;
        assert!(open || empty || matches!(code, 400 | 403 | 404), "{path}: {text}");
        assert!(
            !text.contains("\"owners\"") && !text.contains("\"alice\""),
            "{path}: {text}"
        );
    }
    // The same path in other letters is the same to its owner.
    let body = |text: &str| text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    let (code, text) = answer(&alice, &get(&plain, "")).await;
    assert_eq!(code, 200, "{text}");
    for same in [
        format!("{base}/organizations/%71uetza%6C"),
        format!("/{plain}/"),
        format!("http://elsewhere.example.com{plain}"),
        plain.replace('/', "%2f").replacen("%2f", "/", 1),
    ] {
        let (code, again) = answer(&alice, &get(&same, "")).await;
        assert_eq!((code, body(&again)), (200, body(&text)), "{same}");
    }
}

#[tokio::test]
async fn methods_that_nobody_serves_do_nothing_and_echo_nothing() {
    let world = world().await;
    let path = organization(HIDDEN);
    for (user, groups) in [("eve", &[][..]), ("admin", &["system:masters"][..])] {
        let door = world.server.door_of(user, groups);
        for line in [
            format!("TRACE {path}"),
            format!("OPTIONS {path}"),
            "OPTIONS *".to_owned(),
            "CONNECT localhost:443".to_owned(),
            format!("CONNECT {path}"),
            format!("PROPFIND {path}"),
            format!("get {path}"),
            format!("DELETE\t{path}"),
            "TRACE /healthz".to_owned(),
            "PRI *".to_owned(),
        ] {
            let bytes = format!("{line} HTTP/1.1\r\nHost: localhost\r\nX-Secret: sesame\r\nConnection: close\r\n\r\n");
            let (code, text) = answer(&door, bytes.as_bytes()).await;
            // Health checks take any method, as Go's do.
            let healthy = line.ends_with("/healthz") && code == 200;
            assert!(healthy || matches!(code, 0 | 400..=405), "{user}: {line}: {text}");
            assert!(!text.contains("sesame"), "{user}: {line}: {text}");
        }
    }
    world.user("alice").get(&path).await.expect(200);
}

/// What stands behind the end of a request is not taken for another one where that end is in doubt.
#[tokio::test]
async fn where_a_request_ends_is_not_in_doubt() {
    let world = world().await;
    let door = world
        .server
        .front_door("X-Remote-User: eve\r\nX-Remote-Group: system:authenticated\r\n");
    let path = organizations();
    // If this were answered, its answer would hold what alice sees.
    let smuggled = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: alice\r\nConnection: close\r\n\r\n",
        organization(HIDDEN)
    );
    let length = smuggled.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{}Content-Type: application/json\r\n",
        door.identity
    );
    for (framing, body) in [
        (
            format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
            "0\r\n\r\n",
        ),
        (
            format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
            "0\r\n\r\n",
        ),
        ("Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(), ""),
        ("Content-Length: 0, 5\r\n".to_owned(), ""),
        ("Content-Length: +0\r\n".to_owned(), ""),
        ("Content-Length: 0x0\r\n".to_owned(), ""),
        ("Content-Length : 0\r\n".to_owned(), ""),
        ("Transfer-Encoding: xchunked\r\n".to_owned(), "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity\r\n".to_owned(), "0\r\n\r\n"),
        ("Transfer-Encoding : chunked\r\n".to_owned(), "0\r\n\r\n"),
        ("Transfer-Encoding:\x0bchunked\r\n".to_owned(), "0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n".to_owned(), "0 \n\n"),
        ("Transfer-Encoding: chunked\r\n".to_owned(), "-0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n".to_owned(), "0x0\r\n\r\n"),
        ("Transfer-Encoding: chunked\r\n".to_owned(), "10000000000000000\r\n\r\n"),
    ] {
        let bytes = format!("{head}{framing}\r\n{body}{smuggled}");
        let (_, text) = answer(&door, bytes.as_bytes()).await;
        assert!(text.matches("HTTP/1.1 ").count() <= 1, "{framing:?} {body:?}: {text}");
        assert!(!text.contains("\"owners\""), "{framing:?} {body:?}: {text}");
    }
    // Where it is not, the next request is one: by the proxy's own word, and answered as such.
    let mut raw: Raw = door.open().await;
    raw.send(format!("{head}Content-Length: 2\r\n\r\n{{}}{smuggled}").as_bytes())
        .await;
    let text = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert_eq!(text.matches("HTTP/1.1 ").count(), 2, "{text}");
}

/// Nobody sees what is shown to somebody else because it was asked for on the same connection before.
#[tokio::test]
async fn a_connection_of_the_proxy_remembers_nobody() {
    let world = world().await;
    let proxy = world.server.front_door("");
    let mut raw = proxy.open().await;
    for (name, code) in [("alice", 200), ("eve", 404), ("alice", 200), ("", 401), ("eve", 404)] {
        let who = format!("X-Remote-User: {name}\r\nX-Remote-Group: system:authenticated\r\n");
        raw.request(&format!("GET {}", organization(HIDDEN)), &who).await;
        let (answered, body) = raw.response().await;
        assert_eq!(answered, code, "{name}: {}", String::from_utf8_lossy(&body));
    }
    // And a body that was not read is not the beginning of the next request.
    let who = "X-Remote-User: eve\r\nX-Remote-Group: system:authenticated\r\n";
    let inner = format!(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nX-Remote-User: alice\r\n\r\n",
        organization(HIDDEN)
    );
    let headers = format!("{who}Content-Type: text/plain\r\nContent-Length: {}\r\n", inner.len());
    raw.request(&format!("{} {}", Method::POST, organizations()), &headers)
        .await;
    raw.send(inner.as_bytes()).await;
    assert_eq!(raw.response().await.0, 415);
    raw.request(&format!("GET {}", organization(HIDDEN)), who).await;
    assert_eq!(raw.response().await.0, 404);
    let body = an_organization("free", &[user("eve")]).to_string();
    let headers = format!(
        "{who}Content-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    raw.request(&format!("{} {}", Method::POST, organizations()), &headers)
        .await;
    raw.send(body.as_bytes()).await;
    assert_eq!(raw.response().await.0, 201);
}
