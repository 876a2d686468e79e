//! Sends a scenario to one server.

use std::collections::HashMap;
use std::io::Read;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use regex::{Captures, Regex};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::corpus::{Scenario, Step};
use super::normal::Normalizer;
use super::protobuf;
use crate::harness::in_process::DEADLINE;

/// `{rv:title}` and its like: something of an earlier answer.
static EARLIER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{(rv|uid|continue|etag|name|location):([^{}]+)\}").expect("a pattern"));

/// What takes longer is told of, as the corpus may be what makes it so.
const SLOW: Duration = Duration::from_secs(8);

/// What stands for an answer that did not come in time.
pub(super) const LATE: &str = "[no answer in time]";

/// Sends all steps, and gives every answer without what differs each time.
pub(super) async fn play(client: &kube::Client, scenario: &Scenario) -> Vec<Value> {
    let mut normalizer = Normalizer::default();
    let mut earlier: HashMap<String, (HeaderMap, Value)> = HashMap::new();
    let mut answers = Vec::new();
    for step in &scenario.steps {
        let begun = Instant::now();
        let sent = send(client, step, &earlier);
        let answered = timeout(DEADLINE * 2, sent).await;
        let late = || (0, HeaderMap::new(), Bytes::from_static(LATE.as_bytes()));
        let (status, headers, body) = answered.unwrap_or_else(|_| late());
        if begun.elapsed() > SLOW {
            println!("{} took {:?}", step.name, begun.elapsed());
        }
        let shown = json!({
            "status": status,
            "header": normalizer.headers(&headers),
            "body": shown(&mut normalizer, step, &headers, &body),
        });
        let raw = serde_json::from_slice(&body).unwrap_or_default();
        earlier.insert(step.title.clone(), (headers, raw));
        answers.push(shown);
    }
    answers
}

fn fill(text: &str, earlier: &HashMap<String, (HeaderMap, Value)>) -> String {
    let found = |found: &Captures<'_>| {
        let (what, title) = (&found[1], &found[2]);
        let (headers, body) = earlier
            .get(title)
            .unwrap_or_else(|| panic!("no step {title} before: {text}"));
        let metadata = |key: &str| body["metadata"][key].as_str().unwrap_or("none").to_owned();
        let header = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or("none").to_owned()
        };
        match what {
            "rv" => metadata("resourceVersion"),
            "uid" => metadata("uid"),
            "name" => metadata("name"),
            "continue" => metadata("continue"),
            "etag" => header("etag"),
            _ => header("location"),
        }
    };
    EARLIER.replace_all(text, found).into_owned()
}

/// A path may be written in the corpus with what a request line cannot carry.
fn escape(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte);
    let escaped = path.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    escaped.collect()
}

async fn send(
    client: &kube::Client,
    step: &Step,
    earlier: &HashMap<String, (HeaderMap, Value)>,
) -> (u16, HeaderMap, Bytes) {
    let path = escape(&fill(&step.path, earlier));
    let mut request = Request::builder().method(step.method.as_str()).uri(&path);
    for (name, value) in &step.headers {
        request = request.header(name, fill(value, earlier));
    }
    let body = fill(&step.body, earlier);
    let body = if body.is_empty() {
        Body::empty()
    } else {
        Body::from(body.into_bytes())
    };
    let request = request
        .body(body)
        .unwrap_or_else(|error| panic!("{}: {error}", step.name));
    match client.send(request).await {
        Ok(response) => {
            let (head, body) = read(response, step).await;
            (head.status.as_u16(), head.headers, body)
        }
        // A server that gives no answer differs from one that does.
        Err(error) => (0, HeaderMap::new(), Bytes::from(format!("[no answer: {error}]"))),
    }
}

async fn read(response: Response<Body>, step: &Step) -> (http::response::Parts, Bytes) {
    let (head, mut body) = response.into_parts();
    let mut bytes = BytesMut::new();
    let wanted = step.frames.filter(|_| head.status == 200);
    while wanted.is_none_or(|wanted| frames(&bytes).count() < wanted) {
        // What does not come is a difference, and not the end of the test.
        let Ok(Some(frame)) = timeout(DEADLINE, body.frame()).await else {
            break;
        };
        match frame {
            Ok(frame) => bytes.extend(frame.into_data().unwrap_or_default()),
            Err(error) => {
                bytes.extend_from_slice(format!("[broken off: {error}]").as_bytes());
                break;
            }
        }
    }
    if let Some(wanted) = wanted {
        let length = frames(&bytes).take(wanted).map(|frame| frame.len() + 1).sum();
        bytes.truncate(length);
    }
    (head, bytes.freeze())
}

/// Whole lines.
fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
    let lines = bytes[..whole].split(|byte| *byte == b'\n');
    lines.filter(|line| !line.is_empty())
}

/// The body as it is compared, below a key that says what it was found to be.
fn shown(normalizer: &mut Normalizer, step: &Step, headers: &HeaderMap, body: &[u8]) -> Value {
    if body.is_empty() {
        return json!("(empty)");
    }
    let mut plain = Vec::new();
    let body = match headers.contains_key(CONTENT_ENCODING) {
        true => match GzDecoder::new(body).read_to_end(&mut plain) {
            Ok(_) => &plain,
            Err(error) => return json!(format!("(compressed, and not to be read: {error})")),
        },
        false => body,
    };
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if media.contains("protobuf") {
        return json!({"protobuf": protobuf::decode(body).map(|value| normalizer.protobuf(value))});
    }
    let text = String::from_utf8_lossy(body);
    if media.contains("yaml") {
        let value: Result<Value, _> = serde_saphyr::from_str(&text);
        return match value {
            Ok(value) => json!({"yaml": normalizer.value(value)}),
            Err(_) => json!({"text": normalizer.text(&text)}),
        };
    }
    if step.frames.is_some() || step.path.contains("watch") {
        let values = text.lines().map(|line| match serde_json::from_str::<Value>(line) {
            Ok(value) => normalizer.value(value),
            Err(_) => json!(normalizer.text(line)),
        });
        let values: Vec<Value> = values.collect();
        if values.iter().all(|value| value.get("type").is_some()) {
            return json!({"frames": values});
        }
    }
    match serde_json::from_str::<Value>(&text) {
        // How it is laid out is compared as well: pretty or not, and whether a line end stands last.
        Ok(value) => json!({"json": normalizer.value(value), "layout": layout(&text)}),
        Err(_) => json!({"text": normalizer.text(&text)}),
    }
}

fn layout(text: &str) -> &'static str {
    match (text.trim_end().contains('\n'), text.ends_with('\n')) {
        (true, true) => "pretty, a line end",
        (true, false) => "pretty",
        (false, true) => "compact, a line end",
        (false, false) => "compact",
    }
}
