//! `'%d of %s'.format([1, 'x'])` (cel-go ext/formatting.go, the form before version 4). Numbers are written as in English.

use std::fmt::Write;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Key;

use super::conversions::{go_double, shown};
use super::times::{Duration, Timestamp};
use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{TypeName, as_opaque, string, type_name};
use crate::wire::quote::go_quote;

pub(super) const NAMES: &[&str] = &["format"];

const PRECISION: usize = 6;
/// More digits than a double has are zeros; so many may be asked for.
const LONGEST: usize = 1_000;

pub(super) fn call(_: &str, arguments: &[Value], budget: &mut Budget) -> Result<Option<Value>, Failure> {
    let [Value::String(template), Value::List(items)] = arguments else {
        return Ok(None);
    };
    let formatted = format(template, items).map_err(Failure::new)?;
    budget.spend_bytes(formatted.len())?;
    Ok(Some(string(formatted)))
}

fn format(template: &str, items: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut items = items.iter();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let Some(item) = items.next() else {
            return Err(format!("index {} out of range", consumed(template, rest)));
        };
        if after.is_empty() {
            return Err("unexpected end of string".to_owned());
        }
        let (precision, clause, after) =
            clause(after).map_err(|why| format!("could not parse formatting clause: {why}"))?;
        let text = one(clause, precision, item).map_err(|why| format!("error during formatting: {why}"))?;
        out.push_str(&text);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// How many clauses stand before `rest`.
fn consumed(template: &str, rest: &str) -> usize {
    let before = &template[..template.len() - rest.len()];
    before.replace("%%", "").matches('%').count()
}

/// The precision and the letter of a clause, and what follows it.
fn clause(text: &str) -> Result<(Option<usize>, char, &str), String> {
    let mut precision = None;
    let mut rest = text;
    if let Some(after) = text.strip_prefix('.') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits == after.len() {
            let why = "could not find end of precision specifier";
            return Err(format!("error while parsing precision: {why}"));
        }
        let wrong = |why: &str| {
            let quoted = go_quote(&after[..digits]);
            format!(
                "error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing {quoted}: {why}"
            )
        };
        if digits == 0 {
            return Err(wrong("invalid syntax"));
        }
        precision = Some(after[..digits].parse().map_err(|_| wrong("value out of range"))?);
        rest = &after[digits..];
    }
    // Go looks at a byte.
    let letter = rest.bytes().next().map_or('%', char::from);
    let after = rest.get(1..).unwrap_or_default();
    if "sdfebxXo".contains(letter) {
        Ok((precision, letter, after))
    } else {
        Err(format!("unrecognized formatting clause \"{letter}\""))
    }
}

fn one(clause: char, precision: Option<usize>, value: &Value) -> Result<String, String> {
    let given = type_name(value);
    Ok(match (clause, value) {
        ('s', value) => text(value)?,
        ('d', Value::Int(value)) => value.to_string(),
        ('d', Value::UInt(value)) => value.to_string(),
        ('d', _) => {
            return Err(format!(
                "decimal clause can only be used on integers, was given {given}"
            ));
        }
        ('f', value) => match number(value) {
            Some(number) => fixed(number, precision)?,
            None => {
                return Err(format!(
                    "fixed-point clause can only be used on doubles, was given {given}"
                ));
            }
        },
        ('e', value) => match number(value) {
            Some(number) => scientific(number, precision)?,
            None => {
                return Err(format!(
                    "scientific clause can only be used on doubles, was given {given}"
                ));
            }
        },
        ('b', Value::Bool(value)) => u8::from(*value).to_string(),
        ('b' | 'o' | 'x' | 'X', Value::Int(value)) => {
            let sign = if *value < 0 { "-" } else { "" };
            format!("{sign}{}", based(clause, value.unsigned_abs()))
        }
        ('b' | 'o' | 'x' | 'X', Value::UInt(value)) => based(clause, *value),
        ('x' | 'X', Value::String(text)) => hexadecimal(clause, text.as_bytes()),
        ('x' | 'X', Value::Bytes(bytes)) => hexadecimal(clause, bytes),
        ('b', _) => {
            return Err(format!(
                "only integers and bools can be formatted as binary, was given {given}"
            ));
        }
        ('o', _) => return Err(format!("octal clause can only be used on integers, was given {given}")),
        _ => {
            let which = "only integers, byte buffers, and strings can be formatted as hex";
            return Err(format!("{which}, was given {given}"));
        }
    })
}

