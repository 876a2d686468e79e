//! An expression as the parser's crate reads it right: it takes `!!x` for `!x` and `--x` for `-x`, and knows no string in three
//! quotes. Each of these is written in another way. Where brackets or strings are not closed, it tries one way out after the other,
//! twice as long with each such place: such a text does not get there.

/// What stands before an operand, so that a `-` behind it has no left side.
const BEFORE: &str = "([{,:?<>=&|!+-*/%";

/// The same expression, without what is read wrong.
///
/// # Errors
/// A bracket or a string is not closed, or something is closed that is not open.
pub(super) fn plain(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut open = Vec::new();
    let mut rest = source;
    while let Some(character) = rest.chars().next() {
        if rest.starts_with("//") {
            let length = rest.find('\n').unwrap_or(rest.len());
            out.push_str(&rest[..length]);
            rest = &rest[length..];
            continue;
        }
        if let Some((literal, length)) = string(rest, &out)? {
            out.push_str(&literal);
            rest = &rest[length..];
            continue;
        }
        match character {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(character) => {
                return Err(format!("Syntax error: unexpected '{character}'"));
            }
            _ => {}
        }
        let sign = match character {
            '!' if !rest.starts_with("!=") => true,
            '-' => is_before_operand(&out),
            _ => false,
        };
        if !sign {
            out.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        }
        let mut odd = false;
        while let Some(after) = rest.strip_prefix(character).filter(|_| !rest.starts_with("!=")) {
            odd = !odd;
            rest = after.trim_start();
        }
        // Whatever stood before stays apart from what comes now.
        out.push(if odd { character } else { ' ' });
    }
    match open.pop() {
        None => Ok(out),
        Some(missing) => Err(format!("Syntax error: missing '{missing}'")),
    }
}

fn is_before_operand(before: &str) -> bool {
    let before = before.trim_end();
    let word = before.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next();
    before.chars().next_back().is_none_or(|last| BEFORE.contains(last)) || word == Some("in")
}

/// The string that `rest` begins with, and how long it was.
fn string(rest: &str, before: &str) -> Result<Option<(String, usize)>, String> {
    // Behind two letters at most: this is asked at every place, so it must not look further.
    let Some(prefix) = rest.bytes().take(3).position(|byte| matches!(byte, b'\'' | b'"')) else {
        return Ok(None);
    };
    let (letters, quoted) = rest.split_at(prefix);
    let named = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    if !letters.chars().all(|c| "rRbB".contains(c)) || named && !letters.is_empty() {
        return Ok(None);
    }
    let raw = letters.contains(['r', 'R']);
    let quote = &quoted[..1];
    let three = quote.repeat(3);
    let open = if quoted.starts_with(&three) {
        three.as_str()
    } else {
        quote
    };
    let inside = &quoted[open.len()..];
    let mut at = 0;
    let mut escaped = false;
    while escaped || !inside[at..].starts_with(open) {
        let Some(character) = inside[at..].chars().next() else {
            return Err(format!("Syntax error: a string that begins with {open} has no end"));
        };
        at += character.len_utf8();
        escaped = character == '\\' && !escaped && !raw;
    }
    let length = prefix + at + 2 * open.len();
    if open == quote {
        return Ok(Some((rest[..length].to_owned(), length)));
    }
    let mut literal: String = letters.chars().filter(|c| !"rR".contains(*c)).collect();
    literal.push('"');
    let mut escaped = false;
    for character in inside[..at].chars() {
        match character {
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '"' if !escaped => literal.push_str("\\\""),
            '\\' if raw => literal.push_str("\\\\"),
            other => literal.push(other),
        }
        escaped = character == '\\' && !escaped && !raw;
    }
    literal.push('"');
    Ok(Some((literal, length)))
}

#[test]
fn what_is_read_wrong_is_written_in_another_way() {
    for (source, wanted) in [
        ("!!a && !b", " a && !b"),
        ("! ! !a", "!a"),
        ("a != b", "a != b"),
        ("--1 - -2", " 1 - -2"),
        ("a--1", "a--1"),
        ("x in --y", "x in  y"),
        ("'!!--' + r'\\'", "'!!--' + r'\\'"),
        ("'''a'b\"c\n'''", "\"a'b\\\"c\\n\""),
        ("r\"\"\"a\\d\"\"\"", "\"a\\\\d\""),
        ("b'''x'''", "b\"x\""),
        ("'a\\'b'", "'a\\'b'"),
        ("or'x'", "or'x'"),
        ("a // it's (\n&& !!b", "a // it's (\n&&  b"),
        ("'(' + \"]\"", "'(' + \"]\""),
    ] {
        assert_eq!(plain(source).as_deref(), Ok(wanted), "{source}");
    }
}

#[test]
fn what_is_not_closed_is_refused() {
    for source in [
        "(a",
        "a)",
        "[a}",
        "{a",
        "a]",
        "'!!a",
        "\"\"\"a\"\"",
        "url(\"a)",
        "'a\\'",
    ] {
        let why = plain(source).unwrap_err();
        assert!(why.starts_with("Syntax error: "), "{source}: {why}");
    }
}
