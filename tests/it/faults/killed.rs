//! A server is killed while clients write and watch through it.

use super::rounds;
use super::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_killed_server_go_on_at_the_other() {
    let stage = Stage::start("killed", 2, &[]).await;
    let followers = stage.followers().await;
    for follower in &followers {
        follower.begun().await;
    }
    let writers = stage.writers(4).await;
    writers.advance(40).await;
    stage.servers[0].process.kill();
    writers.advance(60).await;
    for (number, follower) in followers.iter().enumerate() {
        if number % 2 == 0 {
            follower.resumed().await;
        }
        assert_eq!(follower.lists(), 1, "follower {number} has gone on where it was");
    }
    for round in 0..2 * rounds(1) {
        stage.servers[round % 2].process.restart().await;
        writers.advance(20).await;
        stage.servers[(round + 1) % 2].process.kill();
        writers.advance(40).await;
    }
    stage.servers[0].process.restart().await;
    stage.servers[1].process.restart().await;
    let ledger = writers.finish().await;
    ledger.holds(&stage.admins().await).await;
    stage.converged(&followers, "at the end").await;
    assert!(ledger.certain() > 0, "{ledger:?}");
    assert!(
        followers.iter().all(|follower| follower.events() > 0),
        "everybody was told of something"
    );
}
