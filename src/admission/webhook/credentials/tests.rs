use std::fs;

use serde_json::{Value, json};

use super::*;

/// A kubeconfig with these users, of which `current` is the one of its context.
fn kubeconfig(users: &[(&str, Value)], current: &str) -> String {
    let users: Vec<Value> = users
        .iter()
        .map(|(name, user)| json!({"name": name, "user": user}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Config", "users": users, "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "", "user": current}}],
    })
    .to_string()
}

fn load(text: &str) -> Result<Credentials, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    fs::write(&file, text).unwrap();
    let loaded = Credentials::load(&file);
    loaded.map_err(|why| {
        assert!(!why.contains('\n'), "{why}");
        let start = format!("{}: ", file.display());
        let rest = why.strip_prefix(&start);
        rest.unwrap_or_else(|| panic!("{why:?} does not start with {start:?}"))
            .to_owned()
    })
}

/// A certificate and its key, PEM.
fn pair() -> (String, String) {
    let pair = rcgen::generate_simple_self_signed(["us".to_owned()]).unwrap();
    (pair.cert.pem(), pair.signing_key.serialize_pem())
}

fn shown(credentials: &Credentials, host: &str, port: u16) -> Option<String> {
    let header = credentials.to(host, port)?.authorization()?;
    assert!(header.is_sensitive());
    Some(header.to_str().unwrap().to_owned())
}

/// The cases of Go (k8s.io/apiserver pkg/util/webhook/authentication_test.go).
#[test]
fn users_are_found_by_the_server() {
    let fallback: [(&str, &str); 4] = [
        ("*.two.three.com", "first"),
        ("*.three.com", "second"),
        ("*.com", "third"),
        ("*", "fallback"),
    ];
    let with = |more: &[(&'static str, &'static str)]| [more, &fallback].concat();
    let cases = [
        ("foo.com", 443, vec![], None),
        ("foo.com", 443, vec![("bar.com", "bar")], None),
        (
            "foo.com",
            443,
            vec![("foo.com", "foo"), ("*.com", "foo-star"), ("bar.com", "bar")],
            Some("foo"),
        ),
        (
            "foo.com",
            443,
            vec![("*.com", "foo-star"), ("bar.com", "bar")],
            Some("foo-star"),
        ),
        ("foo.com", 443, vec![("*", "star"), ("bar.com", "bar")], Some("star")),
        ("kubernetes.default.svc", 443, vec![("*", "star")], Some("star")),
        ("one.two.three.com", 443, fallback[..3].to_vec(), Some("first")),
        (
            "one.two.three.com",
            443,
            with(&[("one.two.three.com:443", "exact")]),
            Some("exact"),
        ),
        (
            "one.two.three.com",
            443,
            with(&[("*.two.three.com:443", "with-port")]),
            Some("with-port"),
        ),
        ("one.two.three.com", 443, with(&[]), Some("first")),
        (
            "one.two.three.com",
            443,
            with(&[("*.com:443", "far-with-port")]),
            Some("far-with-port"),
        ),
        (
            "one.two.three.com",
            8443,
            with(&[("one.two.three.com:8443", "exact")]),
            Some("exact"),
        ),
        (
            "one.two.three.com",
            8443,
            with(&[
                ("*.two.three.com:8443", "with-port"),
                ("one.two.three.com", "without-port"),
            ]),
            Some("with-port"),
        ),
        (
            "one.two.three.com",
            8443,
            with(&[("one.two.three.com", "without-port")]),
            Some("fallback"),
        ),
        (
            "hook.ns.svc",
            443,
            vec![("hook.ns.svc", "service"), ("*", "star")],
            Some("service"),
        ),
        (
            "hook.ns.svc",
            8443,
            vec![("*.svc:8443", "services"), ("*", "star")],
            Some("services"),
        ),
        ("[::1]", 8443, vec![("[::1]:8443", "local")], Some("local")),
        // a wildcard stands for a name, not for a part of one
        ("foo.com", 443, vec![("*oo.com", "odd")], None),
        ("foo.com", 443, vec![("*.foo.com", "below")], None),
    ];
    for (host, port, users, wanted) in cases {
        let tokens: Vec<_> = users
            .iter()
            .map(|(name, token)| (*name, json!({"token": token})))
            .collect();
        let credentials = load(&kubeconfig(&tokens, "nobody")).unwrap();
        let wanted = wanted.map(|token| format!("Bearer {token}"));
        assert_eq!(shown(&credentials, host, port), wanted, "{host}:{port} of {users:?}");
    }
    let one = [("bar.com", json!({"token": "bar"}))];
    let current = load(&kubeconfig(&one, "bar.com")).unwrap();
    assert_eq!(shown(&current, "foo.com", 443).as_deref(), Some("Bearer bar"));
}

