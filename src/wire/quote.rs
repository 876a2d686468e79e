//! Strings as Go's `%q` prints them, and the error texts of Go's number parsers.

use std::fmt::Write as _;

/// Quotes `text` as Go's `strconv.Quote` does.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{07}' => out.push_str("\\a"),
            '\u{08}' => out.push_str("\\b"),
            '\u{0c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{0b}' => out.push_str("\\v"),
            c if is_print(c) => out.push(c),
            // writing into a String cannot fail
            c if u32::from(c) < 0x80 => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x1_0000 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Whether Go's `unicode.IsPrint` holds: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn is_print(c: char) -> bool {
    match c {
        ' '..='~' => true,
        '\0'..='\u{9f}' => false,
        // Rust escapes the same characters, but combining marks only at the start of a string
        _ => !format!("a{c}").escape_debug().to_string().contains("\\u{"),
    }
}

/// Parses a signed integer as Go's `strconv.ParseInt(text, 10, 64)` does.
///
/// # Errors
/// The text of Go's error.
pub fn parse_int(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = text.parse::<i64>().ok();
    number.ok_or_else(|| number_error("ParseInt", text, digits))
}

/// Parses an unsigned integer as Go's `strconv.ParseUint(text, 10, 64)` does: without a sign.
///
/// # Errors
/// The text of Go's error.
pub fn parse_uint(text: &str) -> Result<u64, String> {
    let number = text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    number.ok_or_else(|| number_error("ParseUint", text, text))
}

fn number_error(function: &str, text: &str, digits: &str) -> String {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let why = if all_digits {
        "value out of range"
    } else {
        "invalid syntax"
    };
    format!("strconv.{function}: parsing {}: {why}", go_quote(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(go_quote("it's \"ö\"\\"), r#""it's \"ö\"\\""#);
        assert_eq!(
            go_quote("\0\u{7f}\u{85}\u{200b}\u{1f600}\u{e0001}"),
            r#""\x00\x7f\u0085\u200b😀\U000e0001""#
        );
        assert_eq!(go_quote("e\u{301}\n\t"), "\"e\u{301}\\n\\t\"");
        assert_eq!(go_quote("\u{301}"), "\"\u{301}\"");
    }

    #[test]
    fn numbers_fail_in_gos_words() {
        assert_eq!(parse_int("-12"), Ok(-12));
        assert_eq!(parse_int("+12"), Ok(12));
        assert_eq!(
            parse_int("abc").unwrap_err(),
            r#"strconv.ParseInt: parsing "abc": invalid syntax"#
        );
        assert_eq!(
            parse_int("").unwrap_err(),
            r#"strconv.ParseInt: parsing "": invalid syntax"#
        );
        let huge = "99999999999999999999";
        assert_eq!(
            parse_int(huge).unwrap_err(),
            format!("strconv.ParseInt: parsing \"{huge}\": value out of range")
        );
        assert_eq!(
            parse_uint("+1").unwrap_err(),
            r#"strconv.ParseUint: parsing "+1": invalid syntax"#
        );
        assert_eq!(parse_uint("7"), Ok(7));
    }
}
