//! Which names are names (k8s.io/apimachinery pkg/api/validate/content).

const LABEL_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FORMAT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const HTTP_PATH_FORMAT: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";
const KEY_FORMAT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// What is wrong with a DNS-1123 label of at most 63 bytes, in Kubernetes' words.
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut errors = longer_than(63, value);
    if !is_label(value) {
        if is_subdomain(value) {
            errors.push("must not contain dots".to_owned());
        } else {
            let text = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                        start and end with an alphanumeric character";
            errors.push(regex_error(text, LABEL_FORMAT, &["my-name", "123-abc"]));
        }
    }
    errors
}

/// What is wrong with a DNS-1035 label of at most 63 bytes, in Kubernetes' words.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut errors = longer_than(63, value);
    if !is_label(value) || !value.starts_with(|c: char| c.is_ascii_lowercase()) {
        let text = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                    character, and end with an alphanumeric character";
        errors.push(regex_error(text, "[a-z]([-a-z0-9]*[a-z0-9])?", &["my-name", "abc-123"]));
    }
    errors
}

/// The rule of names that are DNS-1035 labels, or of the prefix of a generated one.
pub fn name_is_dns1035_label(name: &str, prefix: bool) -> Vec<String> {
    if prefix {
        dns1035_label(&mask_trailing_dash(name))
    } else {
        dns1035_label(name)
    }
}

/// What is wrong with a DNS-1123 subdomain of at most 253 bytes, in Kubernetes' words.
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = longer_than(253, value);
    if !is_subdomain(value) {
        let text = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                    must start and end with an alphanumeric character";
        errors.push(regex_error(text, SUBDOMAIN_FORMAT, &["example.com"]));
    }
    errors
}

/// What is wrong with a label key, an annotation key or a finalizer: a name with an optional DNS prefix.
pub fn qualified_name(value: &str) -> Vec<String> {
    let text = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
                character";
    let rule = regex_error(text, KEY_FORMAT, &["MyName", "my.name", "123-abc"]);
    let mut errors = Vec::new();
    let parts: Vec<&str> = value.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                let wrong = dns1123_subdomain(prefix);
                errors.extend(wrong.into_iter().map(|text| format!("prefix part {text}")));
            }
            name
        }
        _ => {
            let hint = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {rule}{hint}")];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else {
        errors.extend(
            longer_than(63, name)
                .into_iter()
                .map(|text| format!("name part {text}")),
        );
    }
    if !is_key(name) {
        errors.push(format!("name part {rule}"));
    }
    errors
}

/// What is wrong with a path behind a DNS subdomain (`example.com/any/path`), and with which part of it; both empty ones and those
/// without a slash are no such path (k8s.io/apimachinery pkg/util/validation IsDomainPrefixedPath).
pub fn domain_prefixed_path(value: &str) -> Vec<(&str, String)> {
    let parts = value
        .split_once('/')
        .filter(|(host, path)| !host.is_empty() && !path.is_empty());
    let Some((host, path)) = parts else {
        let text = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        return vec![(value, text.to_owned())];
    };
    let mut errors: Vec<_> = dns1123_subdomain(host).into_iter().map(|text| (host, text)).collect();
    let may = |c: char| c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:".contains(c);
    if !path.chars().all(may) {
        errors.push((path, regex_error("Invalid path", HTTP_PATH_FORMAT, &[])));
    }
    errors
}

/// What is wrong with a label value of at most 63 bytes; the empty one is fine.
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = longer_than(63, value);
    if !value.is_empty() && !is_key(value) {
        let text = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                    must start and end with an alphanumeric character";
        let format = format!("({KEY_FORMAT})?");
        errors.push(regex_error(text, &format, &["MyValue", "my_value", "12345"]));
    }
    errors
}

/// What is wrong with a name that becomes one segment of a path.
pub fn path_segment(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    let found = ['/', '%'].into_iter().filter(|c| name.contains(*c));
    found.map(|c| format!("may not contain '{c}'")).collect()
}

