//! YAML, with bounds on what a small text may blow up to.

use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::Value;
use serde_saphyr::Error;
use serde_saphyr::options::DuplicateKeyPolicy;

use super::{Decoded, value};

/// How deep YAML may nest: a level costs the parser some 20 KiB of stack without optimization.
const DEPTH_LIMIT: usize = 40;

struct Document(Value);

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        // duplicates are the parser's to find: it knows their lines
        value::read(reader, &mut Vec::new()).map(Self)
    }
}

/// Decodes one document; an empty text is null.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "yaml: invalid leading UTF-8 octet".to_owned())?;
    if text.trim().is_empty() {
        return Ok(Decoded {
            value: Value::Null,
            duplicates: Vec::new(),
        });
    }
    let mut duplicates = Vec::new();
    let mut parsed = parse(text, DuplicateKeyPolicy::Error);
    if let Err(error) = &parsed
        && let Error::DuplicateMappingKey { key, location } = error.without_snippet()
    {
        let key = super::super::quote::go_quote(key.as_deref().unwrap_or_default());
        duplicates.push(format!("line {}: key {key} already set in map", location.line()));
        parsed = parse(text, DuplicateKeyPolicy::LastWins);
    }
    let Document(value) = parsed.map_err(|error| format!("yaml: {}", error.without_snippet()))?;
    Ok(Decoded { value, duplicates })
}

fn parse(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Document, Error> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_LIMIT,
            max_documents: 1,
            max_nodes: 250_000,
            max_total_scalar_bytes: 16 << 20,
            max_recorded_anchor_bytes: 4 << 20,
            max_aliases: 1_000,
            max_anchors: 1_000,
        },
        duplicate_keys: duplicate_keys,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options)
}
