//! Watchers: from a list or with initial events, cut again and again, resumed at any replica.

use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;

use super::super::client::Asking;
use super::super::record::{Ask, End, Query, Shape, Start};
use super::super::watching::{Closer, Followed, Following};
use super::{Stage, cast};

/// How often a watch is resumed before another one takes its place.
const LIVES: usize = 6;
/// A watch is mostly cut after less than so many events.
const CUT: usize = 150;

/// Watches until everything has been heard.
pub(super) async fn watch(stage: Arc<Stage>, number: usize, mut closer: Closer) {
    let mut random = stage.random(3, number);
    while closer.borrow().is_none() {
        life(&stage, &mut random, &mut closer).await;
    }
}

/// One caller with one query, from its first list to where it loses its place.
async fn life(stage: &Stage, random: &mut StdRng, closer: &mut Closer) {
    let who = if random.random_bool(0.07) {
        stage.admin()
    } else {
        stage.anybody(random)
    };
    let (query, shape) = (cast::query(random), cast::shape(random));
    let bookmarks = random.random_bool(0.7);
    let initial = bookmarks && random.random_bool(0.4);
    let mut start = if initial {
        Start::Initial
    } else {
        match listed(stage, random, who, &query, shape).await {
            Some(start) => start,
            None => return,
        }
    };
    let mut resumes = false;
    let mut lives = 0;
    // Towards the end everybody goes on until the last write.
    while lives < LIVES || closer.borrow().is_some() {
        lives += 1;
        let plan = Following {
            query: query.clone(),
            shape,
            start,
            resumes,
            bookmarks,
            seconds: random.random_bool(0.15).then(|| random.random_range(3..7)),
            cut_after: random.random_bool(0.9).then(|| random.random_range(1..CUT)),
            silence: None,
        };
        let Some(followed) = stage.anywhere(who, random).watch(&plan, closer).await else {
            // It could not be answered; a server that comes back is asked again.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        if followed.reached || matches!(followed.end, End::Silent | End::Expired { .. }) {
            return;
        }
        (start, resumes) = next(start, resumes, &followed, random);
    }
}

/// The revision of a list to watch from.
async fn listed(stage: &Stage, random: &mut StdRng, who: usize, query: &Query, shape: Shape) -> Option<Start> {
    let asking = Asking {
        ask: Ask::Latest,
        limit: 0,
        shape,
        token: None,
    };
    let answered = stage.anywhere(who, random).list(query, asking).await?;
    answered.revision.map(Start::After)
}

/// Where to go on: the newest event, the last bookmark, or once more where it began.
fn next(start: Start, resumes: bool, followed: &Followed, random: &mut StdRng) -> (Start, bool) {
    // Initial events without their end are no place to go on from.
    if start == Start::Initial && followed.bookmark.is_none() {
        return (start, false);
    }
    let place = match random.random_range(0..10) {
        0..6 => followed.newest,
        6..8 => followed.bookmark,
        _ => None,
    };
    place.map_or((start, resumes), |revision| (Start::After(revision), true))
}
