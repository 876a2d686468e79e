use super::*;

/// Headers of a request for a WebSocket with these lists of protocols.
fn offering(lists: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("WebSocket"));
    for list in lists {
        headers.append(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(list).unwrap());
    }
    headers
}

fn left(headers: &HeaderMap) -> Vec<&[u8]> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    lists.map(HeaderValue::as_bytes).collect()
}

/// `a` and `token` as protocols; the last one is `token` with other last bits, which Go takes as well.
const A: &str = "base64url.bearer.authorization.k8s.io.YQ";
const TOKEN: &str = "base64url.bearer.authorization.k8s.io.dG9rZW4";
const LOOSE: &str = "base64url.bearer.authorization.k8s.io.dG9rZW5";

/// Lists that are offered, what comes of them, and the lists that are left.
type Case<'a> = (&'a [&'a str], Result<Option<&'a str>, &'a str>, &'a [&'a str]);

/// The cases of protocol_test.go, and a few more.
#[test]
fn one_token_beside_another_protocol() {
    let list = |protocols: &[&str]| protocols.join(", ");
    let cases: [Case<'_>; 16] = [
        (&[], Ok(None), &[]),
        (&["chat"], Ok(None), &["chat"]),
        (&["chat, superchat"], Ok(None), &["chat, superchat"]),
        (&[&list(&[TOKEN, "chat"])], Ok(Some("token")), &["chat"]),
        (&[&list(&["chat", TOKEN])], Ok(Some("token")), &["chat"]),
        (&[&list(&["a", TOKEN, "b"])], Ok(Some("token")), &["a,b"]),
        (&["chat", TOKEN], Ok(Some("token")), &["chat"]),
        (&["a", TOKEN, "b, c"], Ok(Some("token")), &["a,b,c"]),
        (&[&list(&[LOOSE, "chat"])], Ok(Some("token")), &["chat"]),
        (&[TOKEN], Err("no other protocol beside the token"), &[]),
        (&[&list(&[A, TOKEN, "chat"])], Err("several tokens"), &["chat"]),
        (&[TOKEN, A, "chat"], Err("several tokens"), &["chat"]),
        (
            &["base64url.bearer.authorization.k8s.io.dG9rZW4=, chat"],
            Err("not base64url"),
            &["chat"],
        ),
        (
            &["base64url.bearer.authorization.k8s.io.a+b/, chat"],
            Err("not base64url"),
            &["chat"],
        ),
        (
            &["base64url.bearer.authorization.k8s.io._w, chat"],
            Err("not UTF-8"),
            &["chat"],
        ),
        // Nothing is no token, and needs nothing beside it.
        (&["base64url.bearer.authorization.k8s.io."], Ok(None), &[]),
    ];
    for (lists, expected, remains) in cases {
        let mut headers = offering(lists);
        let found = token(&headers).map_err(|refused| refused.to_string());
        let found = found.map(|token| token.map(|token| token.expose().to_owned()));
        let expected = expected
            .map(|token| token.map(str::to_owned))
            .map_err(|why| format!("bearer token: WebSocket protocol: {why}"));
        assert_eq!(found, expected, "{lists:?}");
        remove(&mut headers);
        let remains: Vec<&[u8]> = remains.iter().map(|list| list.as_bytes()).collect();
        assert_eq!(left(&headers), remains, "{lists:?}");
    }
}

#[test]
fn only_a_websocket_has_protocols() {
    for missing in [CONNECTION, UPGRADE] {
        let mut headers = offering(&[&format!("{TOKEN}, chat")]);
        headers.remove(&missing);
        assert_eq!(token(&headers).unwrap(), None, "{missing}");
        remove(&mut headers);
        assert_eq!(left(&headers), [b"chat"], "a token goes nevertheless");
    }
}

#[test]
fn refusals_do_not_tell_the_token() {
    for list in [TOKEN.to_owned(), format!("{TOKEN}, {A}, chat")] {
        let why = token(&offering(&[&list])).unwrap_err().to_string();
        assert!(!why.contains("token.") && !why.contains("dG9r"), "{why}");
    }
}
