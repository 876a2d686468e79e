//! From Go's regular expressions (regexp/syntax) to Rust's. `\d`, `\w` and `\s` are ASCII there, `\Q..\E` quotes, braces that
//! count nothing are braces, and a class has no classes inside. What Go refuses is refused in its words.

use std::iter::Peekable;
use std::str::CharIndices;

/// The largest count of a repetition.
const MOST: u32 = 1_000;

struct Translation<'a> {
    pattern: &'a str,
    characters: Peekable<CharIndices<'a>>,
    out: String,
    /// Open groups.
    depth: usize,
    /// What a repetition would be about: nothing, something, or a repetition, which began there.
    last: Last,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Nothing,
    Something,
    Repetition(usize),
}

pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translation = Translation {
        pattern,
        characters: pattern.char_indices().peekable(),
        out: String::with_capacity(pattern.len() + 8),
        depth: 0,
        last: Last::Nothing,
    };
    while let Some((at, character)) = translation.characters.next() {
        translation.one(at, character)?;
    }
    if translation.depth > 0 {
        return Err(format!("missing closing ): `{pattern}`"));
    }
    Ok(translation.out)
}

impl Translation<'_> {
    fn one(&mut self, at: usize, character: char) -> Result<(), String> {
        let mut last = Last::Something;
        match character {
            '\\' => self.escape(at)?,
            '[' => self.class(at)?,
            '(' => {
                self.group(at)?;
                last = Last::Nothing;
            }
            ')' => {
                if self.depth == 0 {
                    return Err(format!("unexpected ): `{}`", self.pattern));
                }
                self.depth -= 1;
                self.out.push(')');
            }
            '|' => {
                self.out.push('|');
                last = Last::Nothing;
            }
            '*' | '+' | '?' => last = self.repetition(at, &character.to_string())?,
            '{' => match self.count(at)? {
                Some(count) => last = self.repetition(at, &count)?,
                None => self.out.push_str("\\{"),
            },
            '^' | '$' | '.' => self.out.push(character),
            other => self.literal(other),
        }
        self.last = last;
        Ok(())
    }

    fn literal(&mut self, character: char) {
        self.out.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    fn skip(&mut self, bytes: usize) {
        while self.characters.next_if(|(at, _)| *at < bytes).is_some() {}
    }

    /// Takes an operator, and the `?` behind it.
    fn repetition(&mut self, at: usize, operator: &str) -> Result<Last, String> {
        let mut end = at + operator.len();
        self.skip(end);
        let lazy = self.characters.next_if(|(_, next)| *next == '?').is_some();
        end += usize::from(lazy);
        match self.last {
            Last::Nothing => {
                return Err(format!(
                    "missing argument to repetition operator: `{}`",
                    &self.pattern[at..end]
                ));
            }
            Last::Repetition(before) => {
                let shown = &self.pattern[before..end];
                return Err(format!("invalid nested repetition operator: `{shown}`"));
            }
            Last::Something => {}
        }
        self.out.push_str(operator);
        if lazy {
            self.out.push('?');
        }
        Ok(Last::Repetition(at))
    }

    /// `{2}`, `{2,}` and `{2,5}`, if the brace opens such a one.
    fn count(&self, at: usize) -> Result<Option<String>, String> {
        let rest = &self.pattern[at..];
        let Some(end) = rest.find('}') else { return Ok(None) };
        let inside = &rest[1..end];
        let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
        let digits = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_digit())
                && (text.len() == 1 || !text.starts_with('0'))
        };
        if !digits(least) || !most.is_empty() && !digits(most) {
            return Ok(None);
        }
        let count = &rest[..=end];
        let number = |text: &str| text.parse::<u32>().ok().filter(|count| *count <= MOST);
        let low = number(least);
        let high = if most.is_empty() { low } else { number(most) };
        match (low, high) {
            (Some(low), Some(high)) if low <= high => Ok(Some(count.to_owned())),
            _ => Err(format!("invalid repeat count: `{count}`")),
        }
    }

    fn group(&mut self, at: usize) -> Result<(), String> {
        self.depth += 1;
        let rest = &self.pattern[at..];
        let Some(inside) = rest.strip_prefix("(?") else {
            self.out.push('(');
            return Ok(());
        };
        if inside.starts_with("P<") || inside.starts_with('<') {
            let name = rest.find('>').map(|end| &rest[..=end]);
            let word = |name: &&str| {
                let name = name.trim_start_matches("(?").trim_start_matches('P');
                let name = &name[1..name.len() - 1];
                !name.is_empty()
                    && name
                        .chars()
                        .all(|character| character.is_ascii_alphanumeric() || character == '_')
            };
            let name = name.ok_or_else(|| format!("invalid named capture: `{rest}`"))?;
            if !word(&name) {
                return Err(format!("invalid named capture: `{name}`"));
            }
            self.out.push_str(name);
            self.skip(at + name.len());
            return Ok(());
        }
        let flags = inside.find(|character: char| !"imsU-".contains(character));
        let end = flags.unwrap_or(inside.len());
        let dashes = inside[..end].matches('-').count();
        let closed = inside[end..].chars().next();
        let fine = dashes <= 1 && (dashes == 0 || !inside[..end].ends_with('-'));
        match closed {
            Some(':') if fine => {}
            Some(')') if fine && end > 0 => self.depth -= 1,
            Some(other) => {
                let shown = &rest[..2 + end + other.len_utf8()];
                return Err(format!("invalid or unsupported Perl syntax: `{shown}`"));
            }
            None => return Err(format!("missing closing ): `{}`", self.pattern)),
        }
        let whole = &rest[..2 + end + 1];
        self.out.push_str(whole);
        self.skip(at + whole.len());
        Ok(())
    }

    /// An escape outside of a class.
    fn escape(&mut self, at: usize) -> Result<(), String> {
        let Some((_, next)) = self.characters.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        match next {
            'A' => self.out.push_str("\\A"),
            'z' => self.out.push_str("\\z"),
            'b' => self.out.push_str("(?-u:\\b)"),
            'B' => self.out.push_str("\\B"),
            'Q' => {
                let from = at + 2;
                let rest = &self.pattern[from..];
                let quoted = rest.find("\\E").map_or(rest, |end| &rest[..end]);
                self.out.push_str(&regex::escape(quoted));
                self.skip((from + quoted.len() + 2).min(self.pattern.len()));
            }
            next => match set(next) {
                Some((negated, set)) => self.out.push_str(&format!("[{}{set}]", if negated { "^" } else { "" })),
                None => {
                    let escaped = self.character(at, next)?;
                    self.out.push_str(&escaped);
                }
            },
        }
        Ok(())
    }

    /// An escape that is a character, or a class of Unicode's.
    fn character(&mut self, at: usize, next: char) -> Result<String, String> {
        let wrong = |this: &Self, end: usize| {
            let end = (end..=this.pattern.len()).find(|end| this.pattern.is_char_boundary(*end));
            let shown = &this.pattern[at..end.unwrap_or(this.pattern.len())];
            Err(format!("invalid escape sequence: `{shown}`"))
        };
        let rest = &self.pattern[at + 1 + next.len_utf8()..];
        match next {
            'a' | 'f' | 'n' | 'r' | 't' | 'v' => Ok(format!("\\{next}")),
            'x' => {
                let (digits, length) = match rest.strip_prefix('{') {
                    Some(inside) => {
                        let end = inside.find('}').unwrap_or(0);
                        (&inside[..end], end + 2)
                    }
                    None => (rest.get(..2).unwrap_or_default(), 2),
                };
                match u32::from_str_radix(digits, 16).ok().and_then(char::from_u32) {
                    Some(_) => {
                        self.skip(at + 2 + length);
                        Ok(format!("\\x{{{digits}}}"))
                    }
                    None => wrong(self, at + 3),
                }
            }
            '0'..='7' => {
                let more = rest
                    .bytes()
                    .take(2)
                    .take_while(|byte| (b'0'..=b'7').contains(byte))
                    .count();
                if next != '0' && more == 0 {
                    return wrong(self, at + 2);
                }
                let digits = &self.pattern[at + 1..at + 2 + more];
                self.skip(at + 2 + more);
                let value = u32::from_str_radix(digits, 8).unwrap_or_default();
                Ok(format!("\\x{{{value:x}}}"))
            }
            'p' | 'P' => {
                let (name, length) = match rest.strip_prefix('{') {
                    Some(inside) => {
                        let end = inside.find('}').unwrap_or(0);
                        (&inside[..end], end + 2)
                    }
                    None => {
                        let length = rest.chars().next().map_or(0, char::len_utf8);
                        (&rest[..length], length)
                    }
                };
                self.skip(at + 2 + length);
                let (negated, name) = name
                    .strip_prefix('^')
                    .map_or((next == 'P', name), |name| (next != 'P', name));
                let name = if name == "Any" { "any" } else { name };
                let letter = if negated { 'P' } else { 'p' };
                if name.is_empty()
                    || !name
                        .chars()
                        .all(|character| character.is_ascii_alphanumeric() || character == '_')
                {
                    let shown = &self.pattern[at..(at + 2 + length).min(self.pattern.len())];
                    return Err(format!("invalid character class range: `{shown}`"));
                }
                Ok(format!("\\{letter}{{{name}}}"))
            }
            next if next.is_ascii_punctuation() => Ok(regex::escape(next.encode_utf8(&mut [0; 4]))),
            _ => wrong(self, at + 1 + next.len_utf8()),
        }
    }

    fn class(&mut self, start: usize) -> Result<(), String> {
        self.out.push('[');
        if self.characters.next_if(|(_, next)| *next == '^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let Some((at, character)) = self.characters.next() else {
                return Err(format!("missing closing ]: `{}`", &self.pattern[start..]));
            };
            let rest = &self.pattern[at..];
            match character {
                ']' if !first => break,
                '[' if rest.starts_with("[:") && rest.contains(":]") => {
                    let end = rest.find(":]").map_or(rest.len(), |end| end + 2);
                    let name = &rest[..end];
                    let plain = name
                        .trim_start_matches("[:")
                        .trim_start_matches('^')
                        .trim_end_matches(":]");
                    if !NAMED.contains(&plain) {
                        return Err(format!("invalid character class range: `{name}`"));
                    }
                    self.out.push_str(name);
                    self.skip(at + end);
                }
                '\\' if rest[1..].chars().next().and_then(set).is_some() => {
                    let (_, next) = self.characters.next().unwrap_or((at, 'd'));
                    if let Some((negated, set)) = set(next) {
                        self.out.push_str(&format!("[{}{set}]", if negated { "^" } else { "" }));
                    }
                }
                _ => self.range(start, at, character)?,
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// A character of a class, or a range of them.
    fn range(&mut self, start: usize, at: usize, character: char) -> Result<(), String> {
        let low = self.member(start, at, character)?;
        self.out.push_str(&low);
        let mut ahead = self.characters.clone();
        let dash = ahead.next().is_some_and(|(_, next)| next == '-');
        if !dash || ahead.next().is_none_or(|(_, next)| next == ']') {
            return Ok(());
        }
        self.characters.next();
        let Some((high_at, high)) = self.characters.next() else {
            return Err(format!("missing closing ]: `{}`", &self.pattern[start..]));
        };
        let member = self.member(start, high_at, high)?;
        let end = self.characters.peek().map_or(self.pattern.len(), |(at, _)| *at);
        let plain = character != '\\' && high != '\\';
        if plain && character > high {
            return Err(format!("invalid character class range: `{}`", &self.pattern[at..end]));
        }
        self.out.push('-');
        self.out.push_str(&member);
        Ok(())
    }

    fn member(&mut self, start: usize, at: usize, character: char) -> Result<String, String> {
        if character != '\\' {
            let mut shown = String::new();
            if "[]&~-^".contains(character) {
                shown.push('\\');
            }
            shown.push(character);
            return Ok(shown);
        }
        match self.characters.next() {
            Some((_, next)) => self.character(at, next),
            None => Err(format!("missing closing ]: `{}`", &self.pattern[start..])),
        }
    }
}

const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// What stands for several characters: whether it is negated, and which.
fn set(letter: char) -> Option<(bool, &'static str)> {
    let set = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        's' => "\\t\\n\\f\\r ",
        _ => return None,
    };
    Some((letter.is_ascii_uppercase(), set))
}

#[test]
fn what_differs_is_translated() {
    for (go, rust) in [
        ("^[a-z]+$", "^[a-z]+$"),
        ("\\d\\W", "[0-9][^0-9A-Za-z_]"),
        ("a{2,3}b{x}", "a{2,3}b\\{x\\}"),
        ("\\Qa.b\\Ec", "a\\.bc"),
        ("[[a&&b]", "[\\[a\\&\\&b]"),
        ("[\\w-]", "[[0-9A-Za-z_]\\-]"),
        ("(?P<n>b)(?i:c)", "(?P<n>b)(?i:c)"),
    ] {
        assert_eq!(translate(go).as_deref(), Ok(rust), "{go}");
    }
    for (go, why) in [
        ("(", "missing closing ): `(`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("\\y", "invalid escape sequence: `\\y`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
    ] {
        assert_eq!(translate(go), Err(why.to_owned()), "{go}");
    }
}
