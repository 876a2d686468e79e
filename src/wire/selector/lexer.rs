//! The tokens of a label selector (k8s.io/apimachinery pkg/labels/selector.go Lexer).

/// What a piece of a label selector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    End,
    ClosePar,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    OpenPar,
}

/// Splits `text` into tokens and their literals. The last token is [`Token::End`].
pub(super) fn scan(text: &str) -> Vec<(Token, &str)> {
    let mut tokens = Vec::new();
    // the original swallows a NUL byte after a token, and reads any other one as the end of the text
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let (token, length) = next(rest);
        tokens.push((token, &rest[..length]));
        if token == Token::End {
            return tokens;
        }
        rest = &rest[length..];
        rest = rest.strip_prefix('\0').unwrap_or(rest);
    }
}

/// The first token of `rest` and its length in bytes.
fn next(rest: &str) -> (Token, usize) {
    let bytes = rest.as_bytes();
    match (bytes.first(), bytes.get(1)) {
        (None | Some(0), _) => (Token::End, 0),
        (Some(b'='), Some(b'=')) => (Token::DoubleEquals, 2),
        (Some(b'='), _) => (Token::Equals, 1),
        (Some(b'!'), Some(b'=')) => (Token::NotEquals, 2),
        (Some(b'!'), _) => (Token::Not, 1),
        (Some(b'('), _) => (Token::OpenPar, 1),
        (Some(b')'), _) => (Token::ClosePar, 1),
        (Some(b','), _) => (Token::Comma, 1),
        (Some(b'>'), _) => (Token::Greater, 1),
        (Some(b'<'), _) => (Token::Less, 1),
        _ => {
            let ends = |c: char| {
                matches!(
                    c,
                    '=' | '!' | '(' | ')' | ',' | '>' | '<' | ' ' | '\t' | '\r' | '\n' | '\0'
                )
            };
            let length = rest.find(ends).unwrap_or(rest.len());
            let token = match &rest[..length] {
                "in" => Token::In,
                "notin" => Token::NotIn,
                _ => Token::Identifier,
            };
            (token, length)
        }
    }
}
