//! What a path and a method mean: the one grammar of Kubernetes' paths.
//!
//! Ported from k8s.io/apiserver pkg/endpoints/request/requestinfo.go.

use http::Method;
use percent_encoding::percent_decode_str;

use crate::authz::{Attributes, ResourceAttributes};
use crate::wire::options::{ListOptions, Query};
use crate::wire::selector::{FieldSelector, LabelSelector};
use crate::wire::validation::names::path_segment;

/// What a request is about. All strings are empty where they do not apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// Whether it is about a resource of an API group.
    pub is_resource: bool,
    /// The decoded path.
    pub path: String,
    /// get, list, watch, create, update, patch, delete, deletecollection; for other paths the method in lower case.
    pub verb: String,
    /// The API group.
    pub group: String,
    /// The API version.
    pub version: String,
    /// The namespace in the path.
    pub namespace: String,
    /// The plural resource name.
    pub resource: String,
    /// What stands after the name, if anything.
    pub subresource: String,
    /// The name; for lists and watches of one name by field selector that name.
    pub name: String,
    /// Which objects, by their fields; of a list, a watch or a deletion of a collection.
    pub field_selector: FieldSelector,
    /// Which objects, by their labels.
    pub label_selector: LabelSelector,
    /// Whether the name stands in the path.
    pub named_by_path: bool,
    /// More path segments than any resource has.
    pub overlong: bool,
}

