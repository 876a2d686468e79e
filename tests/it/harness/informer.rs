//! The client-go informer program (`tests/controlplane/informer`) as a user.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;

use super::lines::Lines;
use super::process::{Log, Process};
use super::programs;

/// What the informer watches.
pub(crate) struct Watched<'a> {
    /// `group/version/resource`.
    pub(crate) resource: &'a str,
    /// All namespaces when empty.
    pub(crate) namespace: &'a str,
    /// Ask for the first list as a stream (`sendInitialEvents`), as client-go does by default since 1.35.
    pub(crate) watch_list: bool,
}

/// A running informer. Dropping it kills it.
pub(crate) struct Informer {
    lines: Lines,
    _process: Process,
}

/// One call of an event handler.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InformerEvent {
    /// `ADD`, `UPDATE` or `DELETE`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) namespace: String,
    pub(crate) name: String,
    resource_version: String,
    pub(crate) uid: String,
    /// An ADD of the first list.
    #[serde(default)]
    pub(crate) initial: bool,
    /// A DELETE that was inferred from a relist.
    #[serde(default)]
    pub(crate) stale: bool,
}

impl InformerEvent {
    /// The resourceVersion as the number that it is.
    pub(crate) fn revision(&self) -> u64 {
        self.resource_version
            .parse()
            .unwrap_or_else(|e| panic!("resourceVersion of {self:?}: {e}"))
    }
}

impl Informer {
    /// Starts an informer through `kubeconfig`; its errors go to `target/it-logs/<name>-informer.log`.
    pub(crate) async fn start(name: &str, kubeconfig: &Path, watched: Watched<'_>) -> Informer {
        let program = programs::find("informer").await.unwrap_or_else(|e| panic!("{e}"));
        let log = Log::create(&format!("{name}-informer"));
        let mut command = Command::new(program);
        command
            .arg("-kubeconfig")
            .arg(kubeconfig)
            .args(["-resource", watched.resource]);
        command
            .args(["-namespace", watched.namespace])
            .arg(format!("-watchlist={}", watched.watch_list));
        command.stdout(Stdio::piped()).stderr(log.appender());
        let process = Process::spawn_as_set(&format!("{name}-informer"), &mut command, &log);
        let lines = Lines::of(&format!("{name}-informer"), process.take_stdout());
        Informer {
            lines,
            _process: process,
        }
    }

    /// Waits until the handlers have seen the first list, and returns what they saw until then.
    pub(crate) async fn synced(&mut self, deadline: Duration) -> Vec<InformerEvent> {
        let found = |line: &str| (line == "SYNCED").then_some(());
        self.lines.wait_for("SYNCED", deadline, found).await;
        self.seen()
    }

    /// Reads on until an event satisfies `wanted`.
    pub(crate) async fn wait_for(
        &mut self,
        event: &str,
        deadline: Duration,
        mut wanted: impl FnMut(&InformerEvent) -> bool,
    ) -> InformerEvent {
        self.lines
            .wait_for(event, deadline, |line| parse(line).filter(|event| wanted(event)))
            .await
    }

    /// Every event read until now, in order.
    pub(crate) fn seen(&self) -> Vec<InformerEvent> {
        self.lines.seen().iter().filter_map(|line| parse(line)).collect()
    }
}

fn parse(line: &str) -> Option<InformerEvent> {
    if line == "SYNCED" {
        return None;
    }
    Some(serde_json::from_str(line).unwrap_or_else(|e| panic!("the informer printed {line:?}: {e}")))
}
