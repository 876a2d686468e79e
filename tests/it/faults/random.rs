//! Random troubles, one upon the other, from a seed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

use super::stage::Stage;
use super::{rounds, seed};

/// Troubles of a default run.
const TROUBLES: usize = 4;
/// After so many the books are checked.
const CHECK: usize = 5;

pub(super) struct Schedule {
    rng: StdRng,
    longest: Duration,
    long_form: bool,
}

impl Schedule {
    pub(super) fn new() -> Schedule {
        let seed = seed();
        let long_form = rounds(1) > 1;
        println!("troubles with BULWARD_FAULTS_SEED={seed}");
        Schedule {
            rng: StdRng::seed_from_u64(seed),
            longest: Duration::ZERO,
            long_form,
        }
    }

    /// How long a line stays broken: below and above the time in which that is noticed.
    fn pause(&mut self) -> Duration {
        let most = if self.long_form { 30_000 } else { 1_500 };
        let least = 200;
        let short = self.rng.random_range(0..3) > 0;
        let pause = Duration::from_millis(self.rng.random_range(least..if short { 1_500 } else { most + 1 }));
        self.longest = self.longest.max(pause);
        pause
    }

    /// One trouble, from its beginning to its end; what it was. `forget` compacts history.
    pub(super) async fn trouble(&mut self, stage: &Stage, forget: impl AsyncFn()) -> String {
        let server = self.rng.random_range(0..stage.servers.len());
        let member = self.rng.random_range(0..stage.etcd.size());
        let (at, line) = (&stage.servers[server], &stage.servers[server].lines[member]);
        let pause = self.pause();
        let compact = self.rng.random_range(0..3) == 0;
        let kind = self.rng.random_range(0..8);
        // Where members do not answer, nobody can.
        let compact = compact && !matches!(kind, 5 | 7);
        let meanwhile = async || {
            sleep(pause / 2).await;
            if compact {
                forget().await;
            }
            sleep(pause / 2).await;
        };
        let what = match kind {
            0 => {
                at.process.kill();
                meanwhile().await;
                at.process.restart().await;
                format!("server {server} was killed")
            }
            1 => {
                at.silence();
                meanwhile().await;
                at.mend();
                format!("server {server} was cut off in silence")
            }
            2 => {
                at.cut();
                meanwhile().await;
                at.mend();
                format!("connections of server {server} were cut")
            }
            3 => {
                line.silence();
                meanwhile().await;
                line.mend();
                format!("the line of server {server} to member {member} was silent")
            }
            4 => {
                let leader = stage.etcd.leader().await;
                stage.etcd.kill(leader);
                meanwhile().await;
                stage.etcd.restart(leader).await;
                format!("the leading member {leader} was killed")
            }
            5 => {
                (0..stage.etcd.size()).for_each(|member| stage.etcd.kill(member));
                sleep(pause).await;
                (0..stage.etcd.size()).for_each(|member| stage.etcd.spawn(member));
                stage.etcd.ready().await;
                "all members were killed".to_owned()
            }
            6 => {
                for line in &at.lines {
                    line.delay(Duration::from_millis(40));
                }
                meanwhile().await;
                at.mend();
                format!("the lines of server {server} were slow")
            }
            _ => {
                stage.etcd.signal(member, "STOP");
                sleep(pause).await;
                stage.etcd.signal(member, "CONT");
                format!("member {member} stood still")
            }
        };
        format!(
            "{what} for {pause:?}{}",
            if compact { ", and history was compacted" } else { "" }
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_holds_under_random_troubles() {
    let started = Instant::now();
    let mut schedule = Schedule::new();
    let stage = Stage::start("random", 2, &[]).await;
    let followers = stage.followers().await;
    let total = TROUBLES * rounds(1);
    let (mut done, mut writes) = (0, 0);
    while done < total {
        let writers = stage.writers(4).await;
        for _ in 0..CHECK.min(total - done) {
            writers.advance(20).await;
            let forget = async || {
                stage.etcd.compact().await;
            };
            let what = schedule.trouble(&stage, forget).await;
            println!("{:>4} s: {what}", started.elapsed().as_secs());
            // Both servers are of use again: each acknowledges something.
            writers.advance(20).await;
            done += 1;
        }
        writes += writers.count();
        let ledger = writers.finish().await;
        ledger.holds(&stage.admins().await).await;
        stage.converged(&followers, "after random troubles").await;
    }
    let (lists, events) = followers.iter().fold((0, 0), |(lists, events), follower| {
        (lists + follower.lists(), events + follower.events())
    });
    println!(
        "{total} troubles in {:?}, the longest of {:?}: {writes} acknowledged writes, {events} events to {} followers, {lists} lists",
        started.elapsed(),
        schedule.longest,
        followers.len()
    );
}