impl RequestInfo {
    /// Reads method, path (as sent) and query.
    pub fn parse(method: &Method, raw_path: &str, query: &Query) -> Self {
        let path = percent_decode_str(raw_path).decode_utf8_lossy().into_owned();
        let mut info = Self {
            verb: method.as_str().to_ascii_lowercase(),
            ..Self::default()
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let place = match parts.as_slice() {
            ["apis", group, version, rest @ ..] => Some((*group, *version, rest)),
            ["api", version, rest @ ..] => Some(("", *version, rest)),
            _ => None,
        };
        if let Some((group, version, rest)) = place.filter(|(_, _, rest)| !rest.is_empty()) {
            info.is_resource = true;
            info.group = group.to_owned();
            info.version = version.to_owned();
            info.read_resource(method, rest, query);
        }
        info.path = path;
        info
    }

    fn read_resource(&mut self, method: &Method, rest: &[&str], query: &Query) {
        let mut rest = rest;
        // The deprecated form `/apis/G/V/watch/…`.
        let mut watch_prefix = false;
        if let ["watch", others @ ..] = rest
            && !others.is_empty()
        {
            watch_prefix = true;
            rest = others;
        }
        if let ["namespaces", namespace, others @ ..] = rest {
            self.namespace = (*namespace).to_owned();
            if !others.is_empty() && !matches!(others, ["status" | "finalize", ..]) {
                rest = others;
            }
        }
        let part = |index: usize| rest.get(index).copied().unwrap_or_default().to_owned();
        self.resource = part(0);
        self.name = part(1);
        self.named_by_path = !self.name.is_empty();
        self.subresource = part(2);
        self.overlong = rest.len() > 3;
        let verb = match *method {
            Method::POST => "create",
            Method::GET | Method::HEAD => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        };
        self.verb = match verb {
            _ if watch_prefix => "watch",
            "get" if !self.named_by_path => {
                if let Some(name) = selected_name(query) {
                    self.name = name;
                }
                if query.flag("watch") { "watch" } else { "list" }
            }
            "delete" if !self.named_by_path => "deletecollection",
            verb => verb,
        }
        .to_owned();
        // The deprecated form of the path is about one object or about all.
        if !watch_prefix && matches!(self.verb.as_str(), "list" | "watch" | "deletecollection") {
            let text = |name| query.get(name).unwrap_or_default();
            // What cannot be read is refused later; until then the question is about everything.
            self.field_selector = FieldSelector::parse(text("fieldSelector")).unwrap_or_default();
            self.label_selector = LabelSelector::parse(text("labelSelector")).unwrap_or_default();
        }
    }

    /// What the authorizer is asked.
    pub fn attributes(&self) -> Attributes {
        if !self.is_resource {
            return Attributes::Path {
                path: self.path.clone(),
                verb: self.verb.clone(),
            };
        }
        Attributes::Resource(ResourceAttributes {
            verb: self.verb.clone(),
            group: self.group.clone(),
            version: self.version.clone(),
            resource: self.resource.clone(),
            subresource: self.subresource.clone(),
            namespace: self.namespace.clone(),
            name: self.name.clone(),
            field_selector: self.field_selector.clone(),
            label_selector: self.label_selector.clone(),
        })
    }

    /// Whether the response may go on for longer than any timeout.
    pub fn is_long_running(&self) -> bool {
        self.is_resource && self.verb == "watch"
    }
}

/// RBAC rules with resourceNames cover lists and watches of exactly one name.
fn selected_name(query: &Query) -> Option<String> {
    let options = ListOptions::parse(query).ok()?;
    let name = options.field_selector.exact_name()?;
    path_segment(name).is_empty().then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(method: Method, path: &str, query: &str) -> RequestInfo {
        RequestInfo::parse(&method, path, &Query::parse(query))
    }

    #[test]
    fn verbs_and_places() {
        let base = "/apis/apiserver.bulward.io/v1alpha1";
        for (method, path, query, verb, namespace, resource, name, subresource) in [
            (Method::GET, "/organizations", "", "list", "", "organizations", "", ""),
            (Method::GET, "/organizations/", "", "list", "", "organizations", "", ""),
            (
                Method::GET,
                "/organizations",
                "watch",
                "watch",
                "",
                "organizations",
                "",
                "",
            ),
            (
                Method::GET,
                "/organizations/acme",
                "watch=true",
                "get",
                "",
                "organizations",
                "acme",
                "",
            ),
            (
                Method::HEAD,
                "/organizations/acme",
                "",
                "get",
                "",
                "organizations",
                "acme",
                "",
            ),
            (
                Method::POST,
                "/namespaces/a/projects",
                "",
                "create",
                "a",
                "projects",
                "",
                "",
            ),
            (
                Method::PUT,
                "/namespaces/a/projects/web/status",
                "",
                "update",
                "a",
                "projects",
                "web",
                "status",
            ),
            (
                Method::DELETE,
                "/namespaces/a/projects",
                "",
                "deletecollection",
                "a",
                "projects",
                "",
                "",
            ),
            (
                Method::GET,
                "/watch/namespaces/a/projects",
                "",
                "watch",
                "a",
                "projects",
                "",
                "",
            ),
            (
                Method::GET,
                "/projects",
                "fieldSelector=metadata.name%3Dweb",
                "list",
                "",
                "projects",
                "web",
                "",
            ),
            (
                Method::GET,
                "/organizations/a%20b",
                "",
                "get",
                "",
                "organizations",
                "a b",
                "",
            ),
        ] {
            let info = parse(method, &format!("{base}{path}"), query);
            let got = (
                &*info.verb,
                &*info.namespace,
                &*info.resource,
                &*info.name,
                &*info.subresource,
            );
            assert_eq!(got, (verb, namespace, resource, name, subresource), "{path}?{query}");
            assert!(info.is_resource);
        }
    }

    #[test]
    fn selectors_are_part_of_the_question() {
        let base = "/apis/g/v1";
        let asked = |method, path: &str, query| {
            let info = parse(method, &format!("{base}{path}"), query);
            (
                info.name,
                info.field_selector.to_string(),
                info.label_selector.requirements().len(),
            )
        };
        let query = "fieldSelector=metadata.name%3Dweb,a!%3Db&labelSelector=x,y+in+(1,2)";
        let text = "a!=b,metadata.name=web".to_owned();
        assert_eq!(
            asked(Method::GET, "/things", query),
            ("web".to_owned(), text.clone(), 2)
        );
        assert_eq!(asked(Method::DELETE, "/things", query), (String::new(), text, 2));
        let nothing = (String::new(), String::new(), 0);
        assert_eq!(asked(Method::GET, "/watch/things", query), nothing);
        assert_eq!(asked(Method::POST, "/things", query), nothing);
        assert_eq!(
            asked(Method::GET, "/things", "fieldSelector=a&labelSelector=("),
            nothing
        );
        // options that cannot be read name nothing, and neither does a name that cannot be one
        for query in [
            "limit=x&fieldSelector=metadata.name%3Dweb",
            "fieldSelector=metadata.name%3Da/b",
        ] {
            assert_eq!(asked(Method::GET, "/things", query).0, "", "{query}");
        }
    }

    #[test]
    fn the_legacy_group_and_namespaces() {
        for (path, namespace, resource, name, subresource) in [
            ("/api/v1/namespaces", "", "namespaces", "", ""),
            ("/api/v1/namespaces/a", "a", "namespaces", "a", ""),
            ("/api/v1/namespaces/a/status", "a", "namespaces", "a", "status"),
            ("/api/v1/namespaces/a/finalize", "a", "namespaces", "a", "finalize"),
            ("/api/v1/namespaces/a/events", "a", "events", "", ""),
            ("/api/v1/namespaces/a/events/b", "a", "events", "b", ""),
        ] {
            let info = parse(Method::GET, path, "");
            let got = (&*info.namespace, &*info.resource, &*info.name, &*info.subresource);
            assert_eq!(got, (namespace, resource, name, subresource), "{path}");
            assert!(info.is_resource && info.group.is_empty() && info.version == "v1");
        }
    }

    #[test]
    fn other_paths() {
        for path in [
            "/",
            "/api",
            "/api/v1",
            "/apis",
            "/apis/apiserver.bulward.io/v1alpha1",
            "/healthz",
            "/version",
        ] {
            let info = parse(Method::GET, path, "");
            assert!(!info.is_resource, "{path}");
            assert_eq!(
                info.attributes(),
                Attributes::Path {
                    path: path.to_owned(),
                    verb: "get".to_owned()
                }
            );
        }
    }
}
