//! A request line: `GET /path?query`, as the listener hands it on; whatever is no URI it refuses itself.

use bulward::http::request_info::RequestInfo;
use bulward::wire::options::{
    CreateOptions, DeleteOptions, GetOptions, ListOptions, PatchOptions, Query, UpdateOptions,
};
use bulward::wire::status::Status;
use http::{Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const VERBS: [&str; 8] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
];

pub(super) fn target(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let Some((method, uri)) = text.split_once(' ') else {
        return false;
    };
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method.as_bytes()), uri.parse::<Uri>()) else {
        return false;
    };
    let query = Query::parse(uri.query().unwrap_or_default());
    queries(&query, uri.query().unwrap_or_default());
    let info = RequestInfo::parse(&method, uri.path(), &query);
    if info.is_resource {
        // Whatever RBAC is asked about is what is served: there is no second reading of the path.
        for part in [
            &info.group,
            &info.version,
            &info.namespace,
            &info.resource,
            &info.subresource,
        ] {
            assert!(!part.contains('/'), "{info:?}");
        }
        assert!(!info.name.contains('/'), "{info:?}");
        assert!(info.verb.is_empty() || VERBS.contains(&info.verb.as_str()), "{info:?}");
        if matches!(info.verb.as_str(), "list" | "deletecollection") {
            assert!(!info.named_by_path, "a name in the path means one object: {info:?}");
        }
    } else {
        assert!(
            info.resource.is_empty() && info.name.is_empty() && info.namespace.is_empty(),
            "{info:?}"
        );
    }
    // However a path is escaped, it means the same.
    let decoded = percent_decode_str(uri.path()).decode_utf8_lossy().into_owned();
    let escaped = utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string();
    assert_eq!(RequestInfo::parse(&method, &escaped, &query), info);
    info.is_resource
}

fn queries(query: &Query, text: &str) {
    // Written and read again, it is the same; what was malformed is gone.
    let names: Vec<&str> = text.split('&').filter_map(|pair| pair.split('=').next()).collect();
    let mut written = String::new();
    for name in names {
        let name = Query::parse(name);
        for known in [
            "limit",
            "continue",
            "watch",
            "labelSelector",
            "fieldSelector",
            "resourceVersion",
        ] {
            assert_eq!(name.get(known).is_some(), name == Query::parse(known), "{name:?}");
        }
    }
    for known in [
        "limit",
        "continue",
        "labelSelector",
        "fieldSelector",
        "dryRun",
        "fieldManager",
    ] {
        for value in query.all(known) {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            written.push_str(&format!("{known}={value}&"));
        }
    }
    let again = Query::parse(&written);
    for known in [
        "limit",
        "continue",
        "labelSelector",
        "fieldSelector",
        "dryRun",
        "fieldManager",
    ] {
        assert!(query.all(known).eq(again.all(known)), "{known} of {text:?}");
    }
    let list = ListOptions::decode(query);
    if let Ok(options) = &list {
        assert!(
            options.limit >= 0 || options.validate_list().is_err() || options.validate().is_err(),
            "{options:?}"
        );
        refused(options.validate_list());
        refused(options.validate_watch());
        refused(options.revision());
    }
    refused(list);
    refused(GetOptions::parse(query).revision());
    refused(DeleteOptions::from_query(query));
    refused(CreateOptions::decode(query));
    refused(UpdateOptions::decode(query));
    refused(PatchOptions::decode(query, true));
    refused(PatchOptions::decode(query, false));
}

/// A refusal is the client's fault and says something.
fn refused<T>(result: Result<T, Status>) {
    if let Err(status) = result {
        assert!((400..500).contains(&status.code), "{status:?}");
        assert!(!status.message.is_empty(), "{status:?}");
    }
}
