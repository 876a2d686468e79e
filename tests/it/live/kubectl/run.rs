//! Runs a flow on our kinds and beside it on equal CustomResources, and compares.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::normal;
use super::script::{Expected, Flow, Line, Step};
use super::shell::{Output, Running, Shell};
use crate::harness::custom_resource::{custom_resources, equal_group, published};
use crate::harness::{Bulward, ControlPlane, GROUPS, eventually, started_once};
use crate::live::SOON;

/// Users of these flows alone, so that they see nothing of other tests: the first may create Projects everywhere.
const USERS: [&str; 3] = ["erin", "frank", "grace"];

/// One end of a command: what it printed, normalised.
struct Answer {
    command: String,
    code: Option<i32>,
    stdout: String,
    stderr: String,
    /// Whether it should have succeeded, or failed; a command that was killed did neither.
    should: Option<bool>,
}

/// Who answers.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Ours,
    CustomResources,
}

/// The test.
pub(super) async fn flow(flow: &Flow) {
    let plane = prepared().await;
    let mut wrong = Vec::new();
    let mut compared = 0;
    let programs = if flow.every_kubectl { usize::MAX } else { 1 };
    for (number, program) in plane.kubectl_programs().into_iter().take(programs).enumerate() {
        let run = format!("{}-{number}", flow.name);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": run}});
        plane.apply(&[namespace]).await;
        let side = |side| play(flow, side, Shell::new(plane, &program), &run);
        let (ours, theirs) = if flow.compared {
            tokio::join!(side(Side::Ours), side(Side::CustomResources))
        } else {
            (side(Side::Ours).await, Vec::new())
        };
        let expected: Vec<&Expected> = flow.steps.iter().filter_map(Step::expected).collect();
        assert_eq!(ours.len(), expected.len());
        for (at, (answer, expected)) in ours.iter().zip(expected).enumerate() {
            let mut problems = unexpected(answer, expected, flow, &run);
            if let Some(other) = theirs.get(at) {
                compared += 1;
                problems.extend(difference(answer, other, expected));
            }
            if !problems.is_empty() {
                let program = program.display();
                wrong.push(format!("{} ({program})\n{}", answer.command, problems.join("\n")));
            }
        }
    }
    println!("{}: {compared} answers compared", flow.name);
    assert!(wrong.is_empty(), "{} commands:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// The shared control plane with our server, CustomResources, and users.
async fn prepared() -> &'static ControlPlane {
    static SHARED: OnceCell<Result<(), String>> = OnceCell::const_new();
    let (plane, _server) = Bulward::shared().await;
    custom_resources().await;
    let prepare = async || {
        for user in USERS {
            plane.add_user(user, &[]);
        }
        let groups = GROUPS.map(|(group, _)| [group, equal_group(group)]);
        let rbac = "rbac.authorization.k8s.io";
        plane
            .apply(&[
                json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": "flows"},
                    "rules": [{"apiGroups": groups[0], "resources": ["projects"], "verbs": ["create"]}]}),
                json!({"apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "flows"},
                    "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "flows"},
                    "subjects": [{"apiGroup": rbac, "kind": "User", "name": USERS[0]}]}),
            ])
            .await;
        for (group, _) in GROUPS {
            for plural in ["organizations", "projects"] {
                published(plane, &format!("{plural}.{group}")).await;
            }
        }
        for group in groups[0] {
            let may = async || {
                let question = ["auth", "can-i", "create", &format!("projects.{group}"), "-A"];
                let got = plane.kubectl(USERS[0]).run(question).await;
                if got.status.success() { Ok(()) } else { Err(got) }
            };
            eventually("the role is known", SOON, may).await;
        }
        Ok(())
    };
    started_once("what kubectl's flows need", &SHARED, prepare).await;
    plane
}

