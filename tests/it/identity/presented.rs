//! Tokens as they are brought, to kube-apiserver and to us: who is let in by them, and what is said of it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::harness::raw::Door;
use crate::harness::{Bulward, ControlPlane, eventually};

use super::SOON;

const SOCKET: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nOrigin: http://localhost\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// Everything that the account may watch, at kube-apiserver and at our server.
const WATCHED: [&str; 2] = [
    "/api/v1/namespaces?watch=true",
    "/apis/storage.bulward.io/v1alpha1/organizations?watch=true",
];

/// What a server says before anything else.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    code: String,
    /// Lines of these headers, without their names.
    protocols: Vec<String>,
    warnings: Vec<String>,
}

/// Both servers, for somebody without a certificate.
async fn doors() -> (&'static ControlPlane, &'static Bulward, [Door; 2]) {
    let (plane, server) = Bulward::shared().await;
    let theirs = Door {
        certificate: String::new(),
        identity: "",
        ..Door::of_plane(plane)
    };
    let port = server.url().rsplit(':').next().and_then(|port| port.parse().ok());
    let ours = Door {
        port: port.expect("a port in the URL"),
        authority: theirs.authority.clone(),
        certificate: String::new(),
        key: String::new(),
        identity: "",
    };
    (plane, server, [theirs, ours])
}

async fn get(door: &Door, path: &str, headers: &str) -> Head {
    let mut raw = door.open().await;
    raw.request(&format!("GET {path}"), headers).await;
    let head = raw.head().await;
    let of = |wanted: &str| -> Vec<String> {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let own = lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        own.map(|(_, value)| value.to_owned()).collect()
    };
    Head {
        code: head.get(9..12).unwrap_or_default().to_owned(),
        protocols: of("sec-websocket-protocol"),
        warnings: of("warning"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_may_bring_its_token_as_a_protocol() {
    let (plane, server, doors) = doors().await;
    let admin = plane.kubectl("admin");
    for line in [
        "create serviceaccount sockets -n default",
        "create clusterrole identity-sockets --verb=get,list,watch --resource=namespaces,organizations.storage.bulward.io",
        "create clusterrolebinding identity-sockets --clusterrole=identity-sockets --serviceaccount=default:sockets",
    ] {
        admin.run(line.split(' ')).await.ok();
    }
    let token = admin.run(["create", "token", "sockets", "-n", "default"]).await.ok();
    let token = token.trim();
    let protocol = |token: &str| {
        let encoded = URL_SAFE_NO_PAD.encode(token);
        format!("base64url.bearer.authorization.k8s.io.{encoded}")
    };
    let good = protocol(token);
    let bad = protocol(&format!("{token}x"));
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let offer = |lists: &[&str]| {
        let lines = lists.iter().map(|list| format!("Sec-WebSocket-Protocol: {list}\r\n"));
        lines.collect::<String>()
    };
    for (door, path) in doors.iter().zip(WATCHED) {
        eventually("the account may watch", SOON, async || {
            let head = get(door, path, &format!("{SOCKET}{bearer}")).await;
            if head.code == "101" {
                Ok(())
            } else {
                Err(format!("{head:?}"))
            }
        })
        .await;
    }
    let list = |protocols: &[&str]| protocols.join(", ");
    for (lists, code, agreed) in [
        (vec![list(&[&good, "chat"])], "101", Some("chat")),
        (vec![list(&["chat", &good])], "101", Some("chat")),
        (vec![good.clone(), "chat".to_owned()], "101", Some("chat")),
        (vec!["chat".to_owned(), good.clone()], "101", Some("chat")),
        (vec![good.clone()], "401", None),
        (vec![list(&[&good, &good, "chat"])], "401", None),
        (vec![list(&[&bad, "chat"])], "401", None),
        (vec![list(&[&format!("{good}="), "chat"])], "401", None),
        (vec![list(&[&protocol(""), "chat"])], "403", None),
        (vec!["chat".to_owned()], "403", None),
        // A list is nothing that either server could choose from.
        (vec![list(&[&good, "chat", "superchat"])], "400", None),
    ] {
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        let expected = Head {
            code: code.to_owned(),
            protocols: agreed.map(str::to_owned).into_iter().collect(),
            warnings: Vec::new(),
        };
        for (door, path) in doors.iter().zip(WATCHED) {
            let head = get(door, path, &format!("{SOCKET}{}", offer(&lists))).await;
            let shown: Vec<String> = lists.iter().map(|list| list.replace(token, "…")).collect();
            assert_eq!(head, expected, "{path} {shown:?}");
        }
    }
    // Go answers with the token where it had no need of it.
    for (lists, agreed) in [(vec![&*good], vec![]), (vec![&*list(&[&good, "chat"])], vec!["chat"])] {
        let head = get(&doors[1], WATCHED[1], &format!("{SOCKET}{bearer}{}", offer(&lists))).await;
        assert_eq!(
            (head.code.as_str(), head.protocols),
            ("101", agreed.iter().map(ToString::to_string).collect())
        );
    }
    let secret = URL_SAFE_NO_PAD.encode(token);
    for (what, text) in [
        ("log", server.logged()),
        ("audit", std::fs::read_to_string(server.audit_log()).unwrap_or_default()),
    ] {
        assert!(
            !text.contains(&secret) && !text.contains(token),
            "a token in our {what}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_spaces_before_a_token_are_worth_a_warning() {
    let (_, _, [theirs, ours]) = doors().await;
    for (authorization, path, code, warned) in [
        ("Bearer  sesame", "/version", "200", true),
        ("bearer   sesame", "/version", "200", true),
        ("Bearer  sesame", "/metrics", "403", true),
        ("Bearer ", "/version", "200", false),
        ("Bearer sesame", "/version", "401", false),
        ("Basic  sesame", "/version", "200", false),
    ] {
        let header = format!("Authorization: {authorization}\r\n");
        let said = get(&ours, path, &header).await;
        assert_eq!(said, get(&theirs, path, &header).await, "{authorization} {path}");
        assert_eq!(
            (said.code.as_str(), said.warnings.len()),
            (code, usize::from(warned)),
            "{authorization} {path}"
        );
    }
}
