//! Semantic versions (k8s.io/apiserver pkg/cel/library/semverlib.go, github.com/blang/semver).

use std::cmp::Ordering;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Opaque;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, opaque};
use crate::wire::quote::go_quote;

pub(super) const NAMES: &[&str] = &[
    "compareTo",
    "isGreaterThan",
    "isLessThan",
    "isSemver",
    "major",
    "minor",
    "patch",
    "semver",
];

/// A version; what was built how is no part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    before: Vec<Before>,
}

/// A word of a pre-release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Before {
    Number(u64),
    Word(String),
}

impl Opaque for Version {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.Semver"
    }
}

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    let text = match arguments {
        [Value::String(text)] => Some((text, false)),
        [Value::String(text), Value::Bool(normalize)] => Some((text, *normalize)),
        _ => None,
    };
    if let Some((text, normalize)) = text {
        let parsed = if normalize {
            tolerant(text)
        } else {
            Version::parse(text)
        };
        return match name {
            "isSemver" => Ok(Some(Value::Bool(parsed.is_ok()))),
            "semver" => parsed.map(|version| Some(opaque(version))).map_err(Failure::new),
            _ => Ok(None),
        };
    }
    let own = arguments.first().and_then(as_opaque::<Version>);
    let other = arguments.get(1).and_then(as_opaque::<Version>);
    let number = |at: usize, version: &Version| Value::Int(i64::from_ne_bytes(version.numbers[at].to_ne_bytes()));
    Ok(match (name, own, other, arguments.len()) {
        ("major", Some(own), None, 1) => Some(number(0, own)),
        ("minor", Some(own), None, 1) => Some(number(1, own)),
        ("patch", Some(own), None, 1) => Some(number(2, own)),
        ("compareTo", Some(own), Some(other), _) => Some(Value::Int(own.compare(other) as i64)),
        ("isGreaterThan", Some(own), Some(other), _) => Some(Value::Bool(own.compare(other).is_gt())),
        ("isLessThan", Some(own), Some(other), _) => Some(Value::Bool(own.compare(other).is_lt())),
        _ => None,
    })
}

impl Version {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("Version string empty".to_owned());
        }
        let parts: Vec<&str> = text.splitn(3, '.').collect();
        let [major, minor, patch] = parts.as_slice() else {
            return Err("No Major.Minor.Patch elements found".to_owned());
        };
        let (patch, build) = patch
            .split_once('+')
            .map_or((*patch, None), |(patch, build)| (patch, Some(build)));
        let numbers_before = [number(major, "Major")?, number(minor, "Minor")?];
        let (patch, before) = patch
            .split_once('-')
            .map_or((patch, None), |(patch, before)| (patch, Some(before)));
        let numbers = [numbers_before[0], numbers_before[1], number(patch, "Patch")?];
        let before = before.into_iter().flat_map(|before| before.split('.'));
        let before = before.map(Before::parse).collect::<Result<_, _>>()?;
        for word in build.into_iter().flat_map(|build| build.split('.')) {
            if word.is_empty() {
                return Err("Build meta data is empty".to_owned());
            }
            if !is_word(word) {
                return Err(format!(
                    "Invalid character(s) found in build meta data {}",
                    go_quote(word)
                ));
            }
        }
        Ok(Self { numbers, before })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let before = match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.before.cmp(&other.before),
        };
        self.numbers.cmp(&other.numbers).then(before)
    }
}

impl Before {
    fn parse(word: &str) -> Result<Self, String> {
        if word.is_empty() {
            return Err("Prerelease is empty".to_owned());
        }
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            if word.len() > 1 && word.starts_with('0') {
                let why = "Numeric PreRelease version must not contain leading zeroes";
                return Err(format!("{why} {}", go_quote(word)));
            }
            return parse_number(word).map(Self::Number);
        }
        if is_word(word) {
            return Ok(Self::Word(word.to_owned()));
        }
        Err(format!("Invalid character(s) found in prerelease {}", go_quote(word)))
    }
}

fn is_word(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn parse_number(text: &str) -> Result<u64, String> {
    let why = if text.is_empty() {
        "invalid syntax"
    } else {
        "value out of range"
    };
    text.parse()
        .map_err(|_| format!("strconv.ParseUint: parsing {}: {why}", go_quote(text)))
}

fn number(text: &str, which: &str) -> Result<u64, String> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let which = which.to_lowercase();
        return Err(format!(
            "Invalid character(s) found in {which} number {}",
            go_quote(text)
        ));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!(
            "{which} number must not contain leading zeroes {}",
            go_quote(text)
        ));
    }
    parse_number(text)
}

/// `v1.02` for `1.2.0`.
fn tolerant(text: &str) -> Result<Version, String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(str::to_owned).collect();
    for part in parts.iter_mut().filter(|part| part.len() > 1) {
        let trimmed = part.trim_start_matches('0');
        *part = match trimmed.starts_with(|c: char| c.is_ascii_digit()) {
            true => trimmed.to_owned(),
            false => format!("0{trimmed}"),
        };
    }
    if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
        return Err("short version cannot contain PreRelease/Build meta data".to_owned());
    }
    while parts.len() < 3 {
        parts.push("0".to_owned());
    }
    Version::parse(&parts.join("."))
}
