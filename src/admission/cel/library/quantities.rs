//! Quantities (k8s.io/apiserver pkg/cel/library/quantity.go, k8s.io/apimachinery pkg/api/resource).

use std::cmp::Ordering;

use kube::core::cel::cel::Value;
use kube::core::cel::cel::objects::Opaque;

use crate::admission::cel::budget::Budget;
use crate::admission::cel::error::Failure;
use crate::admission::cel::value::{as_opaque, opaque};

pub(super) const NAMES: &[&str] = &[
    "add",
    "asApproximateFloat",
    "asInteger",
    "compareTo",
    "isGreaterThan",
    "isInteger",
    "isLessThan",
    "isQuantity",
    "quantity",
    "sign",
    "sub",
];

const FORMAT: &str = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMBER: &str = "unable to parse numeric part of quantity";
const SUFFIX: &str = "unable to parse quantity's suffix";

/// Nothing is finer.
const NANOS: i128 = 1_000_000_000;

/// A number.
#[derive(Clone, Copy, Debug)]
struct Quantity {
    /// In billionths.
    nanos: i128,
    /// As Go keeps it while it fits: a number and a power of ten. What `asInteger` answers depends on it.
    short: Option<(i64, i32)>,
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Quantity {}

impl Opaque for Quantity {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.Quantity"
    }
}

pub(super) fn call(name: &str, arguments: &[Value], _: &mut Budget) -> Result<Option<Value>, Failure> {
    if let [Value::String(text)] = arguments {
        return match name {
            "isQuantity" => Ok(Some(Value::Bool(Quantity::parse(text).is_ok()))),
            "quantity" => Quantity::parse(text)
                .map(|quantity| Some(opaque(quantity)))
                .map_err(Failure::new),
            _ => Ok(None),
        };
    }
    let Some(own) = arguments.first().and_then(as_opaque::<Quantity>).copied() else {
        return Ok(None);
    };
    let other = match (name, arguments.get(1)) {
        (_, None) => None,
        ("add" | "sub", Some(Value::Int(number))) => Some(Quantity::of(*number, 0)),
        (_, Some(other)) => match as_opaque::<Quantity>(other) {
            Some(other) => Some(*other),
            None => return Ok(None),
        },
    };
    Ok(Some(match (name, other) {
        ("asApproximateFloat", None) => Value::Float(own.approximate()),
        ("asInteger", None) => match own.integer() {
            Some(integer) => Value::Int(integer),
            None => return Err(Failure::new("cannot convert value to integer")),
        },
        ("isInteger", None) => Value::Bool(own.integer().is_some()),
        ("sign", None) => Value::Int(own.cmp(&Quantity::of(0, 0)) as i64),
        ("add", Some(other)) => opaque(own.plus(other)),
        ("sub", Some(other)) => opaque(own.plus(other.negated())),
        ("compareTo", Some(other)) => Value::Int(own.cmp(&other) as i64),
        ("isGreaterThan", Some(other)) => Value::Bool(own.cmp(&other) == Ordering::Greater),
        ("isLessThan", Some(other)) => Value::Bool(own.cmp(&other) == Ordering::Less),
        _ => return Ok(None),
    }))
}

