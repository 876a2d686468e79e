use http::HeaderValue;

use super::*;
use crate::authn::certificates::{Authority, Leaf};

fn proxy(authority: &Authority, allowed: &[&str]) -> RequestHeader {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    RequestHeader {
        ca: authority.pool(),
        allowed_names: list(allowed),
        headers: HeaderNames::parse(
            "test",
            &list(&["X-Remote-User", "X-Other-User"]),
            &list(&["X-Remote-Uid"]),
            &list(&["X-Remote-Group", "X-More-Groups"]),
            &list(&["X-Remote-Extra-"]),
        )
        .unwrap(),
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    headers
}

/// What a valid proxy's headers say.
fn told(lines: &[(&str, &str)]) -> Result<Option<UserInfo>, Rejection> {
    let authority = Authority::new("front-proxy-ca");
    let chain = authority.issue(Leaf::named("front-proxy-client"));
    authenticate(&proxy(&authority, &[]), &headers(lines), &chain, UnixTime::now())
}

#[test]
fn proxy_names_the_caller() {
    let user = told(&[
        ("X-Remote-User", "jürgen"),
        ("X-Remote-Uid", "42"),
        ("X-More-Groups", "c"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Group", ""),
        ("X-Remote-Group", "a,with,commas"),
    ]);
    let user = user.unwrap().unwrap();
    assert_eq!(user.name, "jürgen");
    assert_eq!(user.uid, "42");
    assert_eq!(
        user.groups,
        ["b", "a,with,commas", "c"],
        "by header as configured, then as sent"
    );
    assert!(user.extra.is_empty());
}

#[test]
fn first_user_header_with_a_value_wins() {
    let user = told(&[("X-Other-User", "second"), ("X-Remote-User", "")]).unwrap();
    assert_eq!(user.unwrap().name, "second");
    assert_eq!(told(&[("X-Remote-Group", "a")]).unwrap(), None, "nobody is named");
}

#[test]
fn extras_are_decoded_and_add_up() {
    let user = told(&[
        ("X-Remote-User", "alice"),
        ("X-Remote-Extra-Scopes", "one"),
        ("x-remote-extra-scopes", "two"),
        ("X-Remote-Extra-scop%65s", "three"),
        ("X-Remote-Extra-Example.Com%2FKey", "slash"),
        ("X-Remote-Extra-%41", "decoded after lower-casing"),
        ("X-Remote-Extra-bad%zz%41", "malformed is kept"),
        ("X-Remote-Extra-cut%4", "malformed is kept"),
        ("X-Remote-Extra-%ff", "not UTF-8"),
        ("X-Remote-Extra-", "no key"),
    ]);
    let extra = user.unwrap().unwrap().extra;
    let keys: Vec<&str> = extra.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["", "%ff", "A", "bad%zz%41", "cut%4", "example.com/key", "scopes"]
    );
    assert_eq!(extra["scopes"], ["three", "one", "two"]);
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let authority = Authority::new("front-proxy-ca");
    let chain = authority.issue(Leaf::named("front-proxy-client"));
    let mut headers = headers(&[("X-Remote-User", "alice")]);
    headers.append("x-remote-group", HeaderValue::from_bytes(b"admins\xff").unwrap());
    let outcome = authenticate(&proxy(&authority, &[]), &headers, &chain, UnixTime::now());
    assert_eq!(outcome.unwrap_err().to_string(), "header x-remote-group is not UTF-8");
}

#[test]
fn only_the_proxy_is_believed() {
    let (authority, other) = (Authority::new("front-proxy-ca"), Authority::new("ca"));
    let proxy = proxy(&authority, &["front-proxy-client", "aggregator"]);
    let headers = headers(&[("X-Remote-User", "root"), ("X-Remote-Group", "system:masters")]);
    let ask = |chain: &[CertificateDer<'_>]| authenticate(&proxy, &headers, chain, UnixTime::now());

    assert_eq!(ask(&[]).unwrap(), None, "no certificate");
    let user = ask(&authority.issue(Leaf::named("aggregator"))).unwrap();
    assert_eq!(user.unwrap().name, "root");
    let wrong_name = ask(&authority.issue(Leaf::named("alice"))).unwrap_err();
    assert!(
        wrong_name
            .to_string()
            .contains("\"alice\" is not an allowed front proxy"),
        "{wrong_name}"
    );
    assert!(ask(&authority.issue(Leaf::default())).is_err(), "no name at all");
    assert!(
        ask(&other.issue(Leaf::named("front-proxy-client"))).is_err(),
        "other authority"
    );
    let expired = Leaf {
        years: (2020, 2021),
        ..Leaf::named("front-proxy-client")
    };
    assert!(ask(&authority.issue(expired)).is_err(), "expired");
}

#[test]
fn every_trace_is_removed() {
    let lines = [
        ("X-Remote-User", "a"),
        ("X-Remote-Uid", "a"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Extra-Foo", "a"),
        ("X-Other-User", "a"),
        ("X-More-Groups", "a"),
        ("Accept", "application/json"),
    ];
    let names = proxy(&Authority::new("ca"), &[]).headers;
    let mut all = headers(&lines);
    remove(&mut all, Some(&names));
    assert_eq!(all, headers(&[("Accept", "application/json")]));
    let mut standard = headers(&lines);
    remove(&mut standard, None);
    let left: Vec<&str> = standard.keys().map(HeaderName::as_str).collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.iter().all(|name| !name.starts_with("x-remote")), "{left:?}");
}
