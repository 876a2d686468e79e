//! Reads the corpus: what is asked, as text (docs/testing.md says how it is written).

use std::fs;
use std::path::Path;

/// Requests that are sent one after the other, in a namespace of their own.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// The file's name, and the variant of it.
    pub(super) name: String,
    /// That of its objects, also a prefix for names in no namespace.
    pub(super) namespace: String,
    pub(super) steps: Vec<Step>,
}

impl Scenario {
    /// The same without what is sent past the aggregator alone; `None` if nothing is left.
    pub(super) fn for_the_aggregator(&self) -> Option<Scenario> {
        let steps: Vec<Step> = self.steps.iter().filter(|step| !step.straight).cloned().collect();
        (!steps.is_empty()).then(|| Scenario { steps, ..self.clone() })
    }

    /// The same with `{name}` replaced everywhere, for what is known late.
    pub(super) fn with(&self, name: &str, value: &str) -> Scenario {
        let known = vec![(name.to_owned(), value.to_owned())];
        let mut scenario = self.clone();
        for step in &mut scenario.steps {
            for text in [&mut step.path, &mut step.body] {
                *text = substitute(text, &known);
            }
        }
        scenario
    }

    /// The same in another namespace, as what was made before is still there.
    pub(super) fn again(&self, time: usize) -> Scenario {
        let namespace = format!("{}-again{time}", self.namespace);
        let mut scenario = self.clone();
        for step in &mut scenario.steps {
            let headers = step.headers.iter_mut().map(|(_, value)| value);
            for text in headers.chain([&mut step.path, &mut step.body]) {
                *text = text.replace(&self.namespace, &namespace);
            }
        }
        scenario.namespace = namespace;
        scenario
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    /// `<scenario>/<title>`, with the variant in brackets.
    pub(super) name: String,
    /// What later steps of the scenario call it.
    pub(super) title: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
    /// How many frames of a watch are read before it is left; without, all until the server ends it.
    pub(super) frames: Option<usize>,
    /// Whether it is sent past the aggregator alone.
    pub(super) straight: bool,
}

/// Names with their present text.
type Variables = Vec<(String, String)>;

/// Every scenario of the corpus in a folder, sorted.
pub(super) fn read(folder: &str) -> Vec<Scenario> {
    let entries = fs::read_dir(folder).expect("the corpus' folder");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    paths.iter().flat_map(|path| read_file(path)).collect()
}

fn read_file(path: &Path) -> Vec<Scenario> {
    let name = path.file_stem().expect("a file's name").to_string_lossy().into_owned();
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&name, &text)
}

/// What one file says.
pub(super) fn parse(file: &str, text: &str) -> Vec<Scenario> {
    let mut parts = text.split("\n== ");
    let head = parts.next().unwrap_or_default();
    let bodies: Vec<&str> = parts.collect();
    let (mut lets, mut each, mut straight) = (Variables::new(), Vec::new(), false);
    for line in head.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(rest) = line.strip_prefix("let ") {
            lets.push(assignment(rest));
        } else if let Some(rest) = line.strip_prefix("each ") {
            each.push(choices(rest));
        } else if line == "straight" {
            straight = true;
        } else {
            panic!("{file}: not understood: {line}");
        }
    }
    let mut scenarios = Vec::new();
    for chosen in product(&each) {
        let variant: String = chosen.iter().map(|(_, value)| format!("-{value}")).collect();
        let name = format!("{file}{variant}");
        let mut known = chosen.clone();
        let namespace = format!("diff-{name}");
        known.push(("ns".to_owned(), namespace.clone()));
        for (key, value) in &lets {
            known.push((key.clone(), substitute(value, &known)));
        }
        let steps = bodies.iter().flat_map(|body| steps(&name, body, &known, straight));
        scenarios.push(Scenario {
            steps: steps.collect(),
            namespace,
            name,
        });
    }
    scenarios
}

fn assignment(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or_else(|| panic!("no `=`: {text}"));
    (name.trim().to_owned(), value.trim().to_owned())
}

fn choices(text: &str) -> (String, Vec<String>) {
    let (name, values) = assignment(text);
    let values = values.split(" | ").map(|value| match value.trim() {
        // A choice of nothing.
        "-" => String::new(),
        value => value.to_owned(),
    });
    (name, values.collect())
}

fn product(each: &[(String, Vec<String>)]) -> Vec<Variables> {
    let mut all = vec![Variables::new()];
    for (name, values) in each {
        let longer = all.iter().flat_map(|before| {
            values.iter().map(|value| {
                let mut variables = before.clone();
                variables.push((name.clone(), value.clone()));
                variables
            })
        });
        all = longer.collect();
    }
    all
}

