//! Durations as Go's flags write them.

use std::time::Duration;

use super::quote::go_quote;

/// Reads `10s`, `1m30s`, `1.5h`, `300ms` or `0` (Go's time.ParseDuration, without negative values).
///
/// # Errors
/// With an example of what is wanted.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration, write for example 10s, 1m30s or 500ms");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = after;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(total) }
}

/// What Go's time.ParseDuration finds wrong with a text that [`parse_duration`] refused.
pub fn go_complaint(text: &str) -> String {
    let quoted = go_quote(text);
    let mut rest = text.trim_start_matches(['+', '-']);
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(is_number);
        let after = unit.trim_start_matches(|c| !is_number(c));
        let name = &unit[..unit.len() - after.len()];
        if unit.len() == rest.len() {
            break;
        }
        if name.is_empty() {
            return format!("time: missing unit in duration {quoted}");
        }
        if !["h", "m", "s", "ms", "us", "µs", "ns"].contains(&name) {
            return format!("time: unknown unit {} in duration {quoted}", go_quote(name));
        }
        rest = after;
    }
    format!("time: invalid duration {quoted}")
}

#[test]
fn complaints_are_those_of_go() {
    assert_eq!(go_complaint("abc"), "time: invalid duration \"abc\"");
    assert_eq!(go_complaint("10"), "time: missing unit in duration \"10\"");
    assert_eq!(go_complaint("1m3x"), "time: unknown unit \"x\" in duration \"1m3x\"");
}
