use super::*;

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

fn get(accept: &str) -> Result<(Format, Shape), u16> {
    let found = representation(Some(accept), false, false, false);
    found
        .map(|found| (found.format, found.shape))
        .map_err(|status| status.code)
}

#[test]
fn clauses_are_walked_in_order() {
    let object = |format| Ok((format, Shape::Object));
    for (accept, expected) in [
        ("", object(Format::Json)),
        ("*/*", object(Format::Json)),
        ("*", object(Format::Json)),
        ("application/*", object(Format::Json)),
        ("application/yaml", object(Format::Yaml)),
        ("text/html, */*", object(Format::Json)),
        ("*/*, application/yaml", object(Format::Yaml)),
        ("application/json;q=0.1,application/yaml", object(Format::Yaml)),
        (
            "application/vnd.kubernetes.protobuf,application/json",
            object(Format::Json),
        ),
        ("application/vnd.kubernetes.protobuf", Err(406)),
        ("application/cbor", Err(406)),
        ("text/html", Err(406)),
        ("application/JSON", Err(406)),
        ("application/json;stream=watch", object(Format::Json)),
        ("application/json;stream=foo", Err(406)),
        ("application/yaml;stream=watch", Err(406)),
        ("application/json;unknown=1;sv=v1", object(Format::Json)),
        ("application/json;sv=v2", Err(406)),
        ("application/json;g=x", Err(406)),
        ("a/b/c,/,;,=", Err(406)),
    ] {
        assert_eq!(get(accept), expected, "{accept}");
    }
    assert_eq!(representation(None, false, false, false), Ok(Representation::JSON));
}

#[test]
fn conversions_are_found() {
    assert_eq!(get(TABLE), Ok((Format::Json, Shape::Table)));
    assert_eq!(
        get("application/yaml;g=meta.k8s.io;v=v1;as=Table"),
        Ok((Format::Yaml, Shape::Table))
    );
    assert_eq!(get("application/json;as=Table;v=v2;g=meta.k8s.io"), Err(406));
    assert_eq!(
        get("application/json;as=Table;v=v2;g=meta.k8s.io,application/json"),
        Ok((Format::Json, Shape::Object))
    );
    let garbage_collector = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                             application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";
    assert_eq!(get(garbage_collector), Ok((Format::Protobuf, Shape::Partial)));
    let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1beta1";
    let found = representation(Some(list), false, false, false).expect("a list");
    assert_eq!(
        (found.shape, found.meta_version),
        (Shape::PartialList, "meta.k8s.io/v1beta1")
    );
    let kubectl = format!("{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json");
    assert_eq!(get(&kubectl), Ok((Format::Json, Shape::Table)));
}

#[test]
fn refusals_are_told_in_kubernetes_words() {
    let message = |accept, watching, named| {
        representation(Some(accept), false, watching, named)
            .expect_err("406")
            .message
    };
    assert_eq!(
        message("text/html", false, false),
        "only the following media types are accepted: application/json, application/yaml, \
         application/vnd.kubernetes.protobuf"
    );
    assert_eq!(
        message("application/yaml", true, false),
        "only the following media types are accepted: application/json;stream=watch, \
         application/vnd.kubernetes.protobuf;stream=watch"
    );
    let list = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    assert!(message(list, false, true).starts_with("you requested PartialObjectMetadataList, but"));
    assert!(message(list, true, false).starts_with("you requested PartialObjectMetadataList, but"));
    assert_eq!(
        Representation::JSON.mismatch("Organization", true).message,
        "you requested PartialObjectMetadata, but the requested object is a list (*OrganizationList)"
    );
}

#[test]
fn errors_are_never_converted() {
    assert_eq!(for_status(Some(TABLE)).pretty, Some(true));
    assert_eq!(for_status(Some("text/html")).pretty, Some(true));
    assert_eq!(for_status(Some("application/yaml")).format, Format::Yaml);
    assert_eq!(for_status(None), Representation::JSON);
    let both = format!("{TABLE},application/json");
    assert_eq!(for_status(Some(&both)), Representation::JSON);
}

#[test]
fn people_get_indented_json() {
    for (parameter, agent, expected) in [
        (None, None, false),
        (None, Some("curl/8"), true),
        (Some(""), Some("Wget/1"), true),
        (None, Some("Mozilla/5.0 (X11)"), true),
        (Some("false"), Some("curl/8"), false),
        (Some("maybe"), Some("curl/8"), false),
        (Some("T"), None, true),
        (Some("1"), None, true),
        (Some("yes"), None, false),
    ] {
        assert_eq!(pretty(parameter, agent), expected, "{parameter:?} {agent:?}");
    }
    let asked = representation(Some("application/json;pretty=1"), false, false, false).expect("json");
    assert_eq!(asked.pretty, Some(true));
    assert!(pretty_for(&Query::parse("pretty=true"), None));
}

#[test]
fn bodies_are_told_apart() {
    for (content_type, expected) in [
        (None, Ok(Format::Json)),
        (Some(""), Ok(Format::Json)),
        (Some("application/json; charset=utf-8"), Ok(Format::Json)),
        (Some("application/JSON"), Ok(Format::Json)),
        (Some("application/yaml"), Ok(Format::Yaml)),
        (Some("text/plain"), Err(415)),
        (Some("application/cbor"), Err(415)),
        (Some("application/json; x"), Err(415)),
        (Some("bogus;;"), Err(415)),
    ] {
        assert_eq!(
            request_format(content_type).map_err(|status| status.code),
            expected,
            "{content_type:?}"
        );
    }
    assert_eq!(
        request_format(Some("text/plain")).expect_err("415").message,
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf"
    );
}

#[test]
fn patches_are_told_apart() {
    assert_eq!(
        PatchType::of(Some("application/json-patch+json"), false),
        Ok(PatchType::Json)
    );
    assert_eq!(
        PatchType::of(Some("application/merge-patch+json;x=y"), false),
        Ok(PatchType::Merge)
    );
    assert_eq!(
        PatchType::of(Some("application/apply-patch+yaml"), false),
        Ok(PatchType::Apply)
    );
    for refused in [
        None,
        Some(""),
        Some("application/json"),
        Some("application/strategic-merge-patch+json"),
        Some("Application/merge-patch+json"),
    ] {
        let status = PatchType::of(refused, false).expect_err("415");
        assert_eq!(status.code, 415);
        assert_eq!(
            status.message,
            "the body of the request was in an unknown format - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        );
    }
}

#[test]
fn compression_is_for_who_can_read_it() {
    assert!(accepts_gzip(Some("deflate, gzip")));
    assert!(!accepts_gzip(Some("gzip;q=1")));
    assert!(!accepts_gzip(None));
}

/// `Accept` may be as long as all headers together, and is read of anybody.
#[test]
fn clauses_without_end_are_not_looked_at() {
    let few = format!("{}application/yaml", "a/b,".repeat(63));
    assert_eq!(get(&few), Ok((Format::Yaml, Shape::Object)));
    let many = format!("{}{}application/yaml", "*/b,".repeat(130_000), "a/b,".repeat(130_000));
    assert_eq!(get(&many), Err(406));
}