/// Plays a flow on one side; an answer for each command that ends.
async fn play(flow: &Flow, side: Side, shell: Shell, run: &str) -> Vec<Answer> {
    let fill = |text: &str| fill(text, flow, side, run);
    let group = &fill("{group}");
    let answer = |command: String, output: Output, should: Option<bool>| {
        let normal = |text: &str| {
            let text = normal::text(text, group, shell.folder());
            // a column that CustomResources cannot have
            if flow.compared {
                normal::without_role(text)
            } else {
                text
            }
        };
        Answer {
            command,
            code: output.status.code(),
            stdout: normal(&as_value(&output.stdout)),
            stderr: normal(&output.stderr),
            should,
        }
    };
    let mut running: HashMap<&str, (String, Running)> = HashMap::new();
    let mut answers = Vec::new();
    for step in &flow.steps {
        match step {
            Step::File(name, text) => std::fs::write(shell.folder().join(name), fill(text)).expect("write a file"),
            Step::Run(Line { user, text }, succeeds, _) => {
                let output = shell.run(user, &fill(text)).await;
                answers.push(answer(format!("{user}: {text}"), output, Some(*succeeds)));
            }
            Step::Start(name, Line { user, text }) => {
                let process = shell.start(user, &fill(text));
                running.insert(name, (format!("{user}: {text}"), process));
            }
            Step::Until(name, text) => running[name.as_str()].1.until(&fill(text)).await,
            Step::End(name, _) => {
                let (command, process) = running.remove(name.as_str()).expect("it was started");
                answers.push(answer(command, process.end().await, Some(true)));
            }
            Step::Kill(name, _) => {
                let (command, process) = running.remove(name.as_str()).expect("it was started");
                answers.push(answer(command, process.kill().await, None));
            }
        }
    }
    answers
}

/// JSON is compared as a value.
fn as_value(stdout: &str) -> Cow<'_, str> {
    match serde_json::from_str::<Value>(stdout) {
        Ok(value) if value.is_object() => Cow::Owned(value.to_string()),
        _ => Cow::Borrowed(stdout),
    }
}

/// Puts in the names.
fn fill(text: &str, flow: &Flow, side: Side, run: &str) -> String {
    let (group, short) = match side {
        Side::Ours => (flow.group.as_str(), 'i'),
        Side::CustomResources => (equal_group(&flow.group), 'j'),
    };
    text.replace("{organizations}", "organizations.{group}")
        .replace("{projects}", "projects.{group}")
        .replace("{group}", group)
        .replace("{run}", run)
        .replace("{iorg}", &format!("{short}org"))
        .replace("{iprj}", &format!("{short}prj"))
}

/// What an answer lacks, and what it should not have.
fn unexpected(answer: &Answer, expected: &Expected, flow: &Flow, run: &str) -> Vec<String> {
    let printed = format!("{}{}", answer.stdout, answer.stderr);
    let has = |part: &&String| {
        let part = fill(part, flow, Side::Ours, run);
        printed.contains(&normal::text(&part, &flow.group, Path::new("FOLDER")))
    };
    let lacking = expected.parts.iter().filter(|part| !has(part));
    let present = expected.absent.iter().filter(has);
    let mut problems: Vec<String> = lacking.map(|part| format!("  lacks {part:?}")).collect();
    problems.extend(present.map(|part| format!("  has {part:?}")));
    let succeeded = answer.code == Some(0);
    if answer.should.is_some_and(|should| should != succeeded) {
        problems.push(format!(
            "  should have {}",
            if succeeded { "failed" } else { "succeeded" }
        ));
    }
    if !problems.is_empty() {
        problems.push(answer.to_string());
    }
    problems
}

/// How an answer differs from the CustomResources'.
fn difference(ours: &Answer, theirs: &Answer, expected: &Expected) -> Option<String> {
    let same = (ours.code, &ours.stdout, &ours.stderr) == (theirs.code, &theirs.stdout, &theirs.stderr);
    match (&expected.differs, same) {
        (None, false) => Some(format!("ours:\n{ours}\nCustomResources:\n{theirs}")),
        (Some(reason), true) => Some(format!("  no longer differs, as listed: {reason}")),
        _ => None,
    }
}

impl Step {
    /// What is said of the answer that this step gives.
    fn expected(&self) -> Option<&Expected> {
        match self {
            Step::Run(_, _, expected) | Step::End(_, expected) | Step::Kill(_, expected) => Some(expected),
            _ => None,
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {:?}", self.command, self.code)?;
        for line in self.stdout.lines() {
            writeln!(f, "  | {line}")?;
        }
        for line in self.stderr.lines() {
            writeln!(f, "  ! {line}")?;
        }
        Ok(())
    }
}
