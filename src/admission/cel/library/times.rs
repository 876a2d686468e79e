//! Durations and timestamps (cel-go common/types/duration.go, timestamp.go, overflow.go). A duration is a Go one: whole
//! nanoseconds in 64 bits.

use std::cmp::Ordering;
use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Opaque;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, opaque};
use crate::wire::quote::go_quote;

pub(super) const NAMES: &[&str] = &[
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
];

const NANOS: i128 = 1_000_000_000;
/// The years 1 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::admission::cel) struct Duration(i64);

/// A point in time. It is shown as far ahead of UTC as it was written; in everything else it is in UTC.
#[derive(Clone, Copy, Debug)]
pub(in crate::admission::cel) struct Timestamp {
    /// Nanoseconds since 1970.
    at: i128,
    /// Seconds ahead.
    offset: i64,
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timestamp {}

impl Opaque for Duration {
    fn runtime_type_name(&self) -> &'static str {
        "google.protobuf.Duration"
    }
}

impl Opaque for Timestamp {
    fn runtime_type_name(&self) -> &'static str {
        "google.protobuf.Timestamp"
    }
}

impl Duration {
    /// Go's time.ParseDuration.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total = 0_i128;
        while !rest.is_empty() {
            let end = rest
                .find(|c: char| !c.is_ascii_digit() && c != '.')
                .unwrap_or(rest.len());
            let (number, after) = rest.split_at(end);
            let end = after
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let unit: i128 = match unit {
                "h" => 3_600 * NANOS,
                "m" => 60 * NANOS,
                "s" => NANOS,
                "ms" => 1_000_000,
                "us" | "µs" | "μs" => 1_000,
                "ns" => 1,
                _ => return None,
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || whole.len() > 19 {
                return None;
            }
            if !whole.is_empty() {
                total += whole.parse::<i128>().ok()? * unit;
            }
            // More digits than 18 are below a nanosecond.
            let fraction = &fraction[..fraction.len().min(18)];
            if !fraction.is_empty() {
                let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
                total += fraction.parse::<i128>().ok()? * unit / scale;
            }
            rest = after;
        }
        i64::try_from(if negative { -total } else { total }).ok().map(Self)
    }

    pub(super) fn nanoseconds(self) -> i64 {
        self.0
    }

    pub(in crate::admission::cel) fn negated(self) -> Result<Self, Failure> {
        Self::checked(-i128::from(self.0))
    }

    fn checked(nanos: i128) -> Result<Self, Failure> {
        i64::try_from(nanos)
            .map(Self)
            .map_err(|_| Failure::new("integer overflow"))
    }

    fn part(self, name: &str) -> Option<i64> {
        Some(match name {
            "getHours" => self.0 / 3_600_000_000_000,
            "getMinutes" => self.0 / 60_000_000_000,
            "getSeconds" => self.0 / 1_000_000_000,
            "getMilliseconds" => self.0 / 1_000_000,
            _ => return None,
        })
    }
}

/// In seconds, as Go's `strconv.FormatFloat(d.Seconds(), 'f', -1, 64)`.
impl fmt::Display for Duration {
    #[expect(clippy::cast_precision_loss, reason = "as in Go")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        write!(f, "{}s", seconds as f64 + rest as f64 / 1e9)
    }
}

