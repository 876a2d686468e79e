//! Names that nobody may take: they become namespaces, and some namespaces are not for tenants.

/// Always reserved.
const BUILT_IN: [&str; 4] = ["default", "kube-*", "openshift-*", "bulward-*"];

/// Patterns of reserved namespace names; `*` at the end matches any rest.
#[derive(Clone, Debug)]
pub struct Reserved(Vec<String>);

impl Reserved {
    /// The built-in patterns and those of the administrator.
    pub fn new(patterns: &[String]) -> Self {
        let built_in = BUILT_IN.iter().map(ToString::to_string);
        Self(built_in.chain(patterns.iter().cloned()).collect())
    }

    /// The pattern that reserves `name`, if any.
    pub fn pattern(&self, name: &str) -> Option<&str> {
        let matches = |pattern: &&String| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern.as_str(),
        };
        self.0.iter().find(matches).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_and_own_patterns() {
        let reserved = Reserved::new(&["team-*".to_owned(), "exact".to_owned()]);
        for name in [
            "default",
            "kube-system",
            "openshift-x",
            "bulward-system",
            "team-a",
            "exact",
        ] {
            assert!(reserved.pattern(name).is_some(), "{name}");
        }
        for name in ["defaults", "kube", "exactly", "acme"] {
            assert_eq!(reserved.pattern(name), None, "{name}");
        }
    }
}