impl Quantity {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(FORMAT.to_owned());
        }
        let (negative, unsigned) = match text.as_bytes()[0] {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
        let (whole, rest) = unsigned.split_at(end);
        let (fraction, suffix) = match rest.strip_prefix('.') {
            Some(after) => after.split_at(after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len())),
            None => ("", rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(FORMAT.to_owned());
        }
        let letters = suffix
            .find(|c: char| !"eEinumkKMGTP".contains(c))
            .unwrap_or(suffix.len());
        let after = suffix[letters..].trim_start_matches(['+', '-']);
        if suffix[letters..].len() - after.len() > 1 || !after.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(FORMAT.to_owned());
        }
        let (shift, exponent) = suffix_of(suffix).ok_or(SUFFIX)?;
        let nanos = scaled(whole, fraction, 1_i128 << shift, exponent).ok_or(NUMBER)?;
        let short = short(whole.trim_start_matches('0'), fraction, shift, exponent);
        let quantity = Self { nanos, short };
        Ok(if negative { quantity.negated() } else { quantity })
    }

    /// A number and a power of ten that is no less than a billionth.
    fn of(number: i64, exponent: i32) -> Self {
        let power = u32::try_from(exponent + 9).unwrap_or(0).min(19);
        Self {
            nanos: i128::from(number).saturating_mul(10_i128.pow(power)),
            short: Some((number, exponent)),
        }
    }

    fn negated(self) -> Self {
        Self {
            nanos: -self.nanos,
            short: self
                .short
                .and_then(|(number, exponent)| Some((number.checked_neg()?, exponent))),
        }
    }

    fn plus(self, other: Self) -> Self {
        let short = match (self.short, other.short) {
            (own, Some((0, _))) => own,
            (Some((0, _)), other) => other,
            (Some((own, at)), Some((other, below))) => {
                let finest = at.min(below);
                let added = |own: i64, other: i64| own.checked_add(other).map(|sum| (sum, finest));
                let own = raised(own, at - finest);
                own.zip(raised(other, below - finest))
                    .and_then(|(own, other)| added(own, other))
            }
            _ => None,
        };
        Self {
            nanos: self.nanos.saturating_add(other.nanos),
            short,
        }
    }

    /// What was written with a fraction is none, whatever it comes to; as in Go.
    fn integer(self) -> Option<i64> {
        let (number, exponent) = self.short?;
        (exponent >= 0).then(|| raised(number, exponent))?
    }

    #[expect(clippy::cast_precision_loss, reason = "approximately")]
    fn approximate(self) -> f64 {
        match self.short {
            Some((number, 0)) => number as f64,
            Some((number, exponent)) => number as f64 * format!("1e{exponent}").parse::<f64>().unwrap_or(f64::NAN),
            None => self.nanos as f64 / 1e9,
        }
    }
}

fn raised(number: i64, exponent: i32) -> Option<i64> {
    number.checked_mul(10_i64.checked_pow(u32::try_from(exponent).ok()?)?)
}

/// What Go keeps in 64 bits: what has surely no more than 18 digits.
fn short(whole: &str, fraction: &str, shift: u32, exponent: i32) -> Option<(i64, i32)> {
    let length = |text: &str| i32::try_from(text.len()).unwrap_or(i32::MAX);
    let (digits, places) = (length(whole), length(fraction));
    let room = if shift == 0 {
        18 - digits - places
    } else if places == 0 {
        15 - digits - i32::try_from(shift).ok()? * 3 / 10 - 1
    } else {
        -1
    };
    let exponent = exponent - places;
    if room < 0 || exponent < -9 {
        return None;
    }
    let number: i64 = format!("0{whole}{fraction}").parse().ok()?;
    Some((number.checked_mul(1_i64 << shift)?, exponent))
}

/// A binary exponent and a decimal one.
fn suffix_of(suffix: &str) -> Option<(u32, i32)> {
    let decimal = |exponent| Some((0, exponent));
    let binary = |shift| Some((shift, 0));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        other => decimal(other.strip_prefix(['e', 'E'])?.parse().ok()?),
    }
}

/// The number in billionths, away from zero where it is finer, and no larger than there are.
fn scaled(whole: &str, fraction: &str, multiplier: i128, exponent: i32) -> Option<i128> {
    /// 2^63 - 1, which Go caps quantities with binary suffixes and others at.
    const LARGEST: i128 = (i64::MAX as i128) * NANOS;
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let shift = i64::from(exponent) - i64::try_from(fraction.len()).ok()? + 9;
    if digits.is_empty() {
        return Some(0);
    }
    if i64::try_from(digits.len()).ok()? + shift > 36 {
        return Some(LARGEST);
    }
    let keep = usize::try_from(i64::try_from(digits.len()).ok()?.min(36)).ok()?;
    let (kept, lost) = digits.split_at(keep);
    let shift = shift + i64::try_from(lost.len()).ok()?;
    let mut number = kept.parse::<i128>().ok()?;
    let mut inexact = lost.bytes().any(|byte| byte != b'0');
    number = number.checked_mul(multiplier).unwrap_or(i128::MAX);
    if shift >= 0 {
        let power = 10_i128.checked_pow(u32::try_from(shift).ok()?);
        number = power.and_then(|power| number.checked_mul(power)).unwrap_or(i128::MAX);
    } else {
        match 10_i128.checked_pow(u32::try_from(-shift).ok()?) {
            Some(power) => {
                inexact |= number % power != 0;
                number /= power;
            }
            None => (number, inexact) = (0, true),
        }
    }
    if inexact {
        number += 1;
    }
    Some(number.min(LARGEST))
}
