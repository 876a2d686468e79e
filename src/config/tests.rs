use std::time::Duration;

use super::*;

#[test]
fn durations_as_go_writes_them() {
    for (text, milliseconds) in [
        ("10s", 10_000),
        ("1m30s", 90_000),
        ("1m0s", 60_000),
        ("500ms", 500),
        ("1.5h", 5_400_000),
        ("0", 0),
        ("0s", 0),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
    }
    for text in [
        "",
        "10",
        "s",
        "-1s",
        "10 s",
        "1d",
        "1..5s",
        "1s2",
        "9999999999999999999999h",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

#[test]
fn an_etcd_prefix_keeps_away_from_the_cluster() {
    for (text, prefix) in [
        ("/bulward", "/bulward"),
        ("bulward", "/bulward"),
        ("/bulward/", "/bulward"),
        ("//a///b/", "/a/b"),
        ("/registry2", "/registry2"),
        ("/registry.io/x", "/registry.io/x"),
        ("/a/registry", "/a/registry"),
    ] {
        assert_eq!(parse_prefix(text).as_deref(), Ok(prefix), "{text}");
    }
    for text in [
        "",
        "/",
        "//",
        "/registry",
        "registry",
        "/registry/",
        "/registry/bulward",
        "//registry//x",
        "/a/../registry",
        "/./registry",
        "/a\n",
    ] {
        assert!(parse_prefix(text).is_err(), "{text:?}");
    }
}

#[test]
fn etcd_endpoints() {
    for text in [
        "http://127.0.0.1:2379",
        "https://etcd-0.etcd:2379/",
        "https://[::1]:2379",
    ] {
        assert_eq!(check_endpoint(text), Ok(()), "{text}");
    }
    for text in [
        "",
        "127.0.0.1:2379",
        "etcd",
        "unix:///x",
        "https://u:p@h:1",
        "https://h:1/path",
        "http://",
        "http:///x",
    ] {
        assert!(check_endpoint(text).is_err(), "{text}");
    }
}
