//! Members of etcd are killed under load: one that follows, the one that leads, all of them.

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use super::stage::Stage;
use super::{SOON, rounds};
use crate::harness::eventually;
use crate::harness::in_process::Caller;
use crate::harness::tenancy::organizations;

/// A read that must be fresh is refused with the time to come back (a caller panics when it hangs); one that need not be
/// is answered. The time that the refusal took.
pub(super) async fn refuses_what_cannot_be_fresh(alice: &Caller) -> Duration {
    let started = Instant::now();
    let answer = alice.get(&organizations()).await;
    let took = started.elapsed();
    assert!(matches!(answer.code, 503 | 504), "{}: {}", answer.code, answer.text());
    assert_eq!(answer.header("retry-after"), Some("1"), "{}", answer.text());
    let any = alice.get(&format!("{}?resourceVersion=0", organizations())).await;
    any.expect(200);
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_while_members_are_killed() {
    let stage = Stage::start("members", 2, &[]).await;
    let followers = stage.followers().await;
    let writers = stage.writers(4).await;
    for _ in 0..rounds(1) {
        writers.advance(30).await;
        let leader = stage.etcd.leader().await;
        let follower = (leader + 1) % stage.etcd.size();
        stage.etcd.kill(follower);
        writers.advance(60).await;
        stage.etcd.restart(follower).await;

        let leader = stage.etcd.leader().await;
        stage.etcd.kill(leader);
        writers.advance(60).await;
        stage.etcd.restart(leader).await;
        writers.advance(20).await;

        // Two of three: nobody may decide anything.
        for member in 0..stage.etcd.size() {
            stage.etcd.kill(member);
        }
        for alice in stage.callers("alice").await {
            let mut took = Vec::new();
            for _ in 0..3 {
                took.push(refuses_what_cannot_be_fresh(&alice).await);
            }
            println!("refusals without any etcd took {took:?}");
            let ready = alice.attempt(Method::GET, "/readyz", &[], "").await.unwrap();
            assert_eq!(ready.code, 500, "{}", ready.text());
        }
        (0..stage.etcd.size()).for_each(|member| stage.etcd.spawn(member));
        stage.etcd.ready().await;
        writers.advance(60).await;
        for server in &stage.servers {
            let admin = server.process.caller(stage.plane, "admin", &["system:masters"]).await;
            eventually("the server is ready again", SOON, async || {
                let answer = admin.attempt(Method::GET, "/readyz", &[], "").await?;
                if answer.code == 200 { Ok(()) } else { Err(answer.text()) }
            })
            .await;
        }
    }
    let ledger = writers.finish().await;
    ledger.holds(&stage.admins().await).await;
    stage.converged(&followers, "after kills of etcd").await;
    assert!(ledger.certain() > 0, "{ledger:?}");
}