/// `title`, directives, the request line, headers; after an empty line the body.
fn steps(scenario: &str, text: &str, known: &Variables, all_straight: bool) -> Vec<Step> {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let title = lines.next().expect("a title").to_owned();
    let (mut each, mut frames, mut straight) = (Vec::new(), None, all_straight);
    let request = loop {
        let line = lines
            .next()
            .unwrap_or_else(|| panic!("{scenario}: {title}: no request"));
        if let Some(rest) = line.strip_prefix("each ") {
            each.push(choices(rest));
        } else if let Some(rest) = line.strip_prefix("frames ") {
            frames = Some(rest.parse().expect("a number of frames"));
        } else if line == "straight" {
            straight = true;
        } else {
            break line;
        }
    };
    let (method, path) = request
        .split_once(' ')
        .unwrap_or_else(|| panic!("{scenario}: {title}: {request}"));
    let headers: Vec<(&str, &str)> = lines
        .map(|line| {
            let pair = line.split_once(':');
            pair.unwrap_or_else(|| panic!("{scenario}: {title}: no header: {line}"))
        })
        .collect();
    let step = |chosen: Variables| {
        let labels: Vec<&str> = chosen.iter().map(|(_, value)| value.as_str()).collect();
        let label = match labels.as_slice() {
            [] => String::new(),
            labels => format!(" [{}]", labels.join(", ")),
        };
        let mut variables = chosen.clone();
        variables.extend(known.iter().cloned());
        let fill = |text: &str| repeat(&substitute(text, &variables));
        let mut headers: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.trim().to_lowercase(), fill(value.trim())))
            .collect();
        let body = fill(body.trim_end_matches('\n'));
        let default = |name: &str, value: &str, headers: &mut Vec<(String, String)>| {
            if !headers.iter().any(|(given, _)| given == name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        if !body.is_empty() {
            default("content-type", "application/json", &mut headers);
        }
        default("user-agent", "corpus/1.0", &mut headers);
        // A header that is given as nothing is not sent.
        headers.retain(|(_, value)| !value.is_empty());
        Step {
            name: format!("{scenario}/{title}{label}"),
            title: title.clone(),
            method: fill(method),
            path: fill(path.trim()),
            headers,
            body,
            frames,
            straight,
        }
    };
    product(&each).into_iter().map(step).collect()
}

/// Replaces `{name}` where it is known, and leaves other braces alone: bodies are JSON.
pub(super) fn substitute(text: &str, known: &Variables) -> String {
    let mut text = text.to_owned();
    for (name, value) in known {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    text
}

/// Replaces `{repeat:3:ab:}` by `ababab`.
fn repeat(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{repeat:") {
        let (count, after) = after.split_once(':').expect("{repeat:count:text:}");
        let (part, after) = after.split_once(":}").expect("{repeat:count:text:}");
        out.push_str(before);
        out.push_str(&part.repeat(count.parse().expect("a count")));
        rest = after;
    }
    out + rest
}

#[test]
fn a_file_is_read_with_its_variants() {
    let text = "# about\nlet base = /apis/{v}\neach v = a | b\n\n== first\nGET {base}\naccept: x\n\n== second\neach q = 1 | -\n\
                frames 2\nPOST {base}/{q}?x={rv:first}\nuser-agent:\n\n{\"a\":{}, \"b\":\"{repeat:3:xy:}\"}\n";
    let read = parse("file", text);
    assert_eq!(read.len(), 2);
    assert_eq!(read[1].name, "file-b");
    assert_eq!(read[1].namespace, "diff-file-b");
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let first = Step {
        name: "file-a/first".to_owned(),
        title: "first".to_owned(),
        method: "GET".to_owned(),
        path: "/apis/a".to_owned(),
        headers: vec![header("accept", "x"), header("user-agent", "corpus/1.0")],
        body: String::new(),
        frames: None,
        straight: false,
    };
    assert_eq!(read[0].steps[0], first);
    assert_eq!(read[0].steps.len(), 3);
    let last = Step {
        name: "file-a/second []".to_owned(),
        title: "second".to_owned(),
        method: "POST".to_owned(),
        path: "/apis/a/?x={rv:first}".to_owned(),
        headers: vec![header("content-type", "application/json")],
        body: "{\"a\":{}, \"b\":\"xyxyxy\"}".to_owned(),
        frames: Some(2),
        straight: false,
    };
    assert_eq!(read[0].steps[2], last);
}