impl Timestamp {
    /// RFC 3339, as Go's time.Parse reads it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |from: usize, length: usize| -> Option<i64> {
            let digits = bytes.get(from..from + length)?;
            let digits = std::str::from_utf8(digits).ok()?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_digit())
                .then(|| digits.parse().ok())?
        };
        let shape = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
        if !shape.iter().all(|(at, byte)| bytes.get(*at) == Some(byte)) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let mut rest = text.get(19..)?;
        let mut nanos = 0;
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            let shown = format!("{:0<9}", &fraction[..digits.min(9)]);
            nanos = shown.parse::<i128>().ok()?;
            rest = &fraction[digits..];
        }
        let offset = match rest.as_bytes() {
            b"Z" => 0,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let at = text.len() - 5;
                let (hours, minutes) = (number(at, 2)?, number(at + 3, 2)?);
                if hours > 24 || minutes > 60 {
                    return None;
                }
                let offset = hours * 3_600 + minutes * 60;
                if *sign == b'-' { -offset } else { offset }
            }
            _ => return None,
        };
        let date = Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        )
        .ok()?;
        let days = (date - Date::constant(1970, 1, 1)).get_days();
        let seconds = i64::from(days) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
        let at = i128::from(seconds) * NANOS + nanos;
        Some(Self { at, offset })
    }

    pub(super) fn of_seconds(seconds: i64) -> Self {
        Self {
            at: i128::from(seconds) * NANOS,
            offset: 0,
        }
    }

    fn later(self, nanos: i128) -> Result<Self, Failure> {
        let at = self.at + nanos;
        Self { at, ..self }.bounded()
    }

    pub(super) fn seconds(self) -> i64 {
        i64::try_from(self.at.div_euclid(NANOS)).unwrap_or_default()
    }

    /// Itself, if it is in the years that there are.
    pub(super) fn bounded(self) -> Result<Self, Failure> {
        match i64::try_from(self.at.div_euclid(NANOS)) {
            Ok(seconds) if SECONDS.contains(&seconds) => Ok(self),
            _ => Err(Failure::new("timestamp overflow")),
        }
    }

    /// The clock in UTC, `offset` seconds ahead.
    fn civil(self, offset: i64) -> DateTime {
        let seconds = self.seconds() + offset;
        let nanos = i32::try_from(self.at.rem_euclid(NANOS)).unwrap_or_default();
        let span = jiff::SignedDuration::new(seconds, nanos);
        DateTime::constant(1970, 1, 1, 0, 0, 0, 0).saturating_add(span)
    }

    /// How far a zone is ahead of UTC at this time.
    fn ahead(self, zone: &str) -> Result<i64, Failure> {
        if let Some((hours, minutes)) = zone.split_once(':') {
            let number = |text: &str| {
                let parsed = text.parse::<i64>();
                parsed.map_err(|_| Failure::new(format!("strconv.Atoi: parsing {}: invalid syntax", go_quote(text))))
            };
            let (hours, minutes) = (number(hours)?, number(minutes)?);
            let minutes = if zone.starts_with('-') { -minutes } else { minutes };
            return Ok((hours * 60 + minutes) * 60);
        }
        if matches!(zone, "" | "UTC") {
            return Ok(0);
        }
        let unknown = |_| Failure::new(format!("unknown time zone {zone}"));
        let zone = TimeZone::get(zone).map_err(unknown)?;
        let at = jiff::Timestamp::from_nanosecond(self.at).map_err(unknown)?;
        Ok(i64::from(zone.to_offset(at).seconds()))
    }

    fn part(self, name: &str, zone: &str) -> Result<Option<i64>, Failure> {
        let at = self.civil(self.ahead(zone)?);
        Ok(Some(match name {
            "getDate" => i64::from(at.day()),
            "getDayOfMonth" => i64::from(at.day()) - 1,
            "getDayOfWeek" => i64::from(at.weekday().to_sunday_zero_offset()),
            "getDayOfYear" => i64::from(at.day_of_year()) - 1,
            "getFullYear" => i64::from(at.year()),
            "getHours" => i64::from(at.hour()),
            "getMilliseconds" => i64::from(at.subsec_nanosecond() / 1_000_000),
            "getMinutes" => i64::from(at.minute()),
            "getMonth" => i64::from(at.month()) - 1,
            "getSeconds" => i64::from(at.second()),
            _ => return Ok(None),
        }))
    }
}

/// Go's time.RFC3339Nano.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.civil(self.offset);
        write!(f, "{:04}-{:02}-{:02}T", at.year(), at.month(), at.day())?;
        write!(f, "{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())?;
        if at.subsec_nanosecond() != 0 {
            let fraction = format!("{:09}", at.subsec_nanosecond());
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        if self.offset == 0 {
            return f.write_str("Z");
        }
        let minutes = self.offset.abs() / 60;
        let sign = if self.offset < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// What of the two are times; `None`: the first is neither.
fn kinds(value: &Value) -> (Option<Duration>, Option<Timestamp>) {
    (as_opaque(value).copied(), as_opaque(value).copied())
}

/// `left + right`; `None`: `left` is no time.
pub(in crate::admission::cel) fn add(left: &Value, right: &Value) -> Result<Option<Value>, Failure> {
    Ok(Some(match (kinds(left), kinds(right)) {
        ((Some(left), _), (Some(right), _)) => opaque(Duration::checked(i128::from(left.0) + i128::from(right.0))?),
        ((Some(span), _), (_, Some(at))) | ((_, Some(at)), (Some(span), _)) => opaque(at.later(i128::from(span.0))?),
        ((None, None), _) => return Ok(None),
        _ => return Err(Failure::overload()),
    }))
}

/// `left - right`; `None`: `left` is no time.
pub(in crate::admission::cel) fn subtract(left: &Value, right: &Value) -> Result<Option<Value>, Failure> {
    Ok(Some(match (kinds(left), kinds(right)) {
        ((Some(left), _), (Some(right), _)) => opaque(Duration::checked(i128::from(left.0) - i128::from(right.0))?),
        ((_, Some(left)), (_, Some(right))) => opaque(Duration::checked(left.at - right.at)?),
        ((_, Some(at)), (Some(span), _)) => opaque(at.later(-i128::from(span.0))?),
        ((None, None), _) => return Ok(None),
        _ => return Err(Failure::overload()),
    }))
}

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    let part = match arguments {
        [value] => match kinds(value) {
            (Some(duration), _) => duration.part(name),
            (_, Some(timestamp)) => timestamp.part(name, "UTC")?,
            _ => None,
        },
        [value, Value::String(zone)] => match kinds(value) {
            (_, Some(timestamp)) => timestamp.part(name, zone)?,
            _ => None,
        },
        _ => None,
    };
    Ok(part.map(Value::Int))
}
