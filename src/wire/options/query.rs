//! Query strings as Go reads them.

use crate::wire::quote::parse_int;
use crate::wire::status::Status;

/// The parameters of a query string, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Parses what follows the question mark. Malformed pairs are left out, as Go's `url.URL.Query` does.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        let pairs = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((unescape(key)?, unescape(value)?))
        });
        Self { pairs: pairs.collect() }
    }

    /// The first value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    /// Every value of a parameter.
    pub fn all<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        let matching = self.pairs.iter().filter(move |(own, _)| own == key);
        matching.map(|(_, value)| value.as_str())
    }

    /// The first value of a parameter, or the empty text.
    pub fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }

    /// A parameter is true unless it is absent, `0` or `false` in any case; `?watch` is true.
    pub fn flag(&self, key: &str) -> bool {
        self.optional_flag(key).unwrap_or(false)
    }

    /// Like [`Query::flag`], with `None` for an absent parameter.
    pub fn optional_flag(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// The integer of a parameter.
    ///
    /// # Errors
    /// 400 with Go's own text.
    pub fn integer(&self, key: &str) -> Result<Option<i64>, Status> {
        self.get(key).map(parse_int).transpose().map_err(Status::bad_request)
    }
}

/// Decodes `+` and `%xx` (Go's `url.QueryUnescape`); `None` where an escape is malformed.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => out.push(other),
        }
    }
    Some(String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}
