//! Durations in query strings.

use std::time::Duration;

use crate::wire::quote::go_quote;

/// Reads `30s`, `1m30.5s` or `0` as Go's `time.ParseDuration` does; a negative duration gives zero.
///
/// # Errors
/// The text of Go's error.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let quoted = go_quote(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(invalid());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanoseconds: u128 = match unit {
            "" => return Err(format!("time: missing unit in duration {quoted}")),
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return Err(format!("time: unknown unit {} in duration {quoted}", go_quote(unit))),
        };
        let whole: u64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| invalid())?
        };
        total += u128::from(whole) * nanoseconds;
        // more digits than the unit has nanoseconds change nothing
        let fraction = &fraction[..fraction.len().min(15)];
        if !fraction.is_empty() {
            let scale = 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
            total += u128::from(fraction.parse::<u64>().map_err(|_| invalid())?) * nanoseconds / scale;
        }
        if total > i64::MAX as u128 {
            return Err(invalid());
        }
        rest = after;
    }
    let nanoseconds = if text.starts_with('-') {
        0
    } else {
        u64::try_from(total).map_err(|_| invalid())?
    };
    Ok(Duration::from_nanos(nanoseconds))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}
