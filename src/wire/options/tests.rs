use proptest::prelude::*;
use serde_json::json;

use super::*;

fn list(query: &str) -> Result<ListOptions, Status> {
    ListOptions::decode(&Query::parse(query))
}

fn message<T: std::fmt::Debug>(result: Result<T, Status>, code: u16) -> String {
    let status = result.expect_err("must be refused");
    assert_eq!(status.code, code, "{status}");
    status.message
}

#[test]
fn queries_are_read_as_go_does() {
    let query = Query::parse("a=1&a=2&b&c=%41+%2B&bad=%zz&semi;colon=1&=x&%c3%a9=%ff");
    assert_eq!(query.get("a"), Some("1"));
    assert_eq!(query.all("a").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(query.get("b"), Some(""));
    assert_eq!(query.get("c"), Some("A +"));
    assert_eq!(query.get("bad"), None);
    assert_eq!(query.get("é"), Some("\u{fffd}"));
    assert_eq!(query.get(""), Some("x"));
}

#[test]
fn flags_are_true_unless_they_deny() {
    let query = Query::parse("a&b=&c=maybe&d=0&e=False&f=FALSE&g=no");
    for key in ["a", "b", "c", "g"] {
        assert!(query.flag(key), "{key}");
    }
    for key in ["d", "e", "f", "absent"] {
        assert!(!query.flag(key), "{key}");
    }
    assert_eq!(query.optional_flag("absent"), None);
    assert_eq!(query.optional_flag("e"), Some(false));
}

#[test]
fn list_options_are_read() {
    let options = list(
        "labelSelector=a%3Db&fieldSelector=metadata.name%3Dx&limit=500&continue=tok&resourceVersion=&timeoutSeconds=7\
         &limit=1&unknown=1&allowWatchBookmarks=true",
    )
    .expect("valid");
    assert_eq!(options.label_selector.to_string(), "a=b");
    assert_eq!(options.field_selector.exact_name(), Some("x"));
    assert_eq!((options.limit, options.timeout_seconds), (500, Some(7)));
    assert_eq!(options.continue_token, "tok");
    assert!(options.allow_watch_bookmarks && !options.watch);
    assert_eq!(options.send_initial_events, None);
    assert_eq!(options.revision(), Ok(None));
}

#[test]
fn unreadable_parameters_are_bad_requests() {
    assert_eq!(
        message(list("limit=abc"), 400),
        r#"strconv.ParseInt: parsing "abc": invalid syntax"#
    );
    assert_eq!(
        message(list("timeoutSeconds="), 400),
        r#"strconv.ParseInt: parsing "": invalid syntax"#
    );
    assert_eq!(
        message(list("labelSelector=a%20b"), 400),
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    );
    assert_eq!(
        message(list("fieldSelector=a"), 400),
        "invalid selector: 'a'; can't understand 'a'"
    );
    let options = list("resourceVersion=garbage").expect("the storage refuses it");
    assert_eq!(
        message(options.revision(), 400),
        "invalid resource version: resourceVersion: Invalid value: \"garbage\": strconv.ParseUint: parsing \"garbage\": \
         invalid syntax"
    );
    assert_eq!(parse_resource_version("0"), Ok(0));
    assert_eq!(list("resourceVersion=0").expect("valid").revision(), Ok(Some(0)));
}

#[test]
fn lists_refuse_what_makes_no_sense() {
    let opening = "ListOptions.meta.k8s.io \"\" is invalid: ";
    for (query, text) in [
        (
            "resourceVersionMatch=Exact",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        (
            "resourceVersionMatch=Exact&resourceVersion=0",
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ),
        (
            "resourceVersionMatch=x&resourceVersion=1&continue=y",
            "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided, \
             resourceVersionMatch: Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\"]",
        ),
        (
            "sendInitialEvents=false",
            "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list",
        ),
    ] {
        assert_eq!(message(list(query), 422), format!("{opening}{text}"), "{query}");
    }
    assert!(list("resourceVersionMatch=Exact&resourceVersion=5").is_ok());
}

#[test]
fn watches_refuse_what_makes_no_sense() {
    let opening = "ListOptions.meta.k8s.io \"\" is invalid: ";
    for (query, text) in [
        (
            "watch&sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "watch=1&resourceVersionMatch=NotOlderThan",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
             provided",
        ),
        (
            "watch=1&resourceVersionMatch=Exact&sendInitialEvents=1",
            "[resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan, \
             resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]",
        ),
    ] {
        assert_eq!(message(list(query), 422), format!("{opening}{text}"), "{query}");
    }
}

#[test]
fn watches_from_nowhere_start_with_the_present_state() {
    for query in ["watch=true", "watch=true&resourceVersion=0"] {
        let options = list(query).expect("valid");
        assert_eq!(options.send_initial_events, Some(true), "{query}");
        assert_eq!(options.resource_version_match, Some(VersionMatch::NotOlderThan));
    }
    for query in [
        "watch=true&resourceVersion=5",
        "watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
        "",
    ] {
        assert_ne!(list(query).expect("valid").send_initial_events, Some(true), "{query}");
    }
}

#[test]
fn writes_validate_their_options() {
    let decode = |query: &str| CreateOptions::decode(&Query::parse(query));
    let options = decode("dryRun=All&dryRun=All&fieldManager=me&fieldValidation=Strict").expect("valid");
    assert!(options.dry_run);
    assert_eq!(
        (options.field_manager.as_str(), options.field_validation),
        ("me", FieldValidation::Strict)
    );
    assert_eq!(decode("").expect("valid").field_validation, FieldValidation::Warn);
    let opening = "CreateOptions.meta.k8s.io \"\" is invalid: ";
    for (query, text) in [
        (
            "dryRun=Some",
            "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        ("dryRun", "dryRun: Unsupported value: [\"\"]: supported values: \"All\""),
        (
            "fieldValidation=x",
            "fieldValidation: Unsupported value: \"x\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
        ),
        (
            "fieldManager=a%0A",
            "fieldManager: Invalid value: \"a\\n\": invalid character U+000A (at position 1)",
        ),
    ] {
        assert_eq!(message(decode(query), 422), format!("{opening}{text}"), "{query}");
    }
    let long = format!("fieldManager={}", "a".repeat(129));
    assert_eq!(
        message(decode(&long), 422),
        format!("{opening}fieldManager: Too long: may not be more than 128 bytes")
    );
    assert!(message(UpdateOptions::decode(&Query::parse("dryRun=x")), 422).starts_with("UpdateOptions.meta.k8s.io"));
}

#[test]
fn patches_validate_their_options() {
    let decode = |query: &str, apply| PatchOptions::decode(&Query::parse(query), apply);
    assert_eq!(
        message(decode("", true), 422),
        "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"
    );
    assert_eq!(
        message(decode("force=false", false), 422),
        "PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch"
    );
    assert!(decode("force=true&fieldManager=x", true).expect("valid").force);
    assert!(!decode("", false).expect("valid").force);
}

#[test]
fn managers_come_from_the_user_agent() {
    assert_eq!(manager_from_user_agent("kubectl/v1.32 (linux)"), "kubectl");
    assert_eq!(manager_from_user_agent("a\tb\u{200b}c"), "abc");
    assert_eq!(manager_from_user_agent(&"é".repeat(100)).len(), 128);
    assert_eq!(manager_from_user_agent(""), "");
}

#[test]
fn deletions_are_read_from_the_query() {
    let query = Query::parse("gracePeriodSeconds=3&propagationPolicy=Foreground&dryRun=All&uid=u&resourceVersion=5");
    let options = DeleteOptions::from_query(&query).expect("valid");
    assert_eq!(
        options,
        DeleteOptions {
            dry_run: true,
            propagation_policy: Some(Propagation::Foreground),
            orphan_dependents: None,
            grace_period_seconds: Some(3),
            preconditions: Preconditions {
                uid: Some("u".to_owned()),
                resource_version: Some("5".to_owned()),
            },
        }
    );
    let opening = "DeleteOptions.meta.k8s.io \"\" is invalid: ";
    for (query, text) in [
        (
            "propagationPolicy=Weird",
            "propagationPolicy: Unsupported value: \"Weird\": supported values: \"Foreground\", \"Background\", \
             \"Orphan\", \"nil\"",
        ),
        (
            "propagationPolicy=Orphan&orphanDependents=true",
            "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set",
        ),
    ] {
        let result = DeleteOptions::from_query(&Query::parse(query));
        assert_eq!(message(result, 422), format!("{opening}{text}"));
    }
}

#[test]
fn deletions_are_read_from_the_body() {
    let read = |body: serde_json::Value| DeleteOptions::from_body(&body);
    assert_eq!(read(json!({})), Ok(DeleteOptions::default()));
    for version in ["v1", "meta.k8s.io/v1", "apiserver.bulward.io/v1alpha1"] {
        let body = json!({"kind": "DeleteOptions", "apiVersion": version, "orphanDependents": false, "dryRun": ["All"],
            "preconditions": {"uid": "u"}, "gracePeriodSeconds": 0, "propagationPolicy": null, "unknown": 1});
        let options = read(body).expect("valid");
        assert_eq!(options.orphan_dependents, Some(false));
        assert_eq!(options.preconditions.uid.as_deref(), Some("u"));
        assert_eq!(options.grace_period_seconds, Some(0));
        assert!(options.dry_run);
    }
    assert_eq!(
        message(read(json!({"kind": "Pod", "apiVersion": "v1"})), 400),
        "no kind \"Pod\" is registered for version \"v1\""
    );
    assert_eq!(
        message(read(json!({"gracePeriodSeconds": "x"})), 400),
        "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
    );
    assert_eq!(
        message(read(json!([])), 400),
        "json: cannot unmarshal array into Go value of type v1.DeleteOptions"
    );
    let bad = read(json!({"propagationPolicy": "Weird"}));
    assert!(message(bad, 422).contains("\"nil\""));
}

proptest! {
    #[test]
    fn any_query_is_read_or_refused(text in "[a-zA-Z=&%+;0-9 é]{0,40}") {
        let query = Query::parse(&text);
        drop(ListOptions::decode(&query));
        drop(DeleteOptions::from_query(&query));
        drop(PatchOptions::decode(&query, true));
    }
}
