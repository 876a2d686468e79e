//! Timestamps, and the ages that people read.

use jiff::{SignedDuration, Timestamp};

/// The present, in whole seconds: `2026-01-02T03:04:05Z`.
pub fn now() -> String {
    rfc3339(Timestamp::now())
}

/// A time in whole seconds, as objects carry it.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads an RFC 3339 time with any offset; `None` for anything else.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let dated = text.as_bytes().get(10) == Some(&b'T');
    text.parse().ok().filter(|_| dated)
}

/// The time between `created` and `now` as `kubectl get` prints it; `<unknown>` where there is none.
pub fn age(created: &str, now: Timestamp) -> String {
    match parse_time(created) {
        Some(created) => human_duration(now.duration_since(created)),
        None => "<unknown>".to_owned(),
    }
}

/// A duration in two or three significant figures (k8s.io/apimachinery pkg/util/duration HumanDuration).
pub fn human_duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs();
    // clocks may disagree a little
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    if seconds < 0 {
        return "0s".to_owned();
    }
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 24 * 8 {
        two(days, "d", hours % 24, "h")
    } else if hours < 24 * 365 * 2 {
        format!("{days}d")
    } else if hours < 24 * 365 * 8 {
        two(years, "y", days % 365, "d")
    } else {
        format!("{years}y")
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}
