//! What happens to the connection of a request that is answered before it is read.

use serde_json::json;

use crate::harness::in_process::{InProcess, Settings, memory};

/// Bodies that nobody reads do not end a connection, and are not taken for the next request.
#[tokio::test]
async fn bodies_left_unread() {
    let server = InProcess::start(memory().await.storage.clone()).await;
    let door = server.door();
    let base = "/apis/storage.bulward.io/v1alpha1/organizations";
    // it comes in many pieces, after the answer could have been given
    let body = vec![b' '; 200 << 10];
    for (line, headers, code) in [
        (format!("POST {base}"), "Content-Type: text/plain\r\n", 415),
        (format!("PATCH {base}/x"), "Content-Type: text/plain\r\n", 415),
        (format!("POST {base}"), "Accept: image/png\r\n", 406),
        ("POST /apis/storage.bulward.io/v1alpha1/nothing".to_owned(), "", 404),
        ("POST /nothing".to_owned(), "", 404),
        (format!("PUT {base}"), "", 405),
        (format!("POST {base}?timeout=x"), "", 400),
        (format!("GET {base}"), "", 200),
        (format!("HEAD {base}"), "", 405),
    ] {
        let mut raw = door.open().await;
        let length = format!("{headers}Content-Length: {}\r\n", body.len());
        raw.request(&line, &length).await;
        for piece in body.chunks(50 << 10) {
            raw.send(piece).await;
        }
        if line.starts_with("HEAD") {
            let head = raw.head().await;
            assert!(head.starts_with("HTTP/1.1 405"), "{head}");
        } else {
            let (got, text) = raw.response().await;
            assert_eq!(got, code, "{line}: {}", String::from_utf8_lossy(&text));
        }
        // the same connection serves the next request
        raw.request("GET /livez", "").await;
        assert_eq!(raw.response().await, (200, b"ok".to_vec()), "{line}");
    }
}

/// Whoever asks for leave to send gets the refusal instead.
#[tokio::test]
async fn nobody_is_asked_to_send_what_is_not_wanted() {
    let server = InProcess::start(memory().await.storage.clone()).await;
    let mut raw = server.door().open().await;
    let headers = "Content-Type: text/plain\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n";
    raw.request("POST /apis/storage.bulward.io/v1alpha1/organizations", headers)
        .await;
    let head = raw.head().await;
    assert!(head.starts_with("HTTP/1.1 415"), "{head}");
}

/// What is large is sent compressed to whoever can read it; everything else as it is.
#[tokio::test]
async fn large_answers_are_compressed() {
    let server = InProcess::start(memory().await.storage.clone()).await;
    let admin = server.admin();
    let base = "/apis/storage.bulward.io/v1alpha1/organizations";
    let organization = |name: &str, size: usize| {
        json!({"apiVersion": "storage.bulward.io/v1alpha1", "kind": "Organization",
            "metadata": {"name": name, "annotations": {"a": "x".repeat(size)}},
            "spec": {"owners": [{"kind": "User", "name": "alice"}]}})
    };
    admin.post(base, &organization("small", 1000)).await.expect(201);
    admin.post(base, &organization("large", 140_000)).await.expect(201);
    let get = async |path: &str, coding: &'static str| {
        let headers = [("accept-encoding", coding)];
        admin.send(http::Method::GET, path, &headers, "").await
    };
    let large = format!("{base}/large");
    for path in [base, &large] {
        let plain = get(path, "identity").await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, None));
        let packed = get(path, "deflate, gzip").await;
        assert_eq!(packed.header("content-encoding"), Some("gzip"), "{path}");
        assert_eq!(packed.header("vary"), Some("Accept-Encoding"));
        assert!(packed.body.len() < plain.body.len() / 10);
        assert_eq!(unpacked(&packed.body), plain.body);
    }
    for (path, coding) in [
        (format!("{base}/small"), "gzip"),
        (large, "gzip;q=1"),
        ("/apis".to_owned(), "gzip"),
    ] {
        assert_eq!(get(&path, coding).await.header("content-encoding"), None, "{path}");
    }
    let watched = get(&format!("{base}?watch=true&timeoutSeconds=1"), "gzip").await;
    assert!(watched.body.len() > 140_000 && watched.header("content-encoding").is_none());
    let plain = get("/openapi/v2", "identity").await;
    let packed = get("/openapi/v2", "gzip").await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert_eq!(unpacked(&packed.body), plain.body);
    assert_eq!(packed.header("etag"), plain.header("etag"));
    for answer in [plain, packed] {
        let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["Accept", "Accept-Encoding"]);
    }
}

fn unpacked(bytes: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut plain).unwrap();
    plain
}

/// `--disable-http2-serving`: not even a client that speaks nothing else gets it.
#[tokio::test]
async fn http2_may_be_left_out() {
    for disable_http2 in [false, true] {
        let mut settings = Settings::default();
        settings.tls.options.disable_http2 = disable_http2;
        let server = InProcess::with(memory().await.storage.clone(), settings).await;
        let door = server.door();
        let stream = door.dial(&["h2", "http/1.1"]).await.unwrap();
        let expected: &[u8] = if disable_http2 { b"http/1.1" } else { b"h2" };
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(expected));
        assert_eq!(door.dial(&["h2"]).await.is_err(), disable_http2);
    }
}
