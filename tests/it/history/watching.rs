//! A watch whose every event is recorded.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::client::{Client, accept, columns, number};
use super::record::{End, Event, Key, Query, Revision, Shape, Start, Watch, What};
use crate::harness::in_process::{DEADLINE, Watching};

/// How to watch.
#[derive(Clone, Debug)]
pub(crate) struct Following {
    pub(crate) query: Query,
    pub(crate) shape: Shape,
    pub(crate) start: Start,
    pub(crate) resumes: bool,
    pub(crate) bookmarks: bool,
    /// `timeoutSeconds`.
    pub(crate) seconds: Option<u64>,
    /// The client hangs up after so many events.
    pub(crate) cut_after: Option<usize>,
    /// The client hangs up when nothing comes for so long.
    pub(crate) silence: Option<Duration>,
}

/// Where a watch has come to.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    pub(crate) end: End,
    /// Of the newest event.
    pub(crate) newest: Option<Revision>,
    pub(crate) bookmark: Option<Revision>,
    /// Whether it heard the last write that concerns it.
    pub(crate) reached: bool,
}

/// The last write to each key, after which there are no others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closing(pub(crate) HashMap<Key, Revision>);

/// Tells every watch when the last writes are done.
pub(crate) type Closer = signal::Receiver<Option<Arc<Closing>>>;

impl Closing {
    /// The last revision that a watch hears of.
    pub(crate) fn due(&self, query: &Query) -> Revision {
        let covered = self.0.iter().filter(|(key, _)| query.covers(key));
        covered.map(|(_, revision)| *revision).max().unwrap_or(0)
    }
}

/// What has come so far.
struct Progress {
    events: Vec<Event>,
    newest: Option<Revision>,
    bookmark: Option<Revision>,
    columns: Vec<String>,
}

impl Client {
    /// Watches until the watch ends, is cut as planned, or has heard the last write. Nothing if it was not granted now.
    pub(crate) async fn watch(&self, plan: &Following, closer: &mut Closer) -> Option<Followed> {
        let began = self.recorder.tick();
        let accept = accept(plan.shape, false);
        let path = self.watch_path(plan);
        let opening = self.caller.attempt_watch(&path, &accept[0].1);
        let opened = tokio::time::timeout(self.recorder.patience, opening).await;
        let mut watching = match opened.ok().and_then(Result::ok) {
            Some(Ok(watching)) => watching,
            Some(Err(refused)) if refused.code != 429 && refused.code < 500 => {
                panic!("{}: {} {}", refused.request, refused.code, refused.text())
            }
            _ => {
                self.recorder.no_answer();
                return None;
            }
        };
        let mut progress = Progress {
            events: Vec::new(),
            newest: None,
            bookmark: None,
            columns: Vec::new(),
        };
        let (end, due) = self.read(plan, &mut watching, &mut progress, closer).await;
        let followed = Followed {
            end: end.clone(),
            newest: progress.newest,
            bookmark: progress.bookmark,
            reached: due.is_some() && end != End::Silent,
        };
        self.recorder.watch(Watch {
            who: self.who,
            replica: self.replica,
            query: plan.query.clone(),
            shape: plan.shape,
            start: plan.start,
            resumes: plan.resumes,
            bookmarks: plan.bookmarks,
            began,
            events: progress.events,
            end,
            due,
        });
        Some(followed)
    }

    fn watch_path(&self, plan: &Following) -> String {
        let start = match plan.start {
            Start::After(revision) => format!("&resourceVersion={revision}"),
            Start::Initial => "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan".to_owned(),
        };
        let bookmarks = if plan.bookmarks {
            "&allowWatchBookmarks=true"
        } else {
            ""
        };
        let seconds = plan.seconds.map(|seconds| format!("&timeoutSeconds={seconds}"));
        format!(
            "{}?watch=true{start}{bookmarks}{}{}",
            self.collection(&plan.query),
            seconds.unwrap_or_default(),
            plan.query.text()
        )
    }

    /// Answers how it ended, and the revision until which it was read if that was the last one.
    async fn read(
        &self,
        plan: &Following,
        watching: &mut Watching,
        progress: &mut Progress,
        closer: &mut Closer,
    ) -> (End, Option<Revision>) {
        let mut due: Option<(Revision, Instant)> = None;
        let mut closing = closer.borrow_and_update().clone();
        loop {
            if let Some(closing) = closing.take() {
                due = Some((closing.due(&plan.query), Instant::now() + DEADLINE));
            }
            if let Some((due, _)) = due
                && progress.reached().is_some_and(|reached| reached >= due)
            {
                return (End::Cut, Some(due));
            }
            if plan.cut_after.is_some_and(|count| progress.events.len() >= count) && due.is_none() {
                return (End::Cut, None);
            }
            let silence = Instant::now() + plan.silence.unwrap_or(DEADLINE * 60);
            let line = tokio::select! {
                line = watching.attempt() => line,
                changed = closer.changed(), if due.is_none() => {
                    if changed.is_err() {
                        return (End::Cut, None);
                    }
                    closing = closer.borrow_and_update().clone();
                    continue;
                }
                () = tokio::time::sleep_until(silence) => return (End::Cut, None),
                () = tokio::time::sleep_until(due.map_or(silence, |due| due.1)), if due.is_some() => {
                    return (End::Silent, due.map(|due| due.0));
                }
            };
            let line = match line {
                Err(_) => return (End::Cut, None),
                Ok(None) => return (End::Closed, None),
                Ok(Some(line)) => line,
            };
            let event: Value = serde_json::from_slice(&line).expect("a line of a watch is JSON");
            if event["type"] == "ERROR" {
                if event["object"]["code"] == 410 {
                    let upper = self.recorder.upper().await;
                    return (End::Expired { upper }, None);
                }
                self.recorder.no_answer();
                return (End::Cut, None);
            }
            self.take(plan, event, progress);
        }
    }

    fn take(&self, plan: &Following, mut event: Value, progress: &mut Progress) {
        let mut object = event["object"].take();
        let revision = number(&object["metadata"]["resourceVersion"]);
        if plan.shape == Shape::Table {
            let columns = columns(&object);
            if !columns.is_empty() {
                progress.columns = columns;
            }
            object = object["rows"][0].take();
        }
        let what = if event["type"] == "BOOKMARK" {
            let object = if plan.shape == Shape::Table {
                &object["object"]
            } else {
                &object
            };
            let revision = revision.unwrap_or_default();
            progress.bookmark = Some(revision);
            match object["metadata"]["annotations"]["k8s.io/initial-events-end"].as_str() {
                Some("true") => What::Initial(revision),
                _ => What::Bookmark(revision),
            }
        } else {
            let kind = plan.query.kind;
            let seen = match plan.shape {
                Shape::Table => self.row(kind, object, &progress.columns, revision),
                shape => self.seen(kind, object, shape),
            };
            match event["type"].as_str() {
                Some("ADDED") => What::Added(seen),
                Some("MODIFIED") => What::Modified(seen),
                Some("DELETED") => What::Deleted(seen),
                other => panic!("an event of type {other:?}"),
            }
        };
        progress.newest = Some(what.revision());
        self.recorder.counted();
        let tick = self.recorder.tick();
        progress.events.push(Event { tick, what });
    }
}

impl Progress {
    /// The greatest revision that has come: what came after an older one is no less.
    fn reached(&self) -> Option<Revision> {
        self.events
            .iter()
            .rev()
            .take(2)
            .map(|event| event.what.revision())
            .max()
    }
}
