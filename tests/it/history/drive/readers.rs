//! Readers: lists of every kind, pages taken while others write, single objects.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::super::client::Asking;
use super::super::record::Ask;
use super::{Stage, cast};

/// How far back a list asks for a revision.
const BACK: u64 = 40;
/// A reader reads once for so much that is recorded: a list costs what many events cost, and tells as much as one.
const PACE: usize = 10;

/// Reads until enough has been recorded.
pub(super) async fn read(stage: Arc<Stage>, number: usize) {
    let mut random = stage.random(2, number);
    while !stage.enough() {
        let next = stage.recorder.count() + PACE;
        one(&stage, &mut random).await;
        while stage.recorder.count() < next && !stage.enough() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn one(stage: &Stage, random: &mut StdRng) {
    let who = if random.random_bool(0.1) {
        stage.admin()
    } else {
        stage.anybody(random)
    };
    let recent = stage
        .recorder
        .truth
        .reached()
        .saturating_sub(random.random_range(0..BACK));
    let ask = match random.random_range(0..100) {
        0..30 => Ask::Latest,
        30..40 => Ask::Any,
        40..50 => Ask::NotOlderThan(recent.max(1)),
        50..62 => Ask::Exact(recent.max(1)),
        62..85 => return pages(stage, random, who).await,
        _ => {
            let key = cast::key(random);
            stage.anywhere(who, random).get(&key).await;
            return;
        }
    };
    let asking = Asking {
        ask,
        limit: 0,
        shape: cast::shape(random),
        token: None,
    };
    let query = cast::query(random);
    stage.anywhere(who, random).list(&query, asking).await;
}

/// Page after page, each at any replica; after a 410 the remainder as it is now.
async fn pages(stage: &Stage, random: &mut StdRng, who: usize) {
    let (query, shape) = (cast::query(random), cast::shape(random));
    let limit = random.random_range(1..5);
    let mut asking = Asking {
        ask: Ask::Latest,
        limit,
        shape,
        token: None,
    };
    loop {
        let client = stage.anywhere(who, random);
        let Some(answered) = client.list(&query, asking).await else {
            return;
        };
        let Some((token, after)) = answered.next else { return };
        asking = Asking {
            ask: Ask::Continue {
                first: answered.revision,
                after,
            },
            limit,
            shape,
            token: Some(token),
        };
    }
}