fn based(clause: char, value: u64) -> String {
    match clause {
        'b' => format!("{value:b}"),
        'o' => format!("{value:o}"),
        'x' => format!("{value:x}"),
        _ => format!("{value:X}"),
    }
}

fn hexadecimal(clause: char, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = if clause == 'x' {
            write!(text, "{byte:02x}")
        } else {
            write!(text, "{byte:02X}")
        };
    }
    text
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    }
}

/// What is no number, in English.
fn unwritten(number: f64) -> Option<&'static str> {
    if number.is_nan() {
        Some("NaN")
    } else if number.is_infinite() {
        Some(if number > 0.0 { "∞" } else { "-∞" })
    } else {
        None
    }
}

fn bounded(precision: Option<usize>) -> Result<usize, String> {
    let precision = precision.unwrap_or(PRECISION);
    if precision > LONGEST {
        return Err(format!("precision {precision} is too large"));
    }
    Ok(precision)
}

fn fixed(number: f64, precision: Option<usize>) -> Result<String, String> {
    let precision = bounded(precision)?;
    if let Some(text) = unwritten(number) {
        return Ok(text.to_owned());
    }
    let plain = format!("{number:.precision$}");
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(format!("{sign}{grouped}{point}{fraction}"))
}

fn scientific(number: f64, precision: Option<usize>) -> Result<String, String> {
    // Go takes the precision for a width.
    let width = bounded(precision)?;
    if let Some(text) = unwritten(number) {
        return Ok(text.to_owned());
    }
    let plain = format!("{number:.PRECISION$e}");
    let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(("", exponent), |exponent| ("⁻", exponent));
    let raised: String = format!("{exponent:0>2}").chars().map(raised).collect();
    let text = format!("{digits}×10{sign}{raised}");
    Ok(format!("{text:>width$}"))
}

fn raised(digit: char) -> char {
    match digit {
        '0' => '⁰',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        '4' => '⁴',
        '5' => '⁵',
        '6' => '⁶',
        '7' => '⁷',
        '8' => '⁸',
        _ => '⁹',
    }
}

/// `%s`
fn text(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::List(items) => {
            let items: Result<Vec<String>, String> = items.iter().map(inner).collect();
            format!("[{}]", items?.join(", "))
        }
        Value::Map(map) => {
            let mut entries = Vec::with_capacity(map.map.len());
            for (name, value) in map.map.iter() {
                entries.push((key(name), inner(value)?));
            }
            entries.sort();
            let entries: Vec<String> = entries
                .into_iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        Value::String(text) => text.to_string(),
        Value::Int(value) => value.to_string(),
        Value::UInt(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Float(value) => go_double(*value),
        Value::Bytes(bytes) => match String::from_utf8(bytes.to_vec()) {
            Ok(text) => text,
            Err(_) => {
                let why = "invalid UTF-8 in bytes, cannot convert to string";
                return Err(format!("could not convert argument {} to string", go_quote(why)));
            }
        },
        other => match as_opaque::<TypeName>(other) {
            Some(name) => name.to_string(),
            None => match shown(other).filter(|_| is_time(other)) {
                Some(text) => text,
                None => {
                    let which = "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, \
                                 durations, and timestamps";
                    return Err(format!("{which}, was given {}", type_name(other)));
                }
            },
        },
    })
}

fn is_time(value: &Value) -> bool {
    as_opaque::<Duration>(value).is_some() || as_opaque::<Timestamp>(value).is_some()
}

fn key(key: &Key) -> String {
    match key {
        Key::Int(key) => key.to_string(),
        Key::Uint(key) => key.to_string(),
        Key::Bool(key) => key.to_string(),
        Key::String(key) => go_quote(key),
    }
}

/// A value inside of a list or a map, as it could be written in an expression.
fn inner(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::String(text) => go_quote(text),
        Value::Bytes(_) => format!("b{}", go_quote(&text(value)?)),
        Value::Float(value) if value.is_nan() => go_quote("NaN"),
        Value::Float(value) if value.is_infinite() => go_quote(if *value > 0.0 { "+Inf" } else { "-Inf" }),
        Value::Float(value) => format!("{value:.PRECISION$}"),
        Value::Opaque(_) if as_opaque::<Timestamp>(value).is_some() => {
            format!("timestamp({})", go_quote(&text(value)?))
        }
        Value::Opaque(_) if as_opaque::<Duration>(value).is_some() => format!("duration({})", go_quote(&text(value)?)),
        Value::Opaque(_) if as_opaque::<TypeName>(value).is_none() => {
            return Err(format!("no formatting function for {}", type_name(value)));
        }
        other => text(other)?,
    })
}