/// The [`NameRule`] of kinds without one of their own: the prefix of a generated name may well be `.`.
pub fn name_is_path_segment(name: &str, prefix: bool) -> Vec<String> {
    match (prefix, name) {
        (true, "." | "..") => Vec::new(),
        _ => path_segment(name),
    }
}

/// A name rule: what is wrong with a name, or, where `true` is given, with the prefix of a generated one.
pub type NameRule = fn(&str, bool) -> Vec<String>;

/// The [`NameRule`] of CustomResources and most kinds: a DNS-1123 subdomain.
pub fn name_is_dns_subdomain(name: &str, prefix: bool) -> Vec<String> {
    if prefix {
        dns1123_subdomain(&mask_trailing_dash(name))
    } else {
        dns1123_subdomain(name)
    }
}

/// The [`NameRule`] of namespaces and what is named like them: a DNS-1123 label.
pub fn name_is_dns_label(name: &str, prefix: bool) -> Vec<String> {
    if prefix {
        dns1123_label(&mask_trailing_dash(name))
    } else {
        dns1123_label(name)
    }
}

/// A generated name's prefix may end in a dash, as a suffix follows. Cuts two bytes like the original.
fn mask_trailing_dash(name: &str) -> String {
    match name.len().checked_sub(2).and_then(|end| name.get(..end)) {
        Some(head) if name.ends_with('-') => format!("{head}a"),
        _ => name.to_owned(),
    }
}

fn longer_than(limit: usize, value: &str) -> Vec<String> {
    if value.len() > limit {
        vec![format!("must be no more than {limit} bytes")]
    } else {
        Vec::new()
    }
}

fn regex_error(text: &str, format: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{text} (regex used for validation is '{format}')");
    }
    let quoted: Vec<String> = examples.iter().map(|one| format!("'{one}', ")).collect();
    format!(
        "{text} (e.g. {}regex used for validation is '{format}')",
        quoted.join(" or ")
    )
}

fn is_label(value: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    framed(value, inner, |byte| inner(byte) || byte == b'-')
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_key(value: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_alphanumeric();
    framed(value, edge, |byte| edge(byte) || matches!(byte, b'-' | b'_' | b'.'))
}

fn framed(value: &str, edge: impl Fn(u8) -> bool, inner: impl Fn(u8) -> bool) -> bool {
    match value.as_bytes() {
        [] => false,
        [only] => edge(*only),
        [first, middle @ .., last] => edge(*first) && edge(*last) && middle.iter().all(|byte| inner(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_kubernetes_own() {
        assert_eq!(
            dns1123_label("Aé"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
              end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(dns1123_label("a.b"), ["must not contain dots"]);
        assert_eq!(
            dns1123_subdomain("a..b"),
            [
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
              start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
              '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
        assert_eq!(dns1123_subdomain(&"a".repeat(254)), ["must be no more than 253 bytes"]);
        assert_eq!(
            label_value("-"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
              start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
              validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
        assert_eq!(path_segment("a/%"), ["may not contain '/'", "may not contain '%'"]);
        assert_eq!(path_segment(".."), ["may not be '..'"]);
    }

    #[test]
    fn qualified_names() {
        assert!(qualified_name("kubernetes.io/Some_name.x").is_empty());
        assert!(qualified_name("a").is_empty());
        assert_eq!(qualified_name("/a"), ["prefix part must be non-empty"]);
        assert_eq!(qualified_name("")[0], "name part must be non-empty");
        assert_eq!(qualified_name("").len(), 2);
        assert_eq!(
            qualified_name(&"a".repeat(64)),
            ["name part must be no more than 63 bytes"]
        );
        assert!(qualified_name("a/b/c")[0].starts_with("a valid label key must consist of alphanumeric"));
        assert!(qualified_name("A.b/c")[0].starts_with("prefix part a lowercase RFC 1123 subdomain"));
    }

    #[test]
    fn prefixes_may_end_in_a_dash() {
        assert!(name_is_dns_subdomain("team-", true).is_empty());
        assert!(!name_is_dns_subdomain("team-", false).is_empty());
        assert!(!name_is_dns_label("-", true).is_empty());
        assert!(!name_is_dns_label("é-", true).is_empty());
    }
}
