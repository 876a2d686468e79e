//! Why a text is no JSON, in the words of Go's scanner (encoding/json scanner.go).

use crate::wire::quote::go_quote;

/// What the scanner expects next.
#[derive(Clone, Copy)]
enum Step {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    AfterValue,
}

/// What surrounds the place.
#[derive(Clone, Copy)]
enum Inside {
    /// Before the colon.
    ObjectKey,
    /// After the colon.
    ObjectValue,
    Array,
}

/// Where a text goes wrong: with the byte there, or at its end.
enum Wrong {
    Byte(u8, String),
    End,
}

/// The text of Go's error; `None` when the syntax is right and nests at most `depth` deep.
pub(super) fn error(bytes: &[u8], depth: usize) -> Option<String> {
    match scan(bytes, depth) {
        Ok(()) => None,
        Err(Wrong::End) => Some("unexpected end of JSON input".to_owned()),
        Err(Wrong::Byte(byte, context)) => Some(format!("invalid character {} {context}", quote(byte))),
    }
}

fn scan(bytes: &[u8], depth: usize) -> Result<(), Wrong> {
    let mut inside: Vec<Inside> = Vec::new();
    let mut step = Step::Value;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            at += 1;
            continue;
        }
        let wrong = |context: &str| Err(Wrong::Byte(byte, context.to_owned()));
        match (step, byte) {
            (Step::ValueOrEnd, b']') | (Step::KeyOrEnd, b'}') => {
                inside.pop();
                step = Step::AfterValue;
                at += 1;
            }
            (Step::Value | Step::ValueOrEnd, b'{' | b'[') => {
                let object = byte == b'{';
                inside.push(if object { Inside::ObjectKey } else { Inside::Array });
                if inside.len() > depth {
                    return wrong("exceeded max depth");
                }
                step = if object { Step::KeyOrEnd } else { Step::ValueOrEnd };
                at += 1;
            }
            (Step::Value | Step::ValueOrEnd, _) => {
                at = scalar(bytes, at)?;
                step = Step::AfterValue;
            }
            (Step::Key | Step::KeyOrEnd, b'"') => {
                at = string(bytes, at + 1)?;
                step = Step::AfterValue;
            }
            (Step::Key | Step::KeyOrEnd, _) => return wrong("looking for beginning of object key string"),
            (Step::AfterValue, _) => {
                step = match (inside.last_mut(), byte) {
                    (Some(place @ Inside::ObjectKey), b':') => {
                        *place = Inside::ObjectValue;
                        Step::Value
                    }
                    (Some(place @ Inside::ObjectValue), b',') => {
                        *place = Inside::ObjectKey;
                        Step::Key
                    }
                    (Some(Inside::Array), b',') => Step::Value,
                    (Some(Inside::ObjectValue), b'}') | (Some(Inside::Array), b']') => {
                        inside.pop();
                        Step::AfterValue
                    }
                    (Some(Inside::ObjectKey), _) => return wrong("after object key"),
                    (Some(Inside::ObjectValue), _) => return wrong("after object key:value pair"),
                    (Some(Inside::Array), _) => return wrong("after array element"),
                    (None, _) => return wrong("after top-level value"),
                };
                at += 1;
            }
        }
    }
    if inside.is_empty() && matches!(step, Step::AfterValue) {
        Ok(())
    } else {
        Err(Wrong::End)
    }
}

/// Reads a string, number or literal from `at`; gives the place behind it.
fn scalar(bytes: &[u8], at: usize) -> Result<usize, Wrong> {
    let byte = bytes[at];
    match byte {
        b'"' => string(bytes, at + 1),
        b't' => literal(bytes, at, "true"),
        b'f' => literal(bytes, at, "false"),
        b'n' => literal(bytes, at, "null"),
        b'-' | b'0'..=b'9' => number(bytes, at),
        _ => Err(Wrong::Byte(byte, "looking for beginning of value".to_owned())),
    }
}

fn literal(bytes: &[u8], start: usize, word: &str) -> Result<usize, Wrong> {
    for (offset, wanted) in word.bytes().enumerate() {
        let byte = *bytes.get(start + offset).ok_or(Wrong::End)?;
        if byte != wanted {
            let context = format!("in literal {word} (expecting {})", quote(wanted));
            return Err(Wrong::Byte(byte, context));
        }
    }
    Ok(start + word.len())
}

fn string(bytes: &[u8], mut at: usize) -> Result<usize, Wrong> {
    loop {
        let byte = *bytes.get(at).ok_or(Wrong::End)?;
        at += 1;
        match byte {
            b'"' => return Ok(at),
            b'\\' => {
                let escape = *bytes.get(at).ok_or(Wrong::End)?;
                at += 1;
                match escape {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            let digit = *bytes.get(at).ok_or(Wrong::End)?;
                            if !digit.is_ascii_hexdigit() {
                                return Err(Wrong::Byte(digit, "in \\u hexadecimal character escape".to_owned()));
                            }
                            at += 1;
                        }
                    }
                    other => return Err(Wrong::Byte(other, "in string escape code".to_owned())),
                }
            }
            control if control < 0x20 => return Err(Wrong::Byte(control, "in string literal".to_owned())),
            _ => {}
        }
    }
}

fn number(bytes: &[u8], mut at: usize) -> Result<usize, Wrong> {
    let digits = |mut at: usize, context: &str| {
        let first = *bytes.get(at).ok_or(Wrong::End)?;
        if !first.is_ascii_digit() {
            return Err(Wrong::Byte(first, context.to_owned()));
        }
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        Ok(at)
    };
    if bytes.get(at) == Some(&b'-') {
        at += 1;
    }
    at = match bytes.get(at) {
        // no digit follows a zero
        Some(b'0') => at + 1,
        _ => digits(at, "in numeric literal")?,
    };
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1, "after decimal point in numeric literal")?;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        if matches!(bytes.get(at), Some(b'+' | b'-')) {
            at += 1;
        }
        at = digits(at, "in exponent of numeric literal")?;
    }
    Ok(at)
}

/// A byte as Go's scanner quotes it.
fn quote(byte: u8) -> String {
    match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => r#"'"'"#.to_owned(),
        other => {
            let quoted = go_quote(&char::from(other).to_string());
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}
