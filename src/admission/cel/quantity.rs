//! Which quantities may be computed with.
//!
//! Kubernetes' are numbers below 2^63 with nine digits after the point at most; what goes beyond is made to fit (k8s.io/apimachinery
//! pkg/api/resource/quantity.go). The library's have any exponent, and overflow where two of them are brought to the same one: a
//! huge number would then be less than a small one. So what goes beyond is an error here, and the failure policy decides.

/// Digits before the point.
const WHOLE: i64 = 19;
/// Digits behind it.
const FRACTION: i64 = 9;

/// Whether the quantity that `text` means is one that can be compared with all others. What is no quantity is left to the library.
pub(super) fn fits(text: &str) -> bool {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '+' | '-'));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    // Powers of ten, and about as many of those of two, which move no digit behind the point.
    let (before, behind) = match suffix {
        "" => (0, 0),
        "n" => (-9, 9),
        "u" => (-6, 6),
        "m" => (-3, 3),
        "k" => (3, -3),
        "M" => (6, -6),
        "G" => (9, -9),
        "T" => (12, -12),
        "P" => (15, -15),
        "E" => (18, -18),
        "Ki" => (3, 0),
        "Mi" => (6, 0),
        "Gi" => (9, 0),
        "Ti" => (12, 0),
        "Pi" => (15, 0),
        "Ei" => (18, 0),
        other => match other.strip_prefix(['e', 'E']).map(str::parse::<i32>) {
            Some(Ok(exponent)) => (i64::from(exponent), -i64::from(exponent)),
            // An exponent that is too long even for this, or no quantity.
            Some(Err(_)) => return !other[1..].starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')),
            None => return true,
        },
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX >> 1);
    let whole = digits(whole.trim_start_matches(['+', '-', '0']));
    let fraction = digits(fraction.trim_end_matches('0'));
    whole + before <= WHOLE && fraction + behind <= FRACTION
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubernetes_can_hold_fits() {
        for text in [
            "0",
            "1",
            "-1.5",
            "+2",
            "1500m",
            "1.5Gi",
            "8Ei",
            "9E",
            "9223372036854775807",
            "1n",
            "0.000000001",
            "1e3",
            "1E-9",
            "12.50k",
            "1e18",
            "no quantity",
            "",
            "1e",
            "1ex",
            ".5",
            "5.",
            "1k1",
        ] {
            assert!(fits(text), "{text}");
        }
        for text in [
            "1e400",
            "1e-400",
            "1e2147483647",
            "0e99999999999",
            "1e-99999999999",
            "10E5000",
            "100000000000000000000",
            "10000E",
            "0.0000000001",
            "0.1n",
            "0.1234567890123456789Ei",
        ] {
            assert!(!fits(text), "{text}");
        }
    }
}
