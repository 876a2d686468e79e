//! How a flow is written.
//!
//! ```text
//! # a comment
//! view storage                    which of our views `{group}` stands for
//! user admin                      who runs the commands
//! compared                        everything is run on equal CustomResources as well
//! every kubectl                   and by every kubectl there is, not just by the one of the control plane's version
//!
//! file acme.yaml                  a file in the commands' folder
//!     kind: Organization
//!
//! $ kubectl get {organizations}   a line of bash that has to succeed
//!     NAME                        a part of what it prints
//!     not: error                  no part of it
//! ! kubectl get nonsense          one that has to fail
//! bob$ kubectl get organizations  by another user
//!
//! start list: kubectl get -w ..   one that goes on beside the others
//! until list: acme                waits until it has printed that
//! end list                        waits until it ends with success; what may be expected of it stands below
//! kill list                       ends it
//! ```
//!
//! `differs: <reason>` below a command says that CustomResources answer otherwise, and why; the parts above it are ours.
//! `{run}` is a name that no other run has: a namespace of its own, and the label `run` of everything it makes.

/// A flow of commands.
pub(super) struct Flow {
    pub(super) name: String,
    /// The group of ours.
    pub(super) group: String,
    pub(super) user: String,
    pub(super) compared: bool,
    pub(super) every_kubectl: bool,
    pub(super) steps: Vec<Step>,
}

/// What is done, in this order.
pub(super) enum Step {
    /// Writes a file.
    File(String, String),
    /// Runs a command to its end.
    Run(Line, bool, Expected),
    /// Starts a command under a name.
    Start(String, Line),
    /// Waits until the command of that name has printed this.
    Until(String, String),
    /// Waits until it ends.
    End(String, Expected),
    /// Ends it.
    Kill(String, Expected),
}

/// A command line, and by whom.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) user: String,
    pub(super) text: String,
}

/// What is said of an output.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) parts: Vec<String>,
    pub(super) absent: Vec<String>,
    /// Why it is not what CustomResources answer.
    pub(super) differs: Option<String>,
}

impl Flow {
    pub(super) fn parse(name: &str, text: &str) -> Flow {
        let mut flow = Flow {
            name: name.replace('_', "-"),
            group: String::new(),
            user: String::new(),
            compared: false,
            every_kubectl: false,
            steps: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let understood = if line.is_empty() {
                flow.blank()
            } else if let Some(indented) = line.strip_prefix("    ") {
                flow.indented(indented)
            } else {
                line.starts_with('#') || flow.line(line)
            };
            assert!(understood, "{name}.txt:{}: {line:?}", number + 1);
        }
        assert!(!flow.group.is_empty() && !flow.user.is_empty(), "{name}: view and user");
        flow
    }

    /// Empty lines belong to files.
    fn blank(&mut self) -> bool {
        if let Some(Step::File(_, text)) = self.steps.last_mut() {
            text.push('\n');
        }
        true
    }

    fn indented(&mut self, line: &str) -> bool {
        let expected = match self.steps.last_mut() {
            Some(Step::File(_, text)) => {
                text.push_str(line);
                text.push('\n');
                return true;
            }
            Some(Step::Run(_, _, expected) | Step::End(_, expected) | Step::Kill(_, expected)) => expected,
            _ => return false,
        };
        if let Some(reason) = line.strip_prefix("differs: ") {
            expected.differs = Some(reason.to_owned());
        } else if let Some(part) = line.strip_prefix("not: ") {
            expected.absent.push(part.to_owned());
        } else {
            expected.parts.push(line.to_owned());
        }
        true
    }

    fn line(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, after) = rest.split_once(": ").unwrap_or((rest, ""));
        let (name, after) = (name.to_owned(), after.to_owned());
        let step = match word {
            "compared" => {
                self.compared = true;
                return true;
            }
            "every" => {
                self.every_kubectl = true;
                return true;
            }
            "view" => {
                self.group = format!("{}.bulward.io", if rest == "filtered" { "apiserver" } else { rest });
                return true;
            }
            "user" => {
                self.user = name;
                return true;
            }
            "file" => Step::File(name, String::new()),
            "start" => {
                let (name, user) = name.split_once(" by ").unwrap_or((&name, &self.user));
                let line = Line {
                    user: user.to_owned(),
                    text: after,
                };
                Step::Start(name.to_owned(), line)
            }
            "until" => Step::Until(name, after),
            "end" => Step::End(name, Expected::default()),
            "kill" => Step::Kill(name, Expected::default()),
            prompt => {
                let succeeds = prompt.ends_with('$');
                let Some(user) = prompt.strip_suffix(['$', '!']) else {
                    return false;
                };
                let user = if user.is_empty() { &self.user } else { user };
                let line = Line {
                    user: user.to_owned(),
                    text: rest.to_owned(),
                };
                Step::Run(line, succeeds, Expected::default())
            }
        };
        self.steps.push(step);
        true
    }
}

#[test]
fn a_flow_is_read() {
    let text = "# c\nview filtered\nuser alice\nfile a.yaml\n    a: b\n\n    c: d\n$ one\nbob! two: x\n    part\n    not: other\n    \
                differs: because\nstart w by bob: three\nuntil w: text\nkill w\n    last\n";
    let flow = Flow::parse("a_b", text);
    assert_eq!(
        (flow.name.as_str(), flow.group.as_str(), flow.compared),
        ("a-b", "apiserver.bulward.io", false)
    );
    let [
        Step::File(file, content),
        Step::Run(one, true, none),
        Step::Run(two, false, expected),
        Step::Start(w, three),
        Step::Until(_, text),
        Step::Kill(_, last),
    ] = flow.steps.as_slice()
    else {
        panic!("{} steps", flow.steps.len());
    };
    assert_eq!((file.as_str(), content.as_str()), ("a.yaml", "a: b\n\nc: d\n"));
    assert_eq!((one.user.as_str(), one.text.as_str()), ("alice", "one"));
    assert!(none.parts.is_empty() && none.differs.is_none());
    assert_eq!((two.user.as_str(), two.text.as_str()), ("bob", "two: x"));
    assert_eq!(
        (&expected.parts[..], &expected.absent[..]),
        (&["part".to_owned()][..], &["other".to_owned()][..])
    );
    assert_eq!(expected.differs.as_deref(), Some("because"));
    assert_eq!(
        (w.as_str(), three.user.as_str(), three.text.as_str()),
        ("w", "bob", "three")
    );
    assert_eq!(
        (text.as_str(), last.parts.as_slice()),
        ("text", &["last".to_owned()][..])
    );
}
