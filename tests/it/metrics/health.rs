//! Health endpoints: texts compared with the Go server's, and what fails when the storage goes away.

use http::Method;

use crate::harness::in_process::{Answer, Caller, DEADLINE, InProcess, memory};
use crate::harness::{Bulward, ControlPlane, Etcd, SampleApiserver, eventually};

/// The checks that both servers have.
const COMMON: [&str; 4] = ["ping", "log", "etcd", "shutdown"];

/// Code, headers and text, without the lines about checks that only one of the two has.
fn normal(answer: &Answer) -> (u16, Option<String>, Option<String>, String) {
    let header = |name| answer.header(name).map(str::to_owned);
    let ours = |line: &&str| {
        let check = line.strip_prefix("[+]").or_else(|| line.strip_prefix("[-]"));
        let name = check.and_then(|check| check.split(' ').next());
        name.is_none_or(|name| COMMON.contains(&name))
    };
    let text = answer.text();
    let lines: Vec<&str> = text.split('\n').filter(ours).collect();
    let text = lines.join("\n");
    (
        answer.code,
        header("content-type"),
        header("x-content-type-options"),
        text,
    )
}

#[tokio::test]
async fn the_forms_of_the_health_endpoints_are_those_of_the_go_server() {
    let plane = ControlPlane::shared().await;
    let sample = SampleApiserver::shared().await;
    let pair = plane.ca().client("admin", &["system:masters"]);
    let theirs = Caller::through(plane.client_past_aggregator(&sample.url(), &pair).await);
    let opened = memory().await;
    let server = InProcess::start(opened.storage.clone()).await;
    let ours = server.admin();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for endpoint in ["/healthz", "/livez", "/readyz"] {
        for form in [
            "",
            "?verbose",
            "?verbose=true",
            "?exclude=etcd",
            "?verbose&exclude=etcd",
            "?verbose&exclude=etcd&exclude=ping",
            "?verbose&exclude=nope",
            "?verbose&exclude=nope&exclude=neither&exclude=log",
            "/ping",
            "/etcd",
            "/log?verbose",
        ] {
            let path = format!("{endpoint}{form}");
            let (left, right) = (normal(&ours.get(&path).await), normal(&theirs.get(&path).await));
            compared += 1;
            if left != right {
                wrong.push(format!("{path}\n  ours   {left:?}\n  theirs {right:?}"));
            }
        }
    }
    for path in ["/readyz/shutdown", "/livez/shutdown", "/readyz/nope", "/livez/"] {
        let (left, right) = (ours.get(path).await.code, theirs.get(path).await.code);
        compared += 1;
        if left != right {
            wrong.push(format!("{path}: ours {left}, theirs {right}"));
        }
    }
    println!("{compared} health answers compared");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_storage_that_goes_away_fails_its_own_check_alone() {
    let plane = ControlPlane::shared().await;
    let etcd = Etcd::start("health").await.expect("an etcd");
    let server = Bulward::start(plane, &[&format!("--etcd-servers={}", etcd.endpoint())]).await;
    let admin = server.caller(plane, "admin", &["system:masters"]).await;
    let well = admin.get("/readyz?verbose").await;
    assert_eq!(well.code, 200, "{}", well.text());
    drop(etcd);
    let look = async || {
        let answer = admin.send(Method::GET, "/readyz", &[], "").await;
        if answer.code == 500 {
            Ok(answer.text())
        } else {
            Err(answer.text())
        }
    };
    let text = eventually("/readyz says that etcd is away", DEADLINE, look).await;
    assert!(
        text.contains("[-]etcd failed: reason withheld\n[+]watch-cache ok\n"),
        "{text}"
    );
    assert!(text.ends_with("readyz check failed\n"), "{text}");
    let why = admin.get("/readyz/etcd").await;
    assert_eq!(why.code, 500);
    assert!(why.text().starts_with("internal server error: "), "{}", why.text());
    assert_eq!(admin.get("/readyz?exclude=etcd").await.text(), "ok");
    let slis = admin.get("/metrics/slis").await.text();
    let failing = "kubernetes_healthcheck{name=\"etcd\",type=\"readyz\"} 0";
    assert!(slis.lines().any(|line| line == failing), "{slis}");
}
