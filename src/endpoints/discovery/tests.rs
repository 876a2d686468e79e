//! Tests of content negotiation.

use super::accept::{Choice, Format, choose};

const V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const V2BETA1: &str = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

fn json(aggregated: bool) -> Option<Choice> {
    Some(Choice {
        format: Format::Json,
        aggregated,
        pretty: false,
    })
}

#[test]
fn no_header_and_wildcards_mean_plain_json() {
    for header in [
        None,
        Some(""),
        Some("*/*"),
        Some("application/*"),
        Some("text/html, */*;q=0.1"),
    ] {
        assert_eq!(choose(header, true), json(false), "{header:?}");
    }
}

#[test]
fn the_first_known_form_wins() {
    assert_eq!(
        choose(Some(&format!("{V2},{V2BETA1},application/json")), true),
        json(true)
    );
    assert_eq!(choose(Some(&format!("{V2BETA1},application/json")), true), json(false));
    assert_eq!(choose(Some(&format!("application/json;q=0.9, {V2}")), true), json(true));
    let reordered = "application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io;profile=nopeer";
    assert_eq!(choose(Some(reordered), true), json(true));
}

#[test]
fn what_cannot_be_written_is_refused() {
    for header in [
        V2BETA1,
        "text/html",
        "nonsense",
        "application/json;as=Table;v=v1;g=meta.k8s.io",
    ] {
        assert_eq!(choose(Some(header), true), None, "{header}");
    }
    assert_eq!(choose(Some(V2), false), None, "only /apis has an aggregated form");
}

#[test]
fn protobuf_is_a_form_like_others() {
    let aggregated = "application/vnd.kubernetes.protobuf;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    for (header, wanted) in [
        ("application/vnd.kubernetes.protobuf,application/json", false),
        (aggregated, true),
    ] {
        let choice = choose(Some(header), true).expect("served");
        assert_eq!((choice.format, choice.aggregated), (Format::Protobuf, wanted));
    }
}

#[test]
fn yaml_and_pretty_are_media_types_too() {
    let yaml = choose(Some("application/yaml"), false).expect("yaml is served");
    assert_eq!(yaml.format, Format::Yaml);
    let pretty = choose(Some("application/json;pretty=1"), false).expect("json is served");
    assert!(pretty.pretty);
}