#[test]
fn each_sort_of_proof_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("token"), " from-a-file\n").unwrap();
    let (certificate, key) = pair();
    fs::write(path("us.crt"), &certificate).unwrap();
    fs::write(path("us.key"), &key).unwrap();
    let users = [
        ("a", json!({"username": "ann", "password": "p:w"})),
        ("b", json!({"tokenFile": path("token"), "token": "ignored"})),
        (
            "c",
            json!({"client-certificate": path("us.crt"), "client-key": path("us.key")}),
        ),
        (
            "d",
            json!({
                "client-certificate-data": BASE64_STANDARD.encode(&certificate), "client-certificate": "/nowhere",
                "client-key-data": BASE64_STANDARD.encode(&key), "token": "as well",
            }),
        ),
        ("e", json!({})),
    ];
    let credentials = load(&kubeconfig(&users, "")).unwrap();
    let shown = |host: &str| {
        let identity = credentials.to(host, 443).expect("a user");
        let header = identity.authorization();
        (
            header.map(|header| header.to_str().unwrap().to_owned()),
            identity.has_certs(),
        )
    };
    assert_eq!(shown("a"), (Some("Basic YW5uOnA6dw==".to_owned()), false));
    assert_eq!(shown("b"), (Some("Bearer from-a-file".to_owned()), false));
    assert_eq!(shown("c"), (None, true));
    assert_eq!(shown("d"), (Some("Bearer as well".to_owned()), true));
    assert_eq!(shown("e"), (None, false));
    assert_eq!(format!("{:?}", credentials.to("a", 443)), "Some(Identity { .. })");
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "one").unwrap();
    let credentials = load(&kubeconfig(&[("*", json!({"tokenFile": token}))], "")).unwrap();
    let identity = credentials.to("hook", 443).unwrap();
    let shown = async || {
        identity.refresh().await;
        identity.authorization().unwrap().to_str().unwrap().to_owned()
    };
    fs::write(&token, "two").unwrap();
    assert_eq!(shown().await, "Bearer one");
    tokio::time::advance(REFRESH).await;
    assert_eq!(shown().await, "Bearer two");
    fs::remove_file(&token).unwrap();
    tokio::time::advance(REFRESH).await;
    assert_eq!(shown().await, "Bearer two");
}

#[test]
fn what_cannot_be_used_is_said_without_secrets() {
    let data = |text: &str| BASE64_STANDARD.encode(text);
    let ((certificate, key), (_, other_key)) = (pair(), pair());
    let (certificate, key, other_key) = (data(&certificate), data(&key), data(&other_key));
    let cases = [
        (
            json!({"exec": {"command": "x", "apiVersion": "client.authentication.k8s.io/v1"}}),
            "exec: is not supported",
        ),
        (
            json!({"auth-provider": {"name": "x", "config": {}}}),
            "auth-provider: is not supported",
        ),
        (json!({"as": "ann", "token": "secret"}), "as: is not supported"),
        (
            json!({"token": "secret", "username": "secret"}),
            "username: is there beside a token",
        ),
        (json!({"token": "secret\n2"}), "token: has characters"),
        (
            json!({"tokenFile": "/nowhere/token"}),
            "tokenFile: /nowhere/token: No such file",
        ),
        (
            json!({"client-certificate": "/nowhere/c", "client-key": "/nowhere/k"}),
            "client-certificate: /nowhere/c: No such file",
        ),
        (
            json!({"client-certificate-data": certificate}),
            "client-certificate-data: there is no key",
        ),
        (
            json!({"client-key-data": key}),
            "client-key-data: there is no certificate",
        ),
        (
            json!({"client-certificate-data": "secret!", "client-key-data": "secret"}),
            "client-certificate-data: no base64",
        ),
        (
            json!({"client-certificate-data": data("secret"), "client-key-data": key}),
            "client-certificate-data: holds no PEM",
        ),
        (
            json!({"client-certificate-data": certificate, "client-key-data": data("secret")}),
            "client-key-data: holds no PEM",
        ),
        (
            json!({"client-certificate-data": certificate, "client-key-data": other_key}),
            "client-key-data: no key for the certificate",
        ),
    ];
    for (user, wanted) in cases {
        let why = load(&kubeconfig(&[("good", json!({})), ("h:1", user)], ""))
            .err()
            .expect("an error");
        assert!(why.starts_with(&format!("users[\"h:1\"].{wanted}")), "{why}");
        assert!(!why.contains("secret"), "{why}");
    }
    let twice = kubeconfig(&[("h", json!({})), ("h", json!({}))], "");
    assert_eq!(load(&twice).err().as_deref(), Some("users[\"h\"]: is there twice"));
    let broken = load("users:\n- name: h\n  user: {token: {secret: 1}}\n")
        .err()
        .expect("an error");
    assert!(
        broken.ends_with("no kubeconfig") && !broken.contains("secret"),
        "{broken}"
    );
    let missing = Credentials::load(Path::new("/nowhere/kubeconfig"))
        .err()
        .expect("an error");
    assert!(missing.starts_with("/nowhere/kubeconfig: No such file"), "{missing}");
}
