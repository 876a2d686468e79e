//! Selectors: what is understood is written in one way, which means the same.

use bulward::wire::selector::{FieldSelector, LabelSelector};

pub(super) fn target(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let labels = LabelSelector::parse(&text);
    match &labels {
        Ok(selector) => {
            let written = selector.to_string();
            let again = LabelSelector::parse(&written).unwrap_or_else(|why| panic!("{text:?} as {written:?}: {why}"));
            assert_eq!(&again, selector, "{text:?} as {written:?}");
            // Of thousands the first ones.
            for requirement in selector.requirements().iter().take(40) {
                assert!(
                    requirement.values.is_sorted() && !requirement.key.is_empty(),
                    "{requirement:?}"
                );
                // A label that the requirement names, another one, none.
                let own = requirement.values.first().map(String::as_str);
                for label in [own, Some("no-such-value"), Some(""), None] {
                    let alone = LabelSelector::parse(&requirement.to_string()).expect("a part");
                    let lookup = |key: &str| label.filter(|_| key == requirement.key);
                    assert_eq!(alone.matches(lookup), requirement.matches(label), "{requirement:?}");
                }
            }
            // A conjunction: it selects what each part selects.
            let lookup = |key: &str| key.len().is_multiple_of(2).then_some("x");
            let parts = selector.requirements().iter().all(|one| one.matches(lookup(&one.key)));
            assert_eq!(selector.matches(lookup), parts, "{text:?}");
        }
        Err(why) => assert!(!why.is_empty()),
    }
    let fields = FieldSelector::parse(&text);
    match &fields {
        Ok(selector) => {
            let written = selector.to_string();
            let again = FieldSelector::parse(&written).unwrap_or_else(|why| panic!("{text:?} as {written:?}: {why}"));
            assert!(again.terms().len() == selector.terms().len(), "{text:?} as {written:?}");
            assert_eq!(again.to_string(), written, "{text:?}");
            for value in ["", "x", "acme"] {
                assert_eq!(
                    again.matches(|_| Some(value)),
                    selector.matches(|_| Some(value)),
                    "{text:?}"
                );
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
    labels.is_ok() || fields.is_ok()
}
